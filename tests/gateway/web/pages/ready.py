"""A store full of ready-made pages: drawn from synthetic hearts, settled by the real worker, read by nobody."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from io import BytesIO

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from gateway.config import Config
from gateway.identity.order import Order, Patient
from gateway.job import Arrival, Door, State
from gateway.service.worker import Worker
from gateway.store import Store
from pipeline.recording import (
    Correction,
    Finding,
    Known,
    Lead,
    MadeBy,
    Page,
    Placed,
    Recording,
    Scale,
    Seen,
    Severity,
    Strip,
)
from pipeline.synth.heart import synthetic_ecg
from pipeline.synth.page import scanned_page
from pipeline.synth.truth import Rendered
from tests.gateway.storing import receive

RATE_HZ = 500
ACK = "MSH|^~\\&|EHR|||||20261122143005||ACK^R01^ACK|1|P|2.5.1\rMSA|AA|{name}|accepted"


def rendered(seed: int) -> Rendered:
    """A scanned page of a synthetic heart."""
    return scanned_page(synthetic_ecg(np.random.default_rng(seed), 10.0, RATE_HZ), RATE_HZ, seed=seed)


def recording_of(page: Rendered, confidence: float, findings: tuple[Finding, ...] = ()) -> Recording:
    """What a digitizer might have read of it: the truth with noise, a gap in V2 and a bridged stretch in II."""
    rng = np.random.default_rng(1)
    truth = page.truth.recording
    strips = tuple(_as_read(strip, rng) for strip in truth.strips)
    return replace(
        truth,
        strips=strips,
        confidence=confidence,
        findings=findings,
        speed_mm_s=Scale(truth.speed_mm_s.value, Known.GRID),
        gain_mm_mv=Scale(truth.gain_mm_mv.value, Known.PULSE),
        made_by=MadeBy("0.1.0", (("waveform", "cd" * 32),)),
        placed=_placed(page),
    )


def _as_read(strip: Strip, rng: np.random.Generator) -> Strip:
    mv = strip.millivolts + rng.normal(0, 0.008, strip.samples).astype(np.float32)
    slope = np.abs(np.gradient(strip.millivolts)) * RATE_HZ
    sigma = (0.012 + 0.0012 * slope).astype(np.float32)
    seen = np.where(np.isfinite(mv), Seen.READ, Seen.NOTHING).astype(np.uint8)
    if strip.lead is Lead.V2:
        _blank(mv, sigma, seen, slice(500, 620))
    if strip.lead is Lead.II and strip.samples > 3 * RATE_HZ:
        seen[2000:2060], sigma[2000:2060] = Seen.BRIDGED, 0.08
    return Strip(strip.lead, strip.start_s, mv.astype(np.float32), sigma, seen)


def _blank(mv: np.ndarray, sigma: np.ndarray, seen: np.ndarray, where: slice) -> None:
    mv[where], sigma[where], seen[where] = np.nan, np.nan, Seen.NOTHING


def _placed(page: Rendered) -> Placed:
    truth = page.truth
    runs = [(segment.start_mm, segment.end_mm, segment.baseline_mm) for segment in truth.segments]
    return Placed(
        truth.orientation, truth.paper.x_mm, truth.paper.y_mm, truth.paper.nodes_px, np.array(runs, np.float64)
    )


FINDINGS = (
    Finding("pulse_not_found", Severity.INFO),
    Finding("gap_not_read", Severity.WARNING, Lead.V2, 6.0, 6.24),
    Finding("gap_bridged", Severity.INFO, Lead.II, 4.0, 4.12),
    Finding("sigma_large", Severity.WARNING, Lead.AVL),
)
JANE = Patient("4711", "", "Doe^Jane^Q", "19540131", "F")
JOERG = Patient("0815", "", "Straße^Jörg", "19610704", "M")


@dataclasses.dataclass
class Ready:
    """Job ids by what they show."""

    delivered: str = ""
    earlier: str = ""
    unsure: str = ""
    nobody: str = ""
    refused: str = ""
    parked: str = ""
    waiting: str = ""


def fill(store: Store, config: Config) -> Ready:
    """Fills a store whose config has the destinations pacs and ehr. Two pages are drawn; a comment tells copies."""
    ready = Ready()
    page, other = rendered(11), rendered(12)
    sure, unsure = recording_of(page, 0.96, FINDINGS), recording_of(page, 0.74, FINDINGS)
    ready.earlier = _through(store, config, other, recording_of(other, 0.93), "a", _order(JANE, "20230131143000"))
    ready.delivered = _through(store, config, page, sure, "b", _order(JANE, "20240131143000"))
    _deliver(store)
    ready.parked = _through(store, config, page, sure, "c", _order(JOERG, "20240202101500"))
    _park(store)
    ready.unsure = _through(store, config, page, unsure, "d", _order(JANE, "20240301090000"))
    ready.nobody = _through(store, config, page, sure, "e", Order())
    ready.refused = _through(store, config, None, sure, "f", Order())
    ready.waiting = receive(store, _png(page.page, "g"), _arrival("g", _order(JOERG, "20240303120000"))).job_id
    return ready


def take_in_unsure(store: Store, config: Config, name: str, order: Order) -> str:
    """One more page, read unsurely, as is all that waits before it."""
    return take_in(store, config, name, order, 0.74)


def take_in(store: Store, config: Config, name: str, order: Order, confidence: float) -> str:
    """The same, read as surely as that."""
    job_id = receive(store, _png(rendered(11).page, name), _arrival(name, order)).job_id
    work(store, config, job_id, confidence)
    return job_id


def work(store: Store, config: Config, job_id: str, confidence: float) -> None:
    """Digitizes what waits, up to this job."""
    page = rendered(11)

    def digitize(_page: Page, _given: Correction | None = None) -> Recording:
        return recording_of(page, confidence, FINDINGS)

    worker = Worker("worker-0", config, store, digitize, '{"version": "0.1.0"}')
    while store.job(job_id).state is State.RECEIVED:
        assert worker.work_once()


def take_in_document(store: Store, config: Config, name: str, pages: int) -> str:
    """A document of several pages of one patient, all of them read unsurely."""
    page, data = rendered(11), BytesIO()
    first, *others = [Image.fromarray(page.page.image) for _ in range(pages)]
    first.save(data, "TIFF", save_all=True, append_images=others, compression="tiff_deflate")

    def digitize(_page: Page, _given: Correction | None = None) -> Recording:
        return recording_of(page, 0.74, FINDINGS)

    order = _order(JANE, "20240401090000")
    came = Arrival(Door.FAX, "ward-7", "", "", "image/tiff", f"fax-{name}.tif", order)
    job_id = receive(store, data.getvalue(), came).job_id
    worker = Worker("worker-0", config, store, digitize, '{"version": "0.1.0"}')
    while store.job(job_id).state is State.RECEIVED:
        assert worker.work_once()
    return job_id


def take_in_parked(store: Store, config: Config, name: str) -> None:
    """One more page whose message the EHR will not have; what waits for the EHR is parked with it."""
    page = rendered(11)

    def digitize(_page: Page, _given: Correction | None = None) -> Recording:
        return recording_of(page, 0.96, FINDINGS)

    job_id = receive(store, _png(page.page, name), _arrival(name, _order(JOERG, "20240402090000"))).job_id
    worker = Worker("worker-0", config, store, digitize, '{"version": "0.1.0"}')
    while store.job(job_id).state is State.RECEIVED:
        assert worker.work_once()
    while delivery := store.claim_delivery("ehr", 60.0):
        store.park(delivery, "ack_ae", "the receiver answered AE: unknown patient")


def _order(patient: Patient, acquired_at: str) -> Order:
    return Order(patient, accession_number=f"A-{acquired_at[2:8]}", acquired_at=acquired_at, acquired_from="test")


def _arrival(name: str, order: Order) -> Arrival:
    return Arrival(Door.FAX, "ward-7", "", "", "image/png", f"fax-{name}.png", order)


def _png(page: Page, comment: str) -> bytes:
    told, data = PngInfo(), BytesIO()
    told.add_text("Comment", comment)
    Image.fromarray(page.image).save(data, "PNG", compress_level=1, pnginfo=told)
    return data.getvalue()


def _through(store: Store, config: Config, page: Rendered | None, recording: Recording, name: str, order: Order) -> str:
    """One page through the real worker, with this recording for what the digitizer would say."""

    def digitize(_page: Page, _given: Correction | None = None) -> Recording:
        return recording

    content = _png(page.page, name) if page else b"\x89PNG\r\n\x1a\n and then nothing"
    job_id = receive(store, content, _arrival(name, order)).job_id
    assert Worker("worker-0", config, store, digitize, '{"version": "0.1.0"}').work_once()
    return job_id


def _deliver(store: Store) -> None:
    for destination in ("pacs", "ehr"):
        while delivery := store.claim_delivery(destination, 60.0):
            store.delivered(delivery, "0x0000 Success" if destination == "pacs" else ACK.format(name=delivery.name))


def _park(store: Store) -> None:
    delivery = store.claim_delivery("pacs", 60.0)
    assert delivery is not None
    store.delivered(delivery, "0x0000 Success")
    delivery = store.claim_delivery("ehr", 60.0)
    assert delivery is not None
    store.park(delivery, "ack_ae", "the receiver answered AE: unknown patient")
