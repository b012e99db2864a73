"""Documents with a few bytes changed, cut out or put in: a page or a refusal, and never more than that."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import uid

from gateway.config import IdentitySection, LimitsSection
from gateway.errors import Refused
from gateway.unpack.sandbox import Decoder
from tests.dicom_objects import colours, compressed, dicom_object, encoded, gradient, pdf_of, put_pixels, save
from tests.gateway.unpack.test_dicom_pixels import TestOverlay, in_fragments, of_bits
from tests.gateway.unpack.test_files import (
    FAX,
    HEIC,
    directories,
    fax_data,
    pdf,
    picture,
    smaller,
    tiff,
    trace,
)

MUTATIONS = 12  # of each document; thousands were tried while this was written
SMALL = trace(300, 200)


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    made = Decoder(page_within_s=30)
    yield made
    made.close()


def documents(folder: Path) -> dict[str, bytes]:
    grey = dicom_object()
    put_pixels(grey, gradient()[None])
    windowed = of_bits(12)
    windowed.WindowCenter, windowed.WindowWidth = "2048", "4096"
    fax = picture(fax_data(SMALL, "group4"), 300, 200, FAX.format("/K -1 /Columns 300 /Rows 200"))
    objects = [grey, windowed, of_bits(12, "RGB"), in_fragments([encoded(gradient(), "JPEG")], (0,), 2)]
    objects.append(TestOverlay().made())
    plain = save(grey, folder / "plain")
    return {
        **{f"object {number}": save(made, folder / "made").read_bytes() for number, made in enumerate(objects)},
        **{syntax: compressed(plain, syntax).read_bytes() for syntax in (uid.RLELossless, uid.JPEG2000Lossless)},
        "group 4": tiff(SMALL),
        "group 3": tiff(SMALL, "group3"),
        "jpeg in tiff": tiff(SMALL.convert("L"), "jpeg"),
        "preview": directories((SMALL, {}), (smaller(SMALL, 0.5), {})),
        "pdf": pdf_of(gradient()),
        "fax in pdf": pdf(fax, 300, 200, page="/UserUnit 2"),
        **{form: encoded(colours(), form) for form in ("PNG", "JPEG", "BMP", "WEBP")},
        "heic": HEIC,
    }


def mutated(data: bytes, chance: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        at = chance.randrange(len(out) if chance.random() < 0.5 else min(len(out), 1500))
        match chance.randrange(5):
            case 0:
                out[at] = chance.randrange(256)
            case 1:
                out[at] ^= 1 << chance.randrange(8)
            case 2:
                del out[at : at + chance.randrange(1, 40)]
            case 3:
                out[at:at] = chance.randbytes(chance.randrange(1, 20))
            case _:
                out[at : at + 4] = chance.choice((b"\xff" * 4, bytes(4), b"\xff\xff\xff\x7f", b"\1\0\0\0"))
        out = out or bytearray(1)
    return bytes(out)


def test_a_mutated_document_is_read_or_refused_and_ends_no_decoder(tmp_path: Path, decoder: Decoder) -> None:
    chance = random.Random(4)  # the same every time: a failure can be looked into
    path = tmp_path / "received"
    read, ended = 0, []
    for name, data in documents(tmp_path).items():
        for nth in range(MUTATIONS):
            path.write_bytes(mutated(data, chance))
            try:
                document = decoder.open(path, None, LimitsSection(), IdentitySection())
                document.read(1)
                read += 1
            except Refused as refused:
                if refused.code in ("decoder_failed", "too_slow") or "crashed" in refused.why:
                    ended.append(f"{name}, mutation {nth}: {refused}")
    assert ended == []
    assert read > MUTATIONS
