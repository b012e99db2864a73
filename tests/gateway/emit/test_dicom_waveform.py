"""gateway/emit/dicom_waveform: what is in the object, read with pydicom."""

from __future__ import annotations

import warnings
from dataclasses import replace
from datetime import timedelta
from io import BytesIO

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import GeneralECGWaveformStorage, TwelveLeadECGWaveformStorage

from gateway.emit import dicom_waveform
from gateway.emit.emitted import Emitted
from gateway.errors import Held, Refused
from gateway.identity.order import Order, Patient, SourceImage
from pipeline.recording import TWELVE, Finding, Known, Lead, MadeBy, Recording, Scale, Severity
from tests import recordings as make


def emitted(recording: Recording, order: Order | None = None, **settings: object) -> Emitted:
    values: dict[str, object] = {"source_sha256": make.SHA256, "page": 1, "made_at": make.MADE_AT}
    return dicom_waveform.emit(recording, order or make.order(), **(values | settings))  # type: ignore[arg-type]


def read(recording: Recording, order: Order | None = None, **settings: object) -> Dataset:
    return dcmread(BytesIO(emitted(recording, order, **settings).data))


def making(ds: Dataset) -> str:
    """How the samples were made: no reader of the ECG is shown this beside the trace."""
    (equipment,) = ds.ContributingEquipmentSequence
    return str(equipment.ContributionDescription)


def finding_of(ds: Dataset) -> Dataset:
    (found,) = [note for note in ds.WaveformAnnotationSequence if note.UnformattedTextValue.startswith("WARNING")]
    return found


def texts(ds: Dataset) -> list[str]:
    return [str(note.UnformattedTextValue) for note in ds.WaveformAnnotationSequence if "UnformattedTextValue" in note]


def test_padded_is_one_group_of_thirteen_channels_over_ten_seconds() -> None:
    ds = read(make.three_by_four(), encoding="padded")
    assert ds.SOPClassUID == TwelveLeadECGWaveformStorage
    (group,) = ds.WaveformSequence
    assert (group.NumberOfWaveformChannels, group.NumberOfWaveformSamples) == (13, 5000)
    labels = [c.ChannelLabel for c in group.ChannelDefinitionSequence]
    assert labels == [lead.value for lead in TWELVE] + ["II rhythm"]
    assert group.WaveformPaddingValue == b"\x00\x80"


def test_pydicom_reads_millivolts_back() -> None:
    recording = make.three_by_four()
    ds = read(recording, encoding="padded")
    array = ds.waveform_array(0)  # microvolts, padding not minded
    for number, lead in enumerate(TWELVE):
        strip = next(s for s in recording.strips if s.lead == lead)
        first = round(strip.start_s * 500)
        got = array[first : first + strip.samples, number] / 1000.0
        assert np.abs(got - strip.millivolts).max() <= 0.0005 + 1e-6
        rest = np.delete(array[:, number], slice(first, first + strip.samples))
        assert set(rest) == {-32768.0}


def test_groups_are_four_columns_and_the_rhythm_strip() -> None:
    ds = read(make.three_by_four(), encoding="groups")
    assert ds.SOPClassUID == TwelveLeadECGWaveformStorage
    sizes = [(g.NumberOfWaveformChannels, g.NumberOfWaveformSamples) for g in ds.WaveformSequence]
    assert sizes == [(3, 1250)] * 4 + [(1, 5000)]
    labels = [g.MultiplexGroupLabel for g in ds.WaveformSequence]
    assert labels == ["0.00-2.50 s", "2.50-5.00 s", "5.00-7.50 s", "7.50-10.00 s", "0.00-10.00 s"]
    assert not any("MultiplexGroupTimeOffset" in g or "WaveformPaddingValue" in g for g in ds.WaveformSequence)


def millivolts(ds: Dataset) -> dict[str, np.ndarray]:
    """By channel label; a reader that knows of no padding takes every sample for a voltage."""
    labels = [c.ChannelLabel for c in ds.WaveformSequence[0].ChannelDefinitionSequence]
    return dict(zip(labels, ds.waveform_array(0).T / 1000.0, strict=True))


