"""Files out of a request as they arrive: nothing is gathered in memory or in a folder that is not the store's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.datastructures import UploadFile
from starlette.requests import Request

from gateway.errors import Refused

CHUNK_BYTES = 1 << 18
HEADER_MAX = 8192  # bytes of one part's headers
FIELD_MAX = 100_000  # bytes of all that is no file


@dataclass(frozen=True)
class Begun:
    """A file begins. name: as its sender calls it."""

    name: str


@dataclass(frozen=True)
class Data:
    """Some of its bytes."""

    data: bytes


@dataclass(frozen=True)
class Ended:
    """It was whole."""


Step = Begun | Data | Ended


class _Steps:
    """Turns the parser's callbacks into steps. Parts without a file name are fields, which are passed over."""

    def __init__(self, boundary: bytes) -> None:
        self.steps: list[Step] = []
        self._header, self._value = b"", b""
        self._disposition = b""
        self._is_file = False
        self._fields = 0
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part_begin,
                "on_part_data": self._on_part_data,
                "on_part_end": self._on_part_end,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
            },
        )

    def feed(self, chunk: bytes) -> list[Step]:
        """What a chunk brings. Raises Refused."""
        self.steps = []
        try:
            self._parser.write(chunk)
        except MultipartParseError as error:
            raise Refused("not_multipart", "The request is no lawful multipart/form-data.") from error
        return self.steps

    def _on_part_begin(self) -> None:
        self._disposition, self._is_file = b"", False

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]
        self._bound()

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._bound()

    def _bound(self) -> None:
        if len(self._header) + len(self._value) > HEADER_MAX:
            raise Refused("not_multipart", "A header of a part is too long.")

    def _on_header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header, self._value = b"", b""

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"filename")
        if name is not None:
            self._is_file = True
            self.steps.append(Begun(name.decode("utf-8", "replace")))

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self.steps.append(Data(data[start:end]))
            return
        self._fields += end - start
        if self._fields > FIELD_MAX:
            raise Refused("not_multipart", "The form holds too much besides files.")

    def _on_part_end(self) -> None:
        if self._is_file:
            self.steps.append(Ended())


async def files(request: Request) -> AsyncIterator[Step]:
    """The files of a request, step by step. Raises Refused where it is no multipart/form-data, or breaks off."""
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not boundary:
        raise Refused("not_multipart", "Send files as multipart/form-data.")
    form = getattr(request, "_form", None)
    if form is not None:  # the form was read whole to find its CSRF token: a browser without our script sent it
        for _, part in form.multi_items():
            if isinstance(part, UploadFile):
                yield Begun(part.filename or "")
                while chunk := await part.read(CHUNK_BYTES):
                    yield Data(chunk)
                yield Ended()
        return
    steps = _Steps(boundary)
    async for chunk in request.stream():
        for step in steps.feed(chunk):
            yield step
