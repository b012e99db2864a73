"""Pictures, waveforms and documents of a page."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pydicom
from PIL import Image
from pypdfium2 import PdfDocument

from gateway.job import DocumentKind
from gateway.mapping import Measured as MeasuredRow
from gateway.role import Role
from gateway.web.api.access_log import AccessLog
from gateway.web.api.pictures import Pictures
from pipeline.recording import TWELVE, Known, Lead, Scale, Strip
from pipeline.synth.heart import synthetic_ecg
from tests.gateway.web.api.world import PX_PER_MM, World
from tests.recordings import millivolts, order, recording, three_by_four


def picture(world: World, path: str, **query: int) -> Image.Image:
    answer = world.who(Role.VIEWER).get(f"/api/v1{path}", params=query)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png"), answer.text
    return Image.open(io.BytesIO(answer.content))


def test_the_page_comes_as_a_picture_of_the_width_asked_for(world: World) -> None:
    job_id = world.job()
    assert picture(world, f"/jobs/{job_id}/pages/1/image", width=300).size == (300, 210)
    assert picture(world, f"/jobs/{job_id}/pages/1/image", width=399).size == (300, 210)  # at most so wide
    assert picture(world, f"/jobs/{job_id}/pages/1/image", width=8000).size == (300 * PX_PER_MM, 210 * PX_PER_MM)
    assert world.kinds(job_id).count("looked") == 1


def test_the_rectified_page_shows_the_traces_where_they_were_read(world: World) -> None:
    job_id = world.job()
    shown = picture(world, f"/jobs/{job_id}/pages/1/rectified")
    told = world.get(f"/jobs/{job_id}/pages/1/waveform")["placed"]
    assert shown.size == (told["width_px"], told["height_px"])
    pixels = np.asarray(shown.convert("RGB")).astype(int)
    blue = pixels[..., 2] - pixels[..., 0] > 60
    level = round(told["runs_px"][0][2] - 0.02 * 10 * told["px_per_mm"])
    start, end = (round(told["runs_px"][0][k]) for k in (0, 1))
    near = blue[level - 8 : level + 9, start:end].any(axis=0)
    assert near.mean() > 0.5  # lead I, between its beats, lies near its own level
    assert not blue[: level - 150].any()  # and nothing is drawn where no strip is


def test_the_rectified_page_is_drawn_anew_for_the_same_samples_at_another_scale(world: World) -> None:
    """The gain stands beside the samples, not among them: both readings have the same samples and places."""
    job_id = world.job(0.5)
    before = picture(world, f"/jobs/{job_id}/pages/1/rectified")
    world.store.retry(job_id, "a reviewer")
    world.work(0.5, of=replace(three_by_four(), gain_mm_mv=Scale(20.0, Known.TEXT)))
    after = picture(world, f"/jobs/{job_id}/pages/1/rectified")
    assert after.size == before.size
    assert after.tobytes() != before.tobytes()


def test_a_waveform_is_what_was_read_to_a_tenth_of_a_microvolt(world: World) -> None:
    job_id = world.job()
    told = world.get(f"/jobs/{job_id}/pages/1/waveform")
    assert (told["rate_hz"], told["layout"], len(told["strips"])) == (500, "3x4+1", 13)
    v2 = next(strip for strip in told["strips"] if strip["lead"] == "V2")
    np.testing.assert_allclose(v2["millivolts"], millivolts(Lead.V2, 5.0, 2.5), atol=6e-5)
    assert set(v2["seen"]) == {1}
    assert [strip["rhythm"] for strip in told["strips"]].count(True) == 1
    assert told["strips"][-1]["rhythm"]


def test_what_was_measured_comes_in_its_unit(world: World) -> None:
    heart = synthetic_ecg(np.random.default_rng(11), 10.0, 500)
    quiet = np.full(5000, 0.01, np.float32)
    strips = [Strip(lead, 0.0, mv, quiet, np.ones(5000, np.uint8)) for lead, mv in zip(TWELVE, heart, strict=True)]
    job_id = world.receive()
    world.work(of=recording(strips, "12x1"))
    told = world.get(f"/jobs/{job_id}/pages/1/waveform")
    rate, *others = told["measurements"]
    assert (rate["code"], rate["unit"]) == ("heart_rate", "/min")
    assert 30 < rate["value"] < 200
    assert {each["unit"] for each in others} <= {"ms", "deg"}
    assert all(each["error"] > 0 and each["beats"] > 2 for each in told["measurements"])
    codes = [each["code"] for each in (*told["measurements"], *told["not_measured"])]
    assert sorted(codes) == sorted(MeasuredRow)
    page = world.get(f"/jobs/{job_id}")["page_list"][0]
    assert (page["measurements"], page["not_measured"]) == (told["measurements"], told["not_measured"])


def test_what_is_measured_is_what_goes_out_without_the_leads_that_nobody_believes(world: World) -> None:
    heart = synthetic_ecg(np.random.default_rng(11), 10.0, 500)
    quiet = np.full(5000, 0.01, np.float32)
    strips = [Strip(lead, 0.0, mv, quiet, np.ones(5000, np.uint8)) for lead, mv in zip(TWELVE, heart, strict=True)]
    job_id = world.receive()
    world.work(0.5, of=recording(strips, "12x1"))
    before = world.get(f"/jobs/{job_id}/pages/1/waveform")["measurements"]
    assert before
    world.post(f"/jobs/{job_id}/invalid-leads", {"leads": list(TWELVE)})
    without = world.get(f"/jobs/{job_id}/pages/1/waveform")
    assert without["measurements"] == []
    assert {each["reason"] for each in without["not_measured"]} == {"rate_unsure"}
    assert world.get(f"/jobs/{job_id}")["page_list"][0]["measurements"] == []
    world.post(f"/jobs/{job_id}/invalid-leads", {"leads": []})
    assert world.get(f"/jobs/{job_id}/pages/1/waveform")["measurements"] == before


def test_every_kind_of_document_can_be_had_of_a_page(world: World) -> None:
    job_id = world.job()
    listed = world.get(f"/jobs/{job_id}/documents")["items"]
    assert {item["kind"] for item in listed} == set(DocumentKind)
    for item in listed:
        answer = world.who(Role.VIEWER).get(f"/api/v1/jobs/{job_id}/documents/{item['kind']}", params={"page": 1})
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith(item["media_type"])
        assert item["file_name"] in answer.headers["content-disposition"]
        assert "4711" not in answer.headers["content-disposition"]
        assert answer.content
    assert "page 1 pdf" in [entry.detail.get("what") for entry in world.store.audit_queries.job_audit(job_id)]


def test_every_document_but_the_report_is_told_as_text(world: World) -> None:
    job_id = world.job()
    viewer = world.who(Role.VIEWER)
    for kind in DocumentKind:
        answer = viewer.get(f"/api/v1/jobs/{job_id}/documents/{kind}/text", params={"page": 1})
        if kind is DocumentKind.PDF:
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        else:
            assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8"), kind
            assert len(answer.text) > 100, kind
    assert "Patient's Name" in viewer.get(f"/api/v1/jobs/{job_id}/documents/dicom_waveform/text").text
    accesses = {entry.detail["what"] for entry in world.store.audit_queries.job_audit(job_id) if entry.kind == "looked"}
    assert accesses == {f"page 1 {kind}" for kind in DocumentKind if kind is not DocumentKind.PDF}  # which nobody saw
    held = world.job(0.5, whose=order(acquired_at=""))
    assert world.get(f"/jobs/{held}/documents/dicom_waveform/text", expect=422)["code"] == "no_acquisition_date"


def test_a_document_that_was_sent_is_the_very_one(world: World) -> None:
    job_id = world.job()
    sent = {row.kind: world.store.object_path(row.sha256).read_bytes() for row in world.store.deliveries(job_id)}
    for kind, data in sent.items():
        assert world.who(Role.VIEWER).get(f"/api/v1/jobs/{job_id}/documents/{kind}").content == data
    dataset = pydicom.dcmread(io.BytesIO(sent[DocumentKind.DICOM_WAVEFORM]))
    assert dataset.PatientID == "4711"


def test_what_was_sent_as_another_patient_is_not_handed_out_under_what_the_job_says_now(
    make_world: Callable[..., World],
) -> None:
    world = make_world(web={"four_eyes": True})
    job_id = world.job()
    old = {row.kind: world.store.object_path(row.sha256).read_bytes() for row in world.store.deliveries(job_id)}
    world.deliver("out")
    delivery = world.store.claim_delivery("ehr", 60)
    assert delivery is not None
    world.store.park(delivery, "rejected", "unknown patient")
    world.post(f"/jobs/{job_id}/identify", {"patient_id": "0815"}, name="rita")
    world.work()
    assert world.get(f"/jobs/{job_id}")["order"]["patient_id"] == "0815"
    kind = DocumentKind.DICOM_WAVEFORM
    data = world.who(Role.VIEWER).get(f"/api/v1/jobs/{job_id}/documents/{kind}").content
    assert data != old[kind]
    assert pydicom.dcmread(io.BytesIO(data)).PatientID == "0815"
    assert all(item["sent_to"] == [] for item in world.get(f"/jobs/{job_id}/documents")["items"])


def test_after_a_correction_the_old_reading_is_shown_as_such_and_no_document_is_made_of_it(world: World) -> None:
    job_id = world.job(0.5)
    said = {"speed_mm_s": 50, "gain_mm_mv": 20}

    def shown() -> tuple[bool, bool, set[str]]:
        (page,) = world.get(f"/jobs/{job_id}")["page_list"]
        waveform = world.get(f"/jobs/{job_id}/pages/1/waveform")
        codes = {finding["code"] for finding in page["findings"] + waveform["findings"]}
        return page["outdated"], waveform["outdated"], codes & {"corrected_by_person"}

    assert shown() == (False, False, set())
    world.post(f"/jobs/{job_id}/correct", {"page": 1, **said})
    assert shown() == (True, True, set())
    assert world.get(f"/jobs/{job_id}")["page_list"][0]["review"]["correction"]["speed_mm_s"] == 50
    assert world.get(f"/jobs/{job_id}/documents")["items"] == []
    for kind in DocumentKind:
        answer = world.get(f"/jobs/{job_id}/documents/{kind}", expect=409)
        assert "being digitized again" in answer["why"]
    world.work(0.5)
    assert shown() == (False, False, {"corrected_by_person"})
    assert b"speed 50 mm/s" in world.who(Role.VIEWER).get(f"/api/v1/jobs/{job_id}/documents/aecg").content
    assert world.get(f"/jobs/{job_id}/documents")["items"]
    world.post(f"/jobs/{job_id}/correct", {"page": 1})  # taken back: what is there was read as it was said before
    assert shown() == (True, True, {"corrected_by_person"})


def test_while_a_job_is_done_again_no_document_of_it_is_made(world: World) -> None:
    job_id = world.job(0.5)
    world.post(f"/jobs/{job_id}/retry")
    assert world.get(f"/jobs/{job_id}")["page_list"][0]["outdated"] is False
    assert "being digitized again" in world.get(f"/jobs/{job_id}/documents/pdf", expect=409)["why"]


def test_what_is_handed_out_of_a_held_job_says_that_it_was_not_released(world: World) -> None:
    job_id = world.job(0.5)
    words = b"not released"
    for item in world.get(f"/jobs/{job_id}/documents")["items"]:
        assert "-not-released" in item["file_name"]
        answer = world.who(Role.VIEWER).get(f"/api/v1/jobs/{job_id}/documents/{item['kind']}")
        assert answer.status_code == 200
        assert item["file_name"] in answer.headers["content-disposition"]
        if item["kind"] in ("aecg", "dicom_waveform", "hl7v2", "edf"):
            assert words in answer.content, item["kind"]
        if item["kind"] == "wfdb":
            with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
                assert any(words in archive.read(name) for name in archive.namelist())
        if item["kind"] == "pdf":
            text = PdfDocument(answer.content)[0].get_textpage().get_text_bounded()
            assert words.decode() in " ".join(text.split())
            assert "held: low_confidence" in " ".join(text.split())
    released = world.job()
    assert all("released" not in item["file_name"] for item in world.get(f"/jobs/{released}/documents")["items"])
    assert words not in world.who(Role.VIEWER).get(f"/api/v1/jobs/{released}/documents/hl7v2").content


def test_what_waits_for_its_destination_only_was_released(world: World) -> None:
    job_id = world.job()
    delivery = world.store.claim_delivery("ehr", 60)
    assert delivery is not None
    world.store.park(delivery, "rejected", "unknown patient")
    assert world.get(f"/jobs/{job_id}")["state"] == "held"
    assert b"not released" not in world.who(Role.VIEWER).get(f"/api/v1/jobs/{job_id}/documents/edf").content


def test_nothing_is_handed_out_of_a_refused_job(world: World) -> None:
    job_id = world.job(0.5)
    world.post(f"/jobs/{job_id}/give-up", {"comment": "another hospital's"})
    assert world.get(f"/jobs/{job_id}/documents")["items"] == []
    for kind in DocumentKind:
        assert "refused" in world.get(f"/jobs/{job_id}/documents/{kind}", expect=409)["why"]


def test_a_document_that_cannot_be_made_says_why(world: World) -> None:
    job_id = world.job(0.5, whose=order(acquired_at=""))
    answer = world.get(f"/jobs/{job_id}/documents/aecg", expect=422)
    assert answer["code"] == "no_acquisition_date"
    text = world.who(Role.VIEWER).get(f"/api/v1/jobs/{job_id}/documents/csv").text
    assert next(csv.reader([text.splitlines()[0]]))[:2] == ["time_s", "I"]
    assert world.get(f"/jobs/{job_id}/documents/spreadsheet", expect=422)["code"] == "not_valid"


def test_a_page_that_was_not_read_has_an_image_and_nothing_else(world: World) -> None:
    job_id = world.receive()
    picture(world, f"/jobs/{job_id}/pages/1/image", width=100)
    for path in ("waveform", "rectified"):
        world.get(f"/jobs/{job_id}/pages/1/{path}", expect=404)
    assert world.get(f"/jobs/{job_id}/documents")["items"] == []


def test_pictures_are_kept_up_to_so_many_bytes() -> None:
    kept, made = Pictures(most_bytes=10), []

    def make(name: str) -> bytes:
        made.append(name)
        return b"12345"

    for name in ("a", "b", "a", "c", "a", "b"):
        kept.get((name,), lambda name=name: make(name))  # type: ignore[misc]
    assert made == ["a", "b", "c", "b"]


def test_a_look_is_written_down_in_every_store_wherever_that_lies_in_memory() -> None:
    """A store that is gone leaves its address to the next one, and must not leave its looks too."""
    accesses, written = AccessLog(), []

    class FakeStore:
        def record_access(self, actor: str, job_id: str, what: str, recording: str) -> None:
            written.append(what)

    for _ in range(5):
        store = FakeStore()
        accesses.write_down(store, "anna", "job", "page")  # type: ignore[arg-type]
        accesses.write_down(store, "anna", "job", "page")  # type: ignore[arg-type]
        del store
    assert written == ["page"] * 5
