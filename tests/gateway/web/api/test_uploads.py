"""The web door: what is taken, and what is refused with the reason and never rendered back."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from gateway.role import Role
from gateway.web.api.models import Problem, UploadResults
from tests.dicom_objects import dicom_object, gradient, put_pixels, save
from tests.gateway.web.api.world import World, png, tiff

HTML = b"<!DOCTYPE html><html><body><script>alert(1)</script></body></html>"
SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.txt", "hidden")
    return buffer.getvalue()


def bomb() -> bytes:
    """A PNG of a few hundred bytes that says it is 40 gigapixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 200_000, 200_000, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def pdf() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (200, 150), "white").save(buffer, "PDF")
    return buffer.getvalue()


def picture(kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (150, 200, 3), np.uint8)).save(buffer, kind, **options)
    return buffer.getvalue()


def commented(text: str, compressed: bool = False) -> bytes:
    told = PngInfo()
    told.add_text("Comment", text, zip=compressed)
    return picture("PNG", pnginfo=told)


def upload(world: World, *named: tuple[str, bytes], role: Role = Role.REVIEWER, expect: int = 200) -> Any:
    files = [("files", (name, content, "image/png")) for name, content in named]
    answer = world.who(role).post("/api/v1/uploads", files=files)
    assert answer.status_code == expect, answer.text
    return UploadResults.model_validate(answer.json()).items if expect == 200 else answer.json()


def test_every_kind_of_document_is_taken_and_becomes_a_job(world: World, tmp_path: Any) -> None:
    dataset = dicom_object()
    put_pixels(dataset, gradient()[None])
    dicom = save(dataset, tmp_path / "object.dcm").read_bytes()
    jpeg = io.BytesIO()
    Image.new("RGB", (200, 150), "white").save(jpeg, "JPEG")
    sent = {"a.png": png(), "b.jpg": jpeg.getvalue(), "c.tif": tiff(2), "d.pdf": pdf(), "e": dicom}
    results = upload(world, *sent.items())
    assert [(r.file_name, r.accepted, r.code) for r in results] == [(name, True, "") for name in sent]
    for result, content in zip(results, sent.values(), strict=True):
        assert result.job_id is not None
        job = world.store.job(result.job_id)
        assert (job.arrival.door, job.arrival.sender, job.state) == ("web", "a reviewer", "received")
        assert world.store.content(job).read_bytes() == content


def test_the_same_file_again_is_the_same_job(world: World) -> None:
    first, again = upload(world, ("a.png", png()), ("b.png", png()))
    assert (again.job_id, again.duplicate) == (first.job_id, True)


REFUSED = pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("page.png", HTML, "unknown_format"),
        ("page.png", SVG, "unknown_format"),
        ("drawing.svg", SVG, "unknown_format"),
        ("page.png", b"GIF89a" + bytes(100), "unknown_format"),
        ("page.png", zipped(), "unknown_format"),
        ("page.png", b"", "empty"),
        ("page.png", bomb(), "page_too_large"),
        ("page.png", png()[:60], "damaged"),
        ("page.png", png() + zipped(), "polyglot"),
        ("page.png", png() + HTML, "polyglot"),
        ("page.png", png() + HTML + b"IEND", "polyglot"),
        ("page.png", png() + HTML + b" " * 70_000, "polyglot"),
        ("page.png", png() + HTML + bytes(70_000), "polyglot"),
        ("page.png", png() + zipped() + b"x", "polyglot"),
        ("page.png", png() + zipped() + b"x" * 70_000, "polyglot"),
        ("page.png", commented("x" * 1500 + HTML.decode()), "polyglot"),
        ("page.jpg", picture("JPEG") + HTML, "polyglot"),
        ("page.jpg", picture("JPEG") + HTML + b"\xff\xd9", "polyglot"),
        ("page.jpg", picture("JPEG") + HTML + b" " * 70_000, "polyglot"),
        ("page.jpg", picture("JPEG")[:-2] + HTML, "polyglot"),
        ("page.jpg", picture("JPEG", comment=b"x" * 1500 + HTML), "polyglot"),
        ("page.tif", tiff() + HTML, "polyglot"),
        ("page.tif", tiff() + HTML + b" " * 70_000, "polyglot"),
        ("page.tif", tiff() + zipped() + b"x", "polyglot"),
        ("page.pdf", pdf() + zipped() + b"x", "polyglot"),
        ("page.pdf", HTML + pdf(), "polyglot"),
        ("page.pdf", b"MZ" + bytes(60) + pdf(), "polyglot"),
        ("page.dcm", b"MZ".ljust(128, b"\0") + b"DICM" + bytes(400), "polyglot"),
        ("page.pdf", b"%PDF-1.7 but nothing else", "damaged"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)} bytes",
)


