"""The aECG before HL7's own schema."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from lxml import etree

from gateway.emit import aecg
from gateway.identity.order import Patient
from pipeline.recording import Finding, Lead, Recording, Severity
from tests import recordings as make
from tests.conformance.aecg_schema import aecg_schema

FINDINGS = (
    Finding("gap_not_read", Severity.WARNING, Lead.V2, 6.0, 6.2, "<&> \x02 'quoted'"),
    Finding("low_confidence", Severity.ERROR),
    Finding("boundary_assumed", Severity.INFO, None, 2.4, 2.6),
    Finding("lead_cut_short", Severity.WARNING, Lead.V6, 9.9),
)
PAGES: dict[str, Callable[[], Recording]] = {
    "3x4+1": make.three_by_four,
    "3x4+3": lambda: make.three_by_four((Lead.V1, Lead.II, Lead.V5)),
    "6x2+1": lambda: make.six_by_two((Lead.II,)),
    "12x1": make.twelve_by_one,
    "with gaps and findings": lambda: make.with_gaps(FINDINGS),
    "one lead": lambda: make.recording([make.strip(Lead.II, 0.0, 10.0)], "1x1"),
}
ORDERS: dict[str, dict[str, object]] = {
    "to the second": {},
    "day only": {"acquired_at": "20240131"},
    "year only": {"acquired_at": "2024"},
    "offset": {"acquired_at": "20240131143000.25+0100"},
    "bare patient": {"patient": Patient("4711")},
    "issuer that is no OID": {"patient": Patient("4711", "St. Mary's", "Müller^Jürgen=山田^太郎", "", "O")},
    "issuer with a zero arc": {"patient": Patient("4711", "1.2.840.0.19")},
}


def emitted(recording: Recording, layout: aecg.Layout, **order: object) -> bytes:
    return aecg.emit(
        recording,
        make.order(**order),
        layout=layout,
        source_sha256=make.SHA256,
        page=1,
        made_at=make.MADE_AT,
        measurements=make.TOLD,
    ).data


def complaints(data: bytes) -> list[str]:
    schema = aecg_schema()
    schema.validate(etree.fromstring(data))
    return [entry.message for entry in schema.error_log]


@pytest.mark.parametrize("layout", ["strips", "single_set"])
@pytest.mark.parametrize("page", PAGES)
def test_every_page_is_valid(page: str, layout: aecg.Layout) -> None:
    assert complaints(emitted(PAGES[page](), layout)) == []


@pytest.mark.parametrize("layout", ["strips", "single_set"])
@pytest.mark.parametrize("order", ORDERS)
def test_every_order_is_valid(order: str, layout: aecg.Layout) -> None:
    assert complaints(emitted(make.with_gaps(FINDINGS), layout, **ORDERS[order])) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'code="93000"', b'kode="93000"'),
        (b"<digits>0 ", b"<digits>NaN "),
        (b'xsi:type="SLIST_PQ"', b'xsi:type="LIST_PQ"'),
        (b'value="20240131143000.000"', b'value="31.01.2024"'),
    ],
)
def test_the_schema_would_have_complained(old: bytes, new: bytes) -> None:
    data = emitted(make.three_by_four(), "strips")
    assert old in data
    assert complaints(data.replace(old, new, 1)) != []
