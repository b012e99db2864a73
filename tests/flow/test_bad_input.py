"""Two hundred damaged pages through the unpacking, in a process of its own: none may kill, bloat or stop it."""

from __future__ import annotations

import json
import random
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image
from pydicom import uid

from gateway.config import IdentitySection, LimitsSection
from gateway.errors import Refused
from gateway.job import Arrival, Door
from gateway.unpack import unpack
from tests.dicom_objects import (
    colours,
    compressed,
    dicom_object,
    encapsulated_pdf,
    encoded,
    gradient,
    pdf_of,
    put_fragments,
    put_pixels,
    save,
)

SEED = 20_261_122
MUTANTS = 200
GROWTH_MAX_MB = 1000
SECONDS_MAX = 240
ARRIVAL = Arrival(Door.FAX, "bad input")


def seeds(folder: Path) -> list[bytes]:
    """Good documents of every kind and coding."""
    noise = Image.effect_noise((320, 240), 60)
    bilevel = noise.convert("1")
    found = [encoded(noise, "PNG"), encoded(colours(), "PNG", dpi=(300, 300)), encoded(bilevel, "PNG")]
    found += [encoded(noise, "JPEG"), encoded(colours(200, 300), "JPEG", progressive=True)]
    for coding in ("group3", "group4", "tiff_lzw", "tiff_deflate", "packbits", "jpeg"):
        page = bilevel if coding.startswith("group") else noise
        found.append(encoded(page, "TIFF", compression=coding, save_all=True, append_images=[page], dpi=(204, 98)))
    found += [pdf_of(gradient(200, 300), colours(100, 100))] * 3
    made = dicom_object()
    put_pixels(made, np.stack([gradient(100, 150), gradient(100, 150)]))
    plain = save(made, folder / "plain")
    found.append(plain.read_bytes())
    for syntax in (uid.RLELossless, uid.JPEGLosslessSV1, uid.JPEGLSLossless, uid.JPEG2000Lossless):
        found.append(compressed(plain, syntax).read_bytes())
    lossy = dicom_object(syntax=uid.JPEGBaseline8Bit)
    put_pixels(lossy, colours()[None], "RGB")
    put_fragments(lossy, [encoded(colours(), "JPEG")])
    found.append(save(lossy, folder / "lossy").read_bytes())
    found.append(save(encapsulated_pdf(pdf_of(gradient())), folder / "pdf").read_bytes())
    return found


def truncated(data: bytearray, rng: random.Random) -> bytearray:
    return data[: rng.randrange(len(data))]