@pytest.mark.parametrize(
    "recording",
    [
        make.three_by_four(()),
        make.three_by_four(),
        make.three_by_four((Lead.V1, Lead.II, Lead.V5)),
        make.six_by_two((Lead.II,)),
        make.twelve_by_one(),
        make.with_gaps(),
    ],
    ids=["3x4", "3x4+1", "3x4+3", "6x2+1", "12x1", "with gaps"],
)
def test_viewers_get_twelve_leads_in_one_group_with_zeros_where_nothing_is_printed(recording: Recording) -> None:
    ds = read(recording)
    assert ds.SOPClassUID == TwelveLeadECGWaveformStorage
    (group,) = ds.WaveformSequence
    assert "WaveformPaddingValue" not in group
    assert "MultiplexGroupLabel" not in group
    assert list(millivolts(ds)) == list(TWELVE)
    for name, got in millivolts(ds).items():
        longest = recording.twelve().millivolts[TWELVE.index(Lead(name))]
        assert np.abs(got - np.nan_to_num(longest)).max() <= 0.0005 + 1e-6
        assert not got[np.isnan(longest)].any()


def test_zeros_that_nobody_printed_are_told_of_each_lead() -> None:
    ds = read(make.with_gaps())
    assert ds.SeriesDescription == "Digitized paper ECG, preliminary; 0 = not printed or not read"
    assert len(ds.SeriesDescription) <= 64
    told = texts(ds)
    assert "aVR printed 2.5 to 5.0 s; elsewhere 0, which means nothing." in told
    assert "II printed 0.0 to 10.0 s; elsewhere 0, which means nothing. Not read, and 0: 4.0 to 4.5 s." in told
    assert told[-1].endswith("longest strip of each lead: II 0.0 to 2.5 s.")
    for channel in ds.WaveformSequence[0].ChannelDefinitionSequence:
        assert channel.ChannelStatus == "QUESTIONABLE"
        assert len(channel.ChannelDerivationDescription) <= 64
    v6 = ds.WaveformSequence[0].ChannelDefinitionSequence[11]
    assert v6.ChannelDerivationDescription == "Paper 7.50-10.00 s, else 0; SD 12 uV; 100% read, 0% bridged"


def test_a_lead_that_is_printed_all_the_time_is_ok_and_has_no_zeros() -> None:
    ds = read(make.twelve_by_one())
    assert {c.ChannelStatus for c in ds.WaveformSequence[0].ChannelDefinitionSequence} == {"OK"}
    assert "V6 printed 0.0 to 10.0 s." in texts(ds)


def test_a_lead_that_is_not_on_the_page_is_a_channel_of_zeros_and_not_valid() -> None:
    strips = [s for s in make.twelve_by_one().strips if s.lead != Lead.AVR]
    empty = [make.strip(Lead.V6, 0.0, 10.0, ((0.0, 10.0),))]
    ds = read(make.recording(strips[:-1] + empty, "12x1"))
    (group,) = ds.WaveformSequence
    status = {c.ChannelLabel: c.ChannelStatus for c in group.ChannelDefinitionSequence}
    assert list(status) == list(TWELVE)
    assert (status["aVR"], status["V6"], status["V5"]) == ("INVALID", "INVALID", "OK")
    assert not millivolts(ds)["aVR"].any()
    assert "aVR is not on the page: its samples are 0 and mean nothing." in texts(ds)
    assert "V6 printed 0.0 to 10.0 s and not read: its samples are 0 and mean nothing." in texts(ds)


def test_a_longer_strip_of_which_nothing_was_read_does_not_take_the_place_of_one_that_was() -> None:
    recording = make.three_by_four(())
    unread = make.strip(Lead.II, 0.0, 10.0, ((0.0, 10.0),))
    ds = read(make.recording([*recording.strips, unread], "3x4+1"))
    assert np.abs(millivolts(ds)["II"]).max() > 0.3


def test_leads_are_named_by_the_scheme_that_the_destination_reads() -> None:
    meanings = [f"Lead {lead}" for lead in TWELVE]
    schemes = {"MDC": ("2:1", "2:62", "2:8"), "SCPECG": ("5.6.3-9-1", "5.6.3-9-62", "5.6.3-9-8")}
    for scheme, codes in schemes.items():
        ds = read(make.three_by_four(), channel_codes=scheme)
        sources = [c.ChannelSourceSequence[0] for c in ds.WaveformSequence[0].ChannelDefinitionSequence]
        assert {source.CodingSchemeDesignator for source in sources} == {scheme}
        assert [source.CodeMeaning for source in sources] == meanings
        assert tuple(sources[number].CodeValue for number in (0, 3, 11)) == codes