@REFUSED
def test_what_is_no_document_is_refused_with_the_reason_and_leaves_nothing(
    world: World, name: str, content: bytes, code: str
) -> None:
    (result,) = upload(world, (name, content))
    assert (result.accepted, result.job_id, result.code) == (False, None, code)
    assert result.why
    assert "<script" not in result.why
    assert world.get("/jobs")["items"] == []
    assert [path for path in world.store.staging.iterdir() if path.name != ".lock"] == []


@pytest.mark.parametrize(
    "content",
    [
        commented("Printed by A < B & Sons, ward 3"),
        picture("JPEG", progressive=True),
        picture("JPEG", quality=100, comment=b"a scan"),
        picture("JPEG") + picture("JPEG", quality=30),  # as phones do: a second picture behind the first
        picture("PNG") + bytes(100),
        picture("TIFF", compression="tiff_lzw"),
    ],
    ids=lambda content: f"{len(content)} bytes",
)
def test_a_lawful_picture_is_taken_whatever_it_carries_besides(world: World, content: bytes) -> None:
    (result,) = upload(world, ("page", content))
    assert result.accepted, result.why


def test_a_refused_file_keeps_none_of_its_neighbours_out(world: World) -> None:
    results = upload(world, ("a.png", HTML), ("b.png", png()), ("c.png", bomb()))
    assert [result.accepted for result in results] == [False, True, False]


def test_a_file_above_the_bound_is_cut_off(make_world: Callable[..., World]) -> None:
    world = make_world(web={"upload_max_mb": 1})
    assert upload(world, ("a.png", png() + bytes(1_200_000)), expect=413)["code"] == "too_large"

    def in_chunks() -> Any:
        yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n' + png()
        for _ in range(20):
            yield bytes(100_000)
        yield b"\r\n--x--\r\n"

    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = world.who(Role.REVIEWER).post("/api/v1/uploads", content=in_chunks(), headers=headers)
    assert "content-length" not in answer.request.headers  # nobody knew beforehand how much it would be
    assert (answer.status_code, Problem.model_validate(answer.json()).code) == (413, "too_large")
    assert world.get("/jobs")["items"] == []
    assert [path for path in world.store.staging.iterdir() if path.name != ".lock"] == []


def test_what_was_handed_in_never_comes_back_as_it_was(world: World) -> None:
    """A lawful PNG may carry anything, packed, in a text chunk; what is shown was made anew from its pixels."""
    content = commented("<script>alert(1)</script>", compressed=True)
    (result,) = upload(world, ("a.png", content))
    assert result.accepted
    shown = world.who(Role.VIEWER).get(f"/api/v1/jobs/{result.job_id}/pages/1/image")
    assert (shown.status_code, shown.headers["content-type"]) == (200, "image/png")
    assert b"script" not in shown.content
    assert shown.content != content


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("application/json", b"{}"),
        ("multipart/form-data", b""),
        ("multipart/form-data; boundary=x", b"rubbish"),
        ("multipart/form-data; boundary=x", b"--x--\r\n"),
        ("multipart/form-data; boundary=x", b"--x\r\n" + b"A: " + b"b" * 20_000),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nfield\r\n--x--'),
    ],
)
def test_a_request_without_files_is_refused(world: World, kind: str, content: bytes) -> None:
    answer = world.who(Role.REVIEWER).post("/api/v1/uploads", content=content, headers={"content-type": kind})
    assert answer.status_code == 422
    assert answer.json()["code"] in ("not_multipart", "no_files")


def test_a_file_that_breaks_off_is_not_taken(world: World) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = world.who(Role.REVIEWER).post("/api/v1/uploads", content=head + png(), headers=headers)
    assert answer.status_code == 422
    assert world.get("/jobs")["items"] == []
    assert [path for path in world.store.staging.iterdir() if path.name != ".lock"] == []


def test_a_full_queue_is_told_for_every_file(make_world: Callable[..., World], tmp_path: Any) -> None:
    world = make_world(data={"folder": tmp_path / "data", "reserve_mb": 0, "queue_max": 1})
    world.receive()
    (result,) = upload(world, ("a.png", png()))
    assert (result.accepted, result.code) == (False, "queue_full")


def test_only_files_may_be_large(world: World) -> None:
    """JSON is held in memory whole, and read before it is known whose it is: a viewer could fill the machine."""
    numbers = b'{"ids": [' + b"1," * 2_000_000 + b"1]}"
    for path in ("/jobs/bulk", "/parked/resend", "/rules/replay"):
        answer = world.who(Role.VIEWER).post(
            f"/api/v1{path}", content=numbers, headers={"content-type": "application/json"}
        )
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")

    def in_chunks() -> Any:
        yield from (numbers[at : at + 100_000] for at in range(0, len(numbers), 100_000))

    unknown = world.who(Role.VIEWER).post("/api/v1/jobs/bulk", content=in_chunks())
    assert unknown.status_code == 413
    (taken,) = upload(world, ("a.tif", tiff(3) + bytes(3_000_000)))
    assert taken.code != "too_large"