def flipped(data: bytearray, rng: random.Random) -> bytearray:
    for _ in range(rng.choice((1, 4, 16, 64))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return data


def wrong_header(data: bytearray, rng: random.Random) -> bytearray:
    """Lengths, counts and dimensions are at the front: extremes are written over some of them."""
    for _ in range(rng.choice((1, 2, 4))):
        at = rng.randrange(min(len(data), 1500))
        data[at : at + 4] = rng.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f"))
    return data


def shifted(data: bytearray, rng: random.Random) -> bytearray:
    """Bytes lost and bytes too many: every offset behind them is wrong."""
    at = rng.randrange(len(data))
    if rng.random() < 0.5:
        del data[at : at + rng.randrange(1, 64)]
    else:
        data[at:at] = rng.randbytes(rng.randrange(1, 64))
    return data


def spliced(data: bytearray, rng: random.Random) -> bytearray:
    """A piece of the file over another piece of it."""
    length = rng.randrange(1, max(2, len(data) // 4))
    source, target = rng.randrange(len(data)), rng.randrange(len(data))
    data[target : target + length] = data[source : source + length]
    return data


DAMAGES: tuple[Callable[[bytearray, random.Random], bytearray], ...] = (
    truncated,
    flipped,
    wrong_header,
    shifted,
    spliced,
)


def png_bomb(side: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = zlib.compress(bytes(side // 8 + 1) * 2000, 9)
    head = struct.pack(">II5B", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def png_text_bomb() -> bytes:
    """A comment of 300 MB in a small picture."""
    good = encoded(gradient(), "PNG")
    body = b"Comment\0\0" + zlib.compress(bytes(300_000_000), 9)
    chunk = struct.pack(">I", len(body)) + b"zTXt" + body + struct.pack(">I", zlib.crc32(b"zTXt" + body))
    return good[:33] + chunk + good[33:]


def tiff_bomb() -> bytes:
    """A fax of 60,000 by 60,000 white pixels takes a few kilobytes."""
    good = bytearray(encoded(Image.new("1", (1728, 100), 1), "TIFF", compression="group4"))
    for tag in (256, 257, 278):
        at = good.index(struct.pack("<HH", tag, 4 if struct.pack("<HH", tag, 4) in good else 3))
        good[at : at + 12] = struct.pack("<HHII", tag, 4, 1, 60_000)
    return bytes(good)


def tiff_pages_bomb() -> bytes:
    """A directory chain of 20,000 pages."""
    head, entries = b"II*\0" + struct.pack("<I", 8), b""
    for number in range(20_000):
        start = 8 + number * 42
        fields = ((256, 4, 8), (257, 4, 8), (273, 4, 8))
        entries += struct.pack("<H", 3) + b"".join(struct.pack("<HHII", tag, kind, 1, v) for tag, kind, v in fields)
        entries += struct.pack("<I", start + 42)
    return head + entries


def pdf_bomb() -> bytes:
    """A page whose one picture is 60,000 by 60,000."""
    rows = zlib.compress(bytes(60_000 // 8) * 1000, 9)
    return _pdf(
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 5 0 R"
        b" /Resources << /XObject << /I 4 0 R >> >> >>",
        b"<< /Type /XObject /Subtype /Image /Width 60000 /Height 60000 /ColorSpace /DeviceGray /BitsPerComponent 1"
        b" /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream" % (len(rows), rows),
        b"<< /Length 26 >>\nstream\nq 600 0 0 800 0 0 cm /I Do Q\nendstream",
    )


def pdf_page_bomb() -> bytes:
    """A page of two kilometres."""
    return _pdf(b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 6000000 6000000] >>")


def pdf_stream_bomb() -> bytes:
    """A content stream that inflates to 300 MB of blanks."""
    content = zlib.compress(b" " * 300_000_000, 9)
    return _pdf(
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R >>",
        b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(content), content),
    )


def _pdf(*objects: bytes) -> bytes:
    fixed = (b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>")
    data, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate((*fixed, *objects), start=1):
        offsets.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(offsets) + 1
    return (
        data
        + b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n"
        % (
            size,
            table,
            size,
            len(data),
        )
    )


def dicom_bombs(folder: Path) -> Iterator[bytes]:
    """Frames without number, a frame larger than its header, runs that expand sixty-fold, deflate, deep nesting."""
    many = dicom_object()
    put_pixels(many, gradient()[None])
    many.NumberOfFrames = 2_000_000
    yield save(many, folder / "many").read_bytes()
    larger = dicom_object(syntax=uid.JPEGBaseline8Bit)
    put_pixels(larger, gradient()[None])
    put_fragments(larger, [encoded(Image.new("L", (20_000, 20_000), 255), "JPEG")])
    yield save(larger, folder / "larger").read_bytes()
    runs = dicom_object(syntax=uid.RLELossless)
    put_pixels(runs, gradient()[None])
    put_fragments(runs, [struct.pack("<16I", 1, 64, *[0] * 14) + b"\x81\xff" * 4_000_000])  # 128 bytes from every 2
    yield save(runs, folder / "runs").read_bytes()
    made = dicom_object(syntax=uid.DeflatedExplicitVRLittleEndian)
    put_pixels(made, np.zeros((1, 10_000, 10_000), np.uint8))
    yield save(made, folder / "deflated").read_bytes()
    plain = save(dicom_object(), folder / "nested").read_bytes()
    opening = struct.pack("<HH2sHI", 0x0040, 0xA730, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    yield plain + opening * 20_000


def documents(folder: Path) -> Iterator[tuple[str, bytes]]:
    """(what was done, the bytes): the bombs, and MUTANTS mutants, the same at every run."""
    for bomb in (png_text_bomb, tiff_bomb, tiff_pages_bomb, pdf_bomb, pdf_page_bomb, pdf_stream_bomb):
        yield bomb.__name__, bomb()
    yield "png_bomb", png_bomb(65_000)
    for number, data in enumerate(dicom_bombs(folder)):
        yield f"dicom_bomb {number}", data
    rng = random.Random(SEED)
    good = seeds(folder)
    for number in range(MUTANTS):
        damage = DAMAGES[number % len(DAMAGES)]
        yield damage.__name__, bytes(damage(bytearray(good[number % len(good)]), rng))


def verdict(path: Path) -> str:
    """``read``, or the code of the refusal. Every page is decoded. Anything else that is raised is a failure."""
    try:
        for _ in unpack(path, ARRIVAL, LimitsSection(), IdentitySection()).pages:
            pass
    except Refused as error:
        return error.code if error.code and error.why else "no reason"
    return "read"


def main(folder: Path) -> None:
    """In the process of its own: prints one JSON line per document, and at last one for a good page."""
    for number, (what, data) in enumerate(documents(folder)):
        path = folder / f"received {number}"
        path.write_bytes(data)
        print(json.dumps({"what": what, "verdict": "begun"}), flush=True)
        print(json.dumps({"what": what, "verdict": verdict(path)}), flush=True)
        path.unlink()
    good = folder / "good"
    good.write_bytes(encoded(gradient(), "PNG"))
    print(json.dumps({"what": "good", "verdict": verdict(good)}), flush=True)


@pytest.mark.timeout(SECONDS_MAX + 60)
def test_damaged_pages_are_refused_or_read_and_the_next_good_page_is_served(tmp_path: Path) -> None:
    command = [sys.executable, "-X", "faulthandler", "-m", "tests.flow.test_bad_input", str(tmp_path)]
    root = Path(__file__).parents[2]
    started = time.monotonic()
    with (tmp_path / "stderr").open("wb") as stderr:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True, cwd=root)
        peaks: list[float] = []
        watcher = threading.Thread(target=_watch, args=(process.pid, peaks), daemon=True)
        watcher.start()
        output, _ = process.communicate(timeout=SECONDS_MAX)
    lines = [json.loads(line) for line in output.splitlines()]
    told = (tmp_path / "stderr").read_text(errors="replace")
    assert process.returncode == 0, f"died at {lines[-1:]}: {told[-3000:]}"
    ended = [line for line in lines if line["verdict"] != "begun"]
    assert ended[-1] == {"what": "good", "verdict": "read"}
    assert len(ended) > MUTANTS
    bombs = {line["what"]: line["verdict"] for line in ended if "bomb" in line["what"]}
    assert [what for what, verdict in bombs.items() if verdict == "read" and what not in HARMLESS] == []
    by_kind = Counter(line["verdict"] for line in ended)
    assert "no reason" not in by_kind
    assert by_kind["read"] < MUTANTS / 2, by_kind  # the damage does damage
    assert max(peaks) - peaks[0] < GROWTH_MAX_MB, f"grew by {max(peaks) - peaks[0]:.0f} MB"
    assert time.monotonic() - started < SECONDS_MAX


# Bombs that are read without going off: their filling is never unpacked, or only a bounded part of it at a time.
HARMLESS = ("pdf_stream_bomb",)


def _watch(pid: int, peaks: list[float]) -> None:
    """Notes the resident megabytes of a process and its children for as long as it lives."""
    try:
        process = psutil.Process(pid)
        while True:
            family = [process, *process.children(recursive=True)]
            peaks.append(sum(_resident_mb(member) for member in family))
            time.sleep(0.005)
    except psutil.NoSuchProcess:
        return


def _resident_mb(process: psutil.Process) -> float:
    try:
        return float(process.memory_info().rss) / 1e6
    except psutil.NoSuchProcess:  # a decoder that has just died of its page
        return 0.0


if __name__ == "__main__":
    main(Path(sys.argv[1]))