def test_fifteen_strips_go_out_padded_as_general_ecg() -> None:
    for encoding in ("padded", "groups", "general"):
        ds = read(make.three_by_four((Lead.V1, Lead.II, Lead.V5)), encoding=encoding)
        assert ds.SOPClassUID == GeneralECGWaveformStorage
        assert [g.NumberOfWaveformChannels for g in ds.WaveformSequence] == [15]


def test_a_recording_longer_than_twelve_lead_ecg_holds_is_general_ecg() -> None:
    recording = make.recording([make.strip(lead, 0.0, 40.0) for lead in TWELVE], "12x1")
    for encoding in ("viewers", "padded", "groups", "general"):
        ds = read(recording, encoding=encoding)
        assert ds.SOPClassUID == GeneralECGWaveformStorage
        assert [g.NumberOfWaveformChannels for g in ds.WaveformSequence] == [12]


def test_nothing_is_padded_where_everything_was_printed() -> None:
    ds = read(make.twelve_by_one(), encoding="padded")
    assert "WaveformPaddingValue" not in ds.WaveformSequence[0]


def test_the_same_input_gives_the_same_bytes() -> None:
    assert emitted(make.with_gaps()) == emitted(make.with_gaps())


def test_how_long_it_took_does_not_change_the_object() -> None:
    slow = replace(make.three_by_four(), seconds=(("waveform", 99.0),))
    assert emitted(slow) == emitted(make.three_by_four())


