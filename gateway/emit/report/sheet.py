"""A sheet of A4 in landscape, in millimetres: x to the right, y down, both from the upper left corner."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO

from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas
from reportlab.pdfgen.pathobject import PDFPathObject

from gateway.emit.report.lettering import LINE, MM, fitted, fonts, width_mm
from pipeline.fonts import BOLD, REGULAR

WIDTH, HEIGHT = 297.0, 210.0

PAPER, MINOR, MAJOR = "#fff8f6", "#f9dcd7", "#f0b3ab"
INK, QUIET, BAND, BRIDGED, UNSURE = "#14213d", "#55555f", "#5b7fd1", "#c8401f", "#b3541e"

Point = tuple[float, float]


class Sheet:
    """What the report draws on."""

    def __init__(self, title: str, author: str, subject: str, made_at: str) -> None:
        """made_at: ``YYYYMMDDHHMMSS`` of the document's own dates. None of these texts may tell who the patient is."""
        fonts()
        self._buffer = BytesIO()
        self._canvas = Canvas(
            self._buffer,
            pagesize=(WIDTH * MM, HEIGHT * MM),
            pageCompression=1,
            invariant=1,  # no clock and no random id: the same report has the same bytes
            initialFontName=REGULAR,
            lang="en",
        )
        # the file's own id is begun with the time that the environment may dictate; ours follows from the content
        self._canvas._doc.signature = hashlib.sha256(made_at.encode("ascii"))
        self._canvas.setTitle(title)
        self._canvas.setAuthor(author)
        self._canvas.setCreator(author)
        self._canvas.setProducer(author)
        self._canvas.setSubject(subject)
        self._canvas.setDateFormatter(lambda *_: f"D:{made_at}Z")
        self._canvas.setLineCap(1)
        self._canvas.setLineJoin(1)

    def finished(self) -> bytes:
        """The PDF file."""
        self._canvas.showPage()
        self._canvas.save()
        return self._buffer.getvalue()

    def lines(
        self, polylines: Sequence[Sequence[Point]], colour: str, width: float, dashes: Sequence[float] = ()
    ) -> None:
        """Open lines of that width in millimetres. One point is a dot."""
        path = self._canvas.beginPath()
        for points in polylines:
            self._follow(path, points if len(points) > 1 else [*points, *points])
        self._canvas.setStrokeColor(colour)
        self._canvas.setLineWidth(width * MM)
        self._canvas.setDash([dash * MM for dash in dashes])
        self._canvas.drawPath(path, stroke=1, fill=0)

    def areas(self, polygons: Sequence[Sequence[Point]], colour: str, alpha: float = 1.0) -> None:
        """Filled areas without an edge."""
        path = self._canvas.beginPath()
        for points in polygons:
            self._follow(path, points)
            path.close()
        self._canvas.setFillColor(colour, alpha)
        self._canvas.drawPath(path, stroke=0, fill=1)
        self._canvas.setFillAlpha(1.0)

    def box(self, x: float, y: float, width: float, height: float, colour: str, edge: str = "") -> None:
        """A filled rectangle, with a thin edge where it has a colour."""
        self._canvas.setFillColor(colour)
        self._canvas.setStrokeColor(edge or colour)
        self._canvas.setLineWidth(0.15 * MM)
        self._canvas.setDash()
        corner = (x * MM, (HEIGHT - y - height) * MM, width * MM, height * MM)
        self._canvas.rect(*corner, stroke=int(bool(edge)), fill=1)

    @contextmanager
    def within(self, x: float, y: float, width: float, height: float) -> Iterator[None]:
        """Nothing is drawn outside this rectangle."""
        path = self._canvas.beginPath()
        path.rect(x * MM, (HEIGHT - y - height) * MM, width * MM, height * MM)
        self._canvas.saveState()
        self._canvas.clipPath(path, stroke=0, fill=0)
        yield
        self._canvas.restoreState()

    def text(self, x: float, y: float, line: str, size_pt: float, colour: str = INK, font: str = REGULAR) -> None:
        """One line; y is its base line."""
        self._canvas.setFillColor(colour)
        self._canvas.setFont(font, size_pt)
        self._canvas.drawString(x * MM, (HEIGHT - y) * MM, line)

    def paragraphs(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        texts: Sequence[str],
        sizes_pt: Sequence[float],
        colour: str = INK,
        font: str = REGULAR,
    ) -> float:
        """Texts below one another from y down, as large as they fit. Returns where they end."""
        size_pt, paragraphs = fitted(texts, width, height, sizes_pt, font)
        for line in (line for lines in paragraphs for line in lines):
            y += size_pt * LINE / MM
            self.text(x, y - size_pt * (LINE - 1) / MM, line, size_pt, colour, font)
        return y

    def label(self, x: float, y: float, text: str, size_pt: float, colour: str) -> None:
        """Bold words on a patch of paper, so that neither the grid nor a trace crosses them."""
        tall = size_pt / MM
        self.areas(
            [
                [
                    (x - 0.4, y - tall),
                    (x + width_mm(text, size_pt, BOLD) + 0.4, y - tall),
                    (x + width_mm(text, size_pt, BOLD) + 0.4, y + 0.5),
                    (x - 0.4, y + 0.5),
                ]
            ],
            PAPER,
            0.8,
        )
        self.text(x, y, text, size_pt, colour, BOLD)

    def picture(self, png: bytes, x: float, y: float, width: float, height: float) -> tuple[float, float]:
        """A picture as large as the box allows, at its upper right. Returns its width and height."""
        image = ImageReader(BytesIO(png))
        columns, rows = image.getSize()
        scale = min(width / columns, height / rows)
        wide, tall = columns * scale, rows * scale
        left = x + width - wide
        self._canvas.drawImage(image, left * MM, (HEIGHT - y - tall) * MM, wide * MM, tall * MM)
        self._canvas.setStrokeColor(QUIET)
        self._canvas.setLineWidth(0.1 * MM)
        self._canvas.setDash()
        self._canvas.rect(left * MM, (HEIGHT - y - tall) * MM, wide * MM, tall * MM, stroke=1, fill=0)
        return wide, tall

    def _follow(self, path: PDFPathObject, points: Sequence[Point]) -> None:
        """Rounded to a hundredth of a point, 3.5 micrometres: half the file's size, and nobody can see it."""
        for number, (x, y) in enumerate(points):
            step = path.lineTo if number else path.moveTo
            step(round(x * MM, 2), round((HEIGHT - y) * MM, 2))