@pytest.mark.parametrize(
    "change",
    [
        {"recording": make.with_gaps()},
        {"recording": replace(make.three_by_four(), made_by=MadeBy("0.2.0"))},
        {"order": make.order(patient=Patient("4712"))},
        {"encoding": "groups"},
        {"originality": "ORIGINAL"},
        {"channel_codes": "SCPECG"},
        {"page": 2},
        {"source_sha256": "00" * 32},
        {"made_at": make.MADE_AT + timedelta(seconds=1)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_content_has_another_uid(change: dict[str, object]) -> None:
    recording = change.pop("recording", make.three_by_four())
    assert emitted(recording, **change).name != emitted(make.three_by_four()).name  # type: ignore[arg-type]


def test_name_is_the_sop_instance_uid() -> None:
    out = emitted(make.three_by_four())
    ds = dcmread(BytesIO(out.data))
    assert out.name == ds.SOPInstanceUID == ds.file_meta.MediaStorageSOPInstanceUID
    assert out.name.startswith("2.25.")
    assert len(out.name) <= 64


def test_study_and_patient_are_the_sources_own_and_the_series_is_new() -> None:
    order = make.order()
    ds = read(make.three_by_four(), order)
    assert ds.StudyInstanceUID == order.study_uid
    assert (ds.PatientID, ds.IssuerOfPatientID, str(ds.PatientName)) == ("4711", "1.2.276.99", "Doe^Jane^Q^Dr^Jr")
    assert (ds.PatientBirthDate, ds.PatientSex, ds.AccessionNumber) == ("19540131", "F", "A-17")
    assert ds.SeriesInstanceUID.startswith("2.25.")


def test_pages_of_one_document_are_one_series_and_each_its_own_instance() -> None:
    first, second = read(make.three_by_four(), page=1), read(make.three_by_four(), page=2)
    assert first.SeriesInstanceUID == second.SeriesInstanceUID
    assert (first.InstanceNumber, second.InstanceNumber) == (1, 2)


def test_two_patients_of_one_picture_never_share_a_study_of_our_own() -> None:
    studies = {
        read(make.three_by_four(), make.order(study_uid="", patient=Patient(number, issuer))).StudyInstanceUID
        for number, issuer in (("1", ""), ("2", ""), ("1", "other"))
    }
    assert len(studies) == 3


def test_what_is_unknown_stays_empty() -> None:
    ds = read(make.three_by_four(), Order(study_uid="1.2.3", acquired_at="2024"))
    for keyword in [
        "PatientName",
        "PatientID",
        "PatientBirthDate",
        "PatientSex",
        "StudyDate",
        "StudyTime",
        "StudyID",
        "AccessionNumber",
        "ReferringPhysicianName",
    ]:
        assert keyword in ds
        assert not ds[keyword].value
    for keyword in ("IssuerOfPatientID", "InstitutionName", "AdmissionID", "ReferencedInstanceSequence"):
        assert keyword not in ds
    assert ds.AcquisitionDateTime == "2024"


def test_no_acquisition_date_holds_the_page() -> None:
    with pytest.raises(Held) as caught:
        emitted(make.three_by_four(), make.order(acquired_at=""))
    assert caught.value.code == "no_acquisition_date"


@pytest.mark.parametrize(
    "order",
    [
        make.order(accession_number="1" * 257),
        make.order(study_uid="not a UID"),
        make.order(patient=Patient("47\\11")),
        make.order(patient=Patient("4711", name="Doe\nJane")),
        make.order(patient=Patient("4711", name="Doe^Jane=a=b=c")),
        make.order(patient=Patient("4711", birth_date="31.1.1954")),
        make.order(patient=Patient("4711", sex="female")),
        make.order(study_date="2024"),
        make.order(study_time="25h"),
    ],
)
def test_a_text_that_dicom_forbids_holds_the_page_and_is_not_repeated(order: Order) -> None:
    with pytest.raises(Held) as caught:
        emitted(make.three_by_four(), order)
    assert caught.value.code == "bad_identity"
    assert "4711" not in caught.value.why
    assert "Doe" not in caught.value.why


def test_a_number_longer_than_dicom_allows_is_sent_whole() -> None:
    order = make.order(accession_number="ACC-2024-000012345678", patient=Patient("4711", name="x" * 70))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = emitted(make.three_by_four(), order).data
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the reader, that they are too long
        ds = dcmread(BytesIO(data))
        assert ds.AccessionNumber == "ACC-2024-000012345678"
        assert len(str(ds.PatientName)) == 70


def test_ascii_needs_no_character_set_and_others_are_unicode() -> None:
    assert "SpecificCharacterSet" not in read(make.three_by_four())
    name = "Müller^Jürgen=山田^太郎"
    ds = read(make.three_by_four(), make.order(patient=Patient("4711", name=name)))
    assert ds.SpecificCharacterSet == "ISO_IR 192"
    assert str(ds.PatientName) == name


def test_the_source_image_is_referenced() -> None:
    ds = read(make.three_by_four())
    (converted,), (reference,) = ds.ConversionSourceAttributesSequence, ds.ReferencedInstanceSequence
    for item in (converted, reference):
        assert item.ReferencedSOPInstanceUID == "1.2.826.1.3680043.10.999.2"
    assert reference.PurposeOfReferenceCodeSequence[0].CodeValue == "121324"
    assert "ReferencedFrameNumber" not in converted


def test_the_frame_of_a_multi_frame_source_is_named() -> None:
    order = make.order(source=SourceImage("1.2.840.10008.5.1.4.1.1.7.2", "1.2.3"))
    assert read(make.three_by_four(), order, page=3).ConversionSourceAttributesSequence[0].ReferencedFrameNumber == 3


def test_software_and_weights_are_told() -> None:
    ds = read(make.three_by_four())
    (equipment,) = ds.ContributingEquipmentSequence
    assert equipment.PurposeOfReferenceCodeSequence[0].CodeValue == "109103"
    assert list(equipment.SoftwareVersions) == ["0.1.0", "grid " + "ab" * 8, "waveform " + "cd" * 8]
    for sha256 in ("ab" * 32, "cd" * 32, make.SHA256):
        assert sha256 in making(ds)
        assert not any(sha256 in text for text in texts(ds))
    assert len(making(ds)) <= 1024


@pytest.mark.parametrize("encoding", ["viewers", "padded", "groups", "general"])
def test_provenance_is_one_line_beside_the_findings_and_the_printed_times(encoding: str) -> None:
    finding = Finding("gap_not_read", Severity.WARNING, Lead.V2, 6.0, 6.2)
    first, second, *rest = texts(read(make.with_gaps((finding,)), encoding=encoding))
    assert first.startswith("Digitized from a picture of a paper ECG (3x4+1, 25 mm/s, 10 mm/mV) by ")
    assert first.endswith("Preliminary: no person has checked the traces.")
    assert second.startswith("WARNING: A stretch of the lead could not be read")
    assert rest
    assert all("rinted" in text for text in rest)


def test_derived_unless_the_destination_says_otherwise() -> None:
    assert read(make.three_by_four()).WaveformSequence[0].WaveformOriginality == "DERIVED"
    told = read(make.three_by_four(), originality="ORIGINAL")
    assert told.WaveformSequence[0].WaveformOriginality == "ORIGINAL"
    assert any(text.startswith("Digitized from a picture of a paper ECG") for text in texts(told))


def test_scales_say_how_they_are_known() -> None:
    recording = replace(make.three_by_four(), speed_mm_s=Scale(50.0, Known.ASSUMED))
    ds = read(recording)
    assert "Paper speed 50 mm/s, assumed, not seen on the page" in making(ds)
    assert "(3x4+1, 50 mm/s assumed, 10 mm/mV)" in texts(ds)[0]


def test_findings_are_annotations_of_their_channel_and_seconds() -> None:
    finding = Finding("gap_not_read", Severity.WARNING, Lead.V2, 6.0, 6.2)
    padded = finding_of(read(make.with_gaps((finding,)), encoding="padded"))
    assert list(padded.ReferencedWaveformChannels) == [1, 8]
    assert list(padded.ReferencedSamplePositions) == [3001, 3100]
    groups = finding_of(read(make.with_gaps((finding,)), encoding="groups"))
    assert list(groups.ReferencedWaveformChannels) == [3, 2]
    assert list(groups.ReferencedSamplePositions) == [501, 600]


def test_what_was_measured_is_a_coded_number_of_all_channels_and_one_line_tells_the_errors() -> None:
    ds = read(make.three_by_four(), measurements=make.TOLD)
    numbers = [note for note in ds.WaveformAnnotationSequence if "NumericValue" in note]
    told = {
        (code.CodeValue, code.CodingSchemeDesignator): (float(note.NumericValue), unit.CodeValue)
        for note in numbers
        for code in note.ConceptNameCodeSequence
        for unit in note.MeasurementUnitsCodeSequence
    }
    assert told[("2:15872", "MDC")] == (162, "ms")
    assert told[("8867-4", "LN")] == (72, "/min")
    assert told[("2:16132", "MDC")] == (-30, "deg")
    assert len(told) == len(numbers) == 8
    assert all(note.ReferencedWaveformChannels == [1, 0] and note.AnnotationGroupNumber == 2 for note in numbers)
    (line,) = [text for text in texts(ds) if text.startswith("Measured on the digitized page")]
    assert "P-R Interval 162 ± 9 ms" in line
    assert "P wave axis, T wave axis not given: where the wave begins or ends is too unsure on this page." in texts(ds)


def test_channel_status_is_written() -> None:
    ds = read(make.three_by_four(findings=(Finding("flat_lead", Severity.WARNING, Lead.V6),)), encoding="padded")
    status = {c.ChannelLabel: c.ChannelStatus for c in ds.WaveformSequence[0].ChannelDefinitionSequence}
    assert status["V6"] == "QUESTIONABLE"
    assert status["V5"] == "OK"


def test_clipped_samples_are_told() -> None:
    recording = make.three_by_four()
    strips = list(recording.strips)
    mv = strips[0].millivolts.copy()
    mv[7] = -99.0
    strips[0] = replace(strips[0], millivolts=mv)
    ds = read(replace(recording, strips=tuple(strips)))
    assert ds.WaveformSequence[0].ChannelDefinitionSequence[0].ChannelStatus == "INVALID"
    assert ds.waveform_array(0)[7, 0] == -32767.0  # not the padding value
    assert any(text.startswith("I: 1 samples beyond") for text in texts(ds))


def test_nothing_printed_is_refused() -> None:
    empty = make.recording([make.strip(Lead.I, 0.0, 2.5, ((0.0, 2.5),))], "3x4")
    for recording in (empty, make.recording([], "3x4")):
        with pytest.raises(Refused) as caught:
            emitted(recording)
        assert caught.value.code == "nothing_printed"


def test_a_rate_no_ecg_object_may_have_is_our_fault() -> None:
    with pytest.raises(ValueError, match="100 Hz"):
        emitted(replace(make.three_by_four(), rate_hz=100))


def test_content_time_is_when_the_result_was_made_on_the_clock_of_the_place() -> None:
    ds = read(make.three_by_four())
    assert (ds.ContentDate, ds.ContentTime, ds.TimezoneOffsetFromUTC) == ("20261122", "153140", "+0100")
    assert ds.ContributingEquipmentSequence[0].ContributionDateTime == "20261122153140+0100"
    assert "TimezoneOffsetFromUTC" not in read(make.three_by_four(), made_at=make.MADE_AT.replace(tzinfo=None))


def test_a_later_reading_of_a_page_has_another_instance_number() -> None:
    numbers = [read(make.three_by_four(), page=2, reading=reading).InstanceNumber for reading in (1, 2, 3)]
    assert numbers == [2, 10_002, 20_002]


def test_a_study_of_our_own_is_described_and_one_of_others_is_not() -> None:
    assert read(make.three_by_four(), make.order(study_uid="")).StudyDescription == "ECG digitized from paper"
    assert "StudyDescription" not in read(make.three_by_four())
