"""The fax door: what it takes, when, and for whom."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from gateway.config import Config, DataSection, FaxInboxSection, FolderDestination
from gateway.errors import ConfigError, OutOfSpace
from gateway.identity.order import Order, Patient
from gateway.intake import fax_inbox
from gateway.intake.fax_inbox import FaxInbox
from gateway.intake.fax_inbox.identity import KEYS, ORDER_KEYS, PATIENT_KEYS, order_from_sidecar
from gateway.intake.fax_inbox.settling import EMPTY_PATIENCE_S, ORPHAN_PATIENCE_S, Watch
from gateway.job import Door, Job
from gateway.store import Store
from tests.dicom_objects import dicom_object, encoded, gradient, pdf_of, put_pixels, save

SETTLE_S = 3.0
PNG = encoded(gradient(), "PNG")


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(DataSection(folder=tmp_path / "data", reserve_mb=0)) as opened:
        yield opened


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "inbox"
    made.mkdir()
    return made


def inbox_of(folder: Path, store: Store, clock: Clock, others: Sequence[Path] = (), **settings: object) -> FaxInbox:
    """others: the folders of other inboxes."""
    section = FaxInboxSection.model_validate(
        {"name": "ward", "folder": folder, "settle_s": SETTLE_S, "file_max_mb": 1, **settings}
    )
    elsewhere = tuple(FaxInboxSection(name=f"other {n}", folder=other) for n, other in enumerate(others))
    inbox = FaxInbox(section, Config(fax_inbox=(section, *elsewhere)), store)
    inbox._watch = Watch(SETTLE_S, clock)
    return inbox


@pytest.fixture
def inbox(folder: Path, store: Store, clock: Clock) -> FaxInbox:
    return inbox_of(folder, store, clock)


def settle(inbox: FaxInbox, clock: Clock, seconds: float = SETTLE_S) -> None:
    """Polls, waits, polls."""
    inbox.poll()
    clock.now += seconds
    inbox.poll()


def only_job(store: Store) -> Job:
    (job,) = store.jobs()
    return job


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if entry.is_file()) if folder.exists() else []


def reason(folder: Path, name: str) -> str:
    return (folder / "refused" / f"{name}.reason.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (PNG, "image/png"),
        (encoded(gradient(), "JPEG"), "image/jpeg"),
        (encoded(gradient(), "TIFF"), "image/tiff"),
        (pdf_of(gradient()), "application/pdf"),
    ],
)
def test_takes_a_settled_document_of_every_kind_whatever_its_name(
    inbox: FaxInbox, clock: Clock, store: Store, folder: Path, data: bytes, media_type: str
) -> None:
    (folder / "fax.dat").write_bytes(data)
    settle(inbox, clock)
    job = only_job(store)
    assert (job.arrival.door, job.arrival.sender, job.arrival.media_type) == (Door.FAX, "ward", media_type)
    assert job.arrival.order == Order()
    assert store.content(job).read_bytes() == data
    assert names(folder) == []
    assert (folder / "taken" / "fax.dat").read_bytes() == data


def test_waits_until_a_file_has_stopped_growing(inbox: FaxInbox, clock: Clock, store: Store, folder: Path) -> None:
    path = folder / "fax.png"
    for end in (100, 200, len(PNG)):
        path.write_bytes(PNG[:end])
        settle(inbox, clock, SETTLE_S - 0.5)
        assert store.jobs() == []
    clock.now += SETTLE_S
    inbox.poll()
    assert store.content(only_job(store)).read_bytes() == PNG


def test_a_file_that_grows_while_it_is_copied_is_taken_later(
    inbox: FaxInbox, clock: Clock, store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "fax.png"
    path.write_bytes(PNG[:-10])
    room = store.room

    def grown_meanwhile() -> None:
        path.write_bytes(PNG)
        room()

    inbox.poll()
    clock.now += SETTLE_S
    monkeypatch.setattr(store, "room", grown_meanwhile)
    inbox.poll()
    assert store.jobs() == []
    monkeypatch.setattr(store, "room", room)
    settle(inbox, clock)
    assert store.content(only_job(store)).read_bytes() == PNG
    assert names(store.staging) == [".lock"]


class Meanwhile:
    """Does something to the folder right after the store has been asked for something, once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, store: Store, verb: str, change: Callable[[], object]) -> None:
        self._asked = getattr(store, verb)
        self._change: Callable[[], object] | None = change
        monkeypatch.setattr(store, verb, self)

    def __call__(self, *args: object, **kwargs: object) -> object:
        answer = self._asked(*args, **kwargs)
        change, self._change = self._change, None
        if change is not None:
            change()
        return answer


NEXT = encoded(255 - gradient(), "PNG")


def replace(path: Path, data: bytes) -> None:
    """Puts another file under a name, as a fax server does that writes under another name first."""
    hidden = path.with_name(".next")
    hidden.write_bytes(data)
    hidden.rename(path)


@pytest.mark.parametrize("put", [replace, Path.write_bytes])
def test_a_file_that_comes_under_the_name_of_one_just_committed_is_not_lost(
    inbox: FaxInbox,
    clock: Clock,
    store: Store,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    put: Callable[[Path, bytes], object],
) -> None:
    path = folder / "fax.png"
    path.write_bytes(PNG)
    Meanwhile(monkeypatch, store, "receive", lambda: put(path, NEXT))
    settle(inbox, clock)
    assert path.read_bytes() == NEXT
    assert names(folder / "taken") == []
    settle(inbox, clock)
    assert [store.content(job).read_bytes() for job in store.jobs()] == [NEXT, PNG]
    assert (folder / "taken" / "fax.png").read_bytes() == NEXT


def test_the_next_document_does_not_get_the_sidecar_of_the_one_before(
    inbox: FaxInbox, clock: Clock, store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "fax.png").write_bytes(PNG)
    (folder / "fax.png.json").write_text('{"patient_id": "P-1"}')
    Meanwhile(monkeypatch, store, "receive", lambda: replace(folder / "fax.png", NEXT))
    settle(inbox, clock)
    settle(inbox, clock)
    assert [job.arrival.order.patient.patient_id for job in store.jobs() if job.arrival.order] == ["", "P-1"]
    assert names(folder) == []


def test_the_next_document_keeps_its_own_sidecar(
    inbox: FaxInbox, clock: Clock, store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def next_one() -> None:
        replace(folder / "fax.png", NEXT)
        replace(folder / "fax.png.json", b'{"patient_id": "P-2"}')

    (folder / "fax.png").write_bytes(PNG)
    (folder / "fax.png.json").write_text('{"patient_id": "P-1"}')
    Meanwhile(monkeypatch, store, "receive", next_one)
    settle(inbox, clock)
    settle(inbox, clock)
    assert [job.arrival.order.patient.patient_id for job in store.jobs() if job.arrival.order] == ["P-2", "P-1"]
    assert names(folder) == []


def test_a_file_replaced_before_it_is_copied_waits_until_it_has_settled(
    inbox: FaxInbox, clock: Clock, store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "fax.png").write_bytes(PNG)
    same_size = PNG[:-1] + b"!"
    Meanwhile(monkeypatch, store, "room", lambda: replace(folder / "fax.png", same_size))
    settle(inbox, clock)
    assert store.jobs() == []
    settle(inbox, clock)
    assert store.content(only_job(store)).read_bytes() == same_size


@pytest.mark.parametrize(
    "name", [".hidden.tif", "fax.tif.part", "fax.tmp", "fax.TIF.filepart", "~$fax.pdf", "fax.tif~"]
)
def test_leaves_unfinished_and_hidden_files_alone(
    inbox: FaxInbox, clock: Clock, store: Store, folder: Path, name: str
) -> None:
    (folder / name).write_bytes(PNG)
    settle(inbox, clock)
    assert store.jobs() == []
    assert names(folder) == [name]


def test_does_not_follow_a_link_out_of_the_folder(
    inbox: FaxInbox, clock: Clock, store: Store, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret.png").write_bytes(PNG)
    (folder / "fax.png").symlink_to(tmp_path / "secret.png")
    settle(inbox, clock)
    assert store.jobs() == []
    assert (folder / "refused" / "fax.png").is_symlink()
    assert reason(folder, "fax.png").startswith("link: ")
    assert (tmp_path / "secret.png").read_bytes() == PNG


@pytest.mark.parametrize("put", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("nowhere")])
@pytest.mark.parametrize("name", ["fax.png", "fax.json"])
def test_what_is_no_file_is_told_and_put_away(
    inbox: FaxInbox,
    clock: Clock,
    store: Store,
    folder: Path,
    caplog: pytest.LogCaptureFixture,
    put: Callable[[Path], object],
    name: str,
) -> None:
    """A pipe that was opened would wait for a writer for ever: the next document would never be taken."""
    for _ in range(2):
        put(folder / name)
        (folder / "after.png").write_bytes(PNG)
        settle(inbox, clock, EMPTY_PATIENCE_S)
    assert len(store.jobs()) == 1
    assert [entry.name for entry in folder.iterdir() if entry.name not in ("taken", "refused")] == []
    code = reason(folder, name).partition(":")[0]
    assert code in ("folder", "no_file", "link")
    assert caplog.text.count(f"a file was refused, {code}") == 2
    stem, _, suffix = name.partition(".")
    assert os.path.lexists(folder / "refused" / f"{stem}-2.{suffix}")


def test_a_folder_that_is_still_filled_is_waited_for_and_a_servers_own_is_left(
    inbox: FaxInbox, clock: Clock, folder: Path
) -> None:
    (folder / "ward").mkdir()
    (folder / "@eaDir").mkdir()
    settle(inbox, clock)
    assert (folder / "ward").is_dir()
    clock.now += EMPTY_PATIENCE_S
    inbox.poll()
    assert (folder / "refused" / "ward").is_dir()
    assert (folder / "@eaDir").is_dir()


@pytest.mark.parametrize("inner", ["urgent", "wards/3/urgent"])
def test_another_inbox_within_is_never_moved(clock: Clock, store: Store, folder: Path, inner: str) -> None:
    urgent = folder / inner
    urgent.mkdir(parents=True)
    (urgent / "unread.png").write_bytes(PNG)
    (folder / "ward").mkdir()
    settle(inbox_of(folder, store, clock, [urgent]), clock, EMPTY_PATIENCE_S)
    assert names(urgent) == ["unread.png"]
    assert (folder / "refused" / "ward").is_dir()


def test_nor_is_a_link_on_the_way_to_it(clock: Clock, store: Store, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "share" / "urgent").mkdir(parents=True)
    (folder / "share").symlink_to(tmp_path / "share")
    (tmp_path / "fax").symlink_to(folder)
    settle(inbox_of(folder, store, clock, [tmp_path / "fax" / "share" / "urgent"]), clock)
    assert (folder / "share").is_symlink()


def test_nor_is_it_where_only_the_other_comes_by_a_link(
    clock: Clock, store: Store, folder: Path, tmp_path: Path
) -> None:
    (folder / "urgent").mkdir()
    (tmp_path / "link").symlink_to(folder / "urgent")
    settle(inbox_of(folder, store, clock, [tmp_path / "link"]), clock, EMPTY_PATIENCE_S)
    assert (folder / "urgent").is_dir()


def test_nor_are_the_data_folder_and_a_destination_within(clock: Clock, store: Store, folder: Path) -> None:
    for name in ("data", "out"):
        (folder / name).mkdir()
    section = FaxInboxSection(name="ward", folder=folder, settle_s=SETTLE_S)
    out = FolderDestination(kind="folder", name="out", folder=folder / "out")
    config = Config(data=DataSection(folder=folder / "data"), fax_inbox=(section,), destination=(out,))
    inbox = FaxInbox(section, config, store)
    inbox._watch = Watch(SETTLE_S, clock)
    settle(inbox, clock, EMPTY_PATIENCE_S)
    assert (folder / "data").is_dir()
    assert (folder / "out").is_dir()


def test_a_folder_that_cannot_be_moved_is_told_once_and_stops_nothing(
    inbox: FaxInbox,
    clock: Clock,
    store: Store,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    rename = Path.rename

    def busy(path: Path, target: Path) -> Path:
        if path.name == "mounted":
            raise OSError(16, "Device or resource busy")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", busy)
    (folder / "mounted").mkdir()
    settle(inbox, clock, EMPTY_PATIENCE_S)
    (folder / "fax.png").write_bytes(PNG)
    settle(inbox, clock)
    assert len(store.jobs()) == 1
    assert caplog.text.count("Device or resource busy") == 1
    assert names(folder / "refused") == []


@pytest.mark.parametrize("length", [243, 244, 245, 250, 251, 255])
@pytest.mark.parametrize("letter", ["a", "ä"])
def test_long_names_are_taken_and_refused_as_others_are(
    inbox: FaxInbox, clock: Clock, store: Store, folder: Path, length: int, letter: str
) -> None:
    for data in (PNG, NEXT, b"Dear colleague,", b"Dear colleague"):
        name = letter * ((length - 4) // len(letter.encode())) + ".png"
        name = "x" * (length - len(name.encode())) + name
        (folder / name).write_bytes(data)
        settle(inbox, clock)
    assert [job.arrival.file_name for job in store.jobs()] == [name, name]
    assert names(folder) == []
    assert len(names(folder / "taken")) == 2
    assert (folder / "taken" / name).read_bytes() == PNG
    refused = names(folder / "refused")
    assert len(refused) == 4
    assert sum(one.endswith(".reason.txt") for one in refused) == 2


def test_a_long_name_keeps_its_sidecar(inbox: FaxInbox, clock: Clock, store: Store, folder: Path) -> None:
    stem = "a" * 250
    (folder / f"{stem}.png").write_bytes(PNG)
    (folder / f"{stem}.json").write_text('{"patient_id": "P-1"}')
    settle(inbox, clock)
    order = only_job(store).arrival.order
    assert order is not None
    assert order.patient.patient_id == "P-1"
    assert names(folder) == []
    assert len(names(folder / "taken")) == 2


def test_a_sidecar_is_judged_by_its_size_before_it_is_read(
    inbox: FaxInbox, clock: Clock, store: Store, folder: Path
) -> None:
    (folder / "fax.png").write_bytes(PNG)
    with (folder / "fax.json").open("wb") as sparse:
        sparse.truncate(8 << 30)  # no memory of this machine would hold it
    settle(inbox, clock)
    assert store.jobs() == []
    assert f"{8 << 30} bytes" in reason(folder, "fax.png")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"Dear colleague,", "unknown_format"),
        (b"BM" + bytes(50), "unknown_format"),
        (PNG + bytes(1_000_001), "too_large"),
    ],
)
def test_puts_away_what_it_cannot_read_and_says_why(
    inbox: FaxInbox, clock: Clock, store: Store, folder: Path, data: bytes, code: str
) -> None:
    (folder / "fax.tif").write_bytes(data)
    settle(inbox, clock)
    assert store.jobs() == []
    assert names(folder) == []
    assert names(folder / "refused") == ["fax.tif", "fax.tif.reason.txt"]
    assert reason(folder, "fax.tif").startswith(f"{code}: ")


def test_a_dicom_object_is_told_the_right_door(inbox: FaxInbox, clock: Clock, folder: Path) -> None:
    made = dicom_object()
    put_pixels(made, gradient()[None])
    save(made, folder / "page.dcm")
    settle(inbox, clock)
    assert "C-STORE" in reason(folder, "page.dcm")


def test_an_empty_file_is_waited_for_and_then_refused(inbox: FaxInbox, clock: Clock, folder: Path) -> None:
    (folder / "fax.tif").touch()
    settle(inbox, clock)
    assert names(folder) == ["fax.tif"]
    clock.now += EMPTY_PATIENCE_S
    inbox.poll()
    assert names(folder / "refused") == ["fax.tif", "fax.tif.reason.txt"]
    assert reason(folder, "fax.tif").startswith("empty: ")


@pytest.mark.parametrize("name", ["ü" * 122 + ".png", "x" * 251 + ".png", "y" * 255, "z." + "t" * 253])
@pytest.mark.parametrize("data", [PNG, b"Dear colleague,"])
def test_a_name_as_long_as_a_name_may_be_is_taken_or_refused(
    inbox: FaxInbox, clock: Clock, store: Store, folder: Path, name: str, data: bytes
) -> None:
    for nth in range(2):
        (folder / name).write_bytes(data + bytes(nth))
        settle(inbox, clock)
    assert names(folder) == []
    assert len(store.jobs()) == (2 if data == PNG else 0)
    assert len(names(folder / ("taken" if data == PNG else "refused"))) == (2 if data == PNG else 4)


def test_names_never_collide(inbox: FaxInbox, clock: Clock, store: Store, folder: Path) -> None:
    for shade in range(3):
        (folder / "fax.png").write_bytes(encoded(gradient() // (shade + 1), "PNG"))
        settle(inbox, clock)
    for words in (b"one", b"two"):
        (folder / "fax.tif").write_bytes(words)
        settle(inbox, clock)
    assert len(store.jobs()) == 3
    assert names(folder / "taken") == ["fax-2.png", "fax-3.png", "fax.png"]
    assert names(folder / "refused") == ["fax-2.tif", "fax-2.tif.reason.txt", "fax.tif", "fax.tif.reason.txt"]


class TestIdentity:
    @pytest.mark.parametrize("sidecar", ["fax.png.json", "fax.json"])
    def test_comes_from_the_sidecar(
        self, inbox: FaxInbox, clock: Clock, store: Store, folder: Path, sidecar: str
    ) -> None:
        (folder / "fax.png").write_bytes(PNG)
        (folder / sidecar).write_text('{"patient_id": "P-1", "name": "Åberg^Eva", "birth_date": "1950-02-03"}')
        settle(inbox, clock)
        order = only_job(store).arrival.order
        assert order is not None
        assert order.patient == Patient(patient_id="P-1", name="Åberg^Eva", birth_date="19500203")
        assert ("patient_id", "P-1") in order.attributes
        assert names(folder) == []
        assert names(folder / "taken") == ["fax.png", "fax.png.json"]

    def test_a_sidecar_that_comes_a_little_later_is_waited_for(
        self, inbox: FaxInbox, clock: Clock, store: Store, folder: Path
    ) -> None:
        (folder / "fax.png").write_bytes(PNG)
        settle(inbox, clock, SETTLE_S - 1)
        (folder / "fax.json").write_text('{"patient_id": "P-1"}')
        settle(inbox, clock, SETTLE_S - 1)  # the document has settled by now, its sidecar has not
        assert store.jobs() == []
        clock.now += 1
        inbox.poll()
        order = only_job(store).arrival.order
        assert order is not None
        assert order.patient.patient_id == "P-1"

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ('{"patient": "P-1"}', "did you mean 'patient_id'"),
            ('{"patient_id": 7}', "no text"),
            ('{"sex": "W"}', "no lawful value"),
            ('{"birth_date": "19501302"}', "no lawful value"),
            ('{"acquired_at": "yesterday"}', "no lawful value"),
            ('{"study_uid": "../../x"}', "no lawful value"),
            ('{"study_uid": "1..2"}', "no lawful value"),
            ('{"name": "A\\u0000B"}', "unlawful"),
            ('{"name": "' + "A" * 65 + '"}', "64 characters"),
            ('{"patient_id": "1", "patient_id": "2"}', "not JSON"),
            ("[1, 2]", "not a JSON object"),
            ('{"patient_id": "P-1"', "not JSON"),
            ("[" * 5000, "not JSON"),
            (" " * 70_000, "70000 bytes"),
        ],
    )
    def test_a_sidecar_at_fault_refuses_the_document(
        self, inbox: FaxInbox, clock: Clock, store: Store, folder: Path, text: str, says: str
    ) -> None:
        (folder / "fax.png").write_bytes(PNG)
        (folder / "fax.json").write_text(text)
        settle(inbox, clock)
        assert store.jobs() == []
        assert says in reason(folder, "fax.png")
        assert names(folder) == []
        assert names(folder / "refused") == ["fax.png", "fax.png.json", "fax.png.reason.txt"]

    def test_two_documents_do_not_share_a_sidecar(
        self, inbox: FaxInbox, clock: Clock, store: Store, folder: Path
    ) -> None:
        (folder / "fax.png").write_bytes(PNG)
        (folder / "fax.jpg").write_bytes(encoded(gradient(), "JPEG"))
        (folder / "fax.json").write_text('{"patient_id": "P-1"}')
        settle(inbox, clock)
        assert store.jobs() == []
        assert names(folder) == []
        assert "share one sidecar" in reason(folder, "fax.png")

    def test_a_sidecar_without_document_does_not_lie_in_wait_for_another_patient(
        self, inbox: FaxInbox, clock: Clock, folder: Path
    ) -> None:
        (folder / "fax.json").write_text('{"patient_id": "P-1"}')
        settle(inbox, clock)
        assert names(folder) == ["fax.json"]
        clock.now += ORPHAN_PATIENCE_S
        inbox.poll()
        assert names(folder) == []
        assert reason(folder, "fax.json").startswith("no_document")

    def test_comes_from_the_name_where_there_is_no_sidecar(self, folder: Path, store: Store, clock: Clock) -> None:
        pattern = r"(?P<patient_id>\d+)_(?P<acquired_at>\d{8})(?:_(?P<accession_number>\w+))?\.\w+"
        inbox = inbox_of(folder, store, clock, file_name_pattern=pattern)
        (folder / "4711_20240131.png").write_bytes(PNG)
        settle(inbox, clock)
        order = only_job(store).arrival.order
        assert order is not None
        assert (order.patient.patient_id, order.acquired_at, order.acquired_from) == ("4711", "20240131", "file name")

    def test_a_name_that_only_partly_matches_names_nobody(self, folder: Path, store: Store, clock: Clock) -> None:
        inbox = inbox_of(folder, store, clock, file_name_pattern=r"(?P<patient_id>\d+)")
        (folder / "4711.png").write_bytes(PNG)
        settle(inbox, clock)
        assert only_job(store).arrival.order == Order()

    @pytest.mark.parametrize("pattern", ["(?P<patient>x)", "(", "no groups"])
    def test_a_wrong_pattern_is_a_configuration_error(
        self, folder: Path, store: Store, clock: Clock, pattern: str
    ) -> None:
        with pytest.raises(ConfigError, match="ward"):
            inbox_of(folder, store, clock, file_name_pattern=pattern)

    def test_every_key_has_a_field_in_the_order(self) -> None:
        assert set(PATIENT_KEYS) <= set(Patient.__dataclass_fields__)
        assert set(ORDER_KEYS) <= set(Order.__dataclass_fields__)

    def test_every_key_is_documented(self) -> None:
        text = fax_inbox.identity.__doc__ or ""
        assert [key for key in KEYS if key not in text] == []

    @pytest.mark.parametrize(
        ("stated", "moment"),
        [
            ("20240131143000", "20240131143000"),
            ("2024", "2024"),
            ("2024-01-31", "20240131"),
            ("2024-01-31T14:30", "202401311430"),
            ("2024-01-31 14:30:05.5", "20240131143005.5"),
            ("2024-01-31T14:30:05Z", "20240131143005+0000"),
            ("2024-01-31T14:30:05-05:00", "20240131143005-0500"),
        ],
    )
    def test_the_acquisition_time_may_be_dicom_or_iso(self, stated: str, moment: str) -> None:
        assert order_from_sidecar(json.dumps({"acquired_at": stated}).encode()).acquired_at == moment


class TestCrashes:
    def test_the_same_file_again_is_the_same_job(
        self, inbox: FaxInbox, clock: Clock, store: Store, folder: Path
    ) -> None:
        for name in ("first.png", "second.png"):
            (folder / name).write_bytes(PNG)
            settle(inbox, clock)
        assert len(store.jobs()) == 1
        assert names(folder / "taken") == ["first.png", "second.png"]

    @pytest.mark.parametrize("renames_before", [0, 1, 2])
    def test_killed_while_moving_it_gives_no_second_job_and_no_foreign_patient(
        self,
        folder: Path,
        store: Store,
        clock: Clock,
        monkeypatch: pytest.MonkeyPatch,
        renames_before: int,
    ) -> None:
        """The three renames are: claim the sidecar, move the document, move the sidecar."""
        (folder / "fax.png").write_bytes(PNG)
        (folder / "fax.json").write_text('{"patient_id": "P-1"}')
        rename = Path.rename
        done = 0

        class Killed(BaseException):
            pass

        def rename_or_die(path: Path, target: Path) -> Path:
            nonlocal done
            if done == renames_before:
                raise Killed
            done += 1
            return rename(path, target)

        monkeypatch.setattr(Path, "rename", rename_or_die)
        with pytest.raises(Killed):
            settle(inbox_of(folder, store, clock), clock)
        monkeypatch.setattr(Path, "rename", rename)
        restarted = inbox_of(folder, store, clock)
        settle(restarted, clock)
        order = only_job(store).arrival.order
        assert order is not None
        assert order.patient.patient_id == "P-1"
        assert names(folder) == []
        # the next document of that name is nobody's until its own sidecar says so
        (folder / "fax.png").write_bytes(encoded(gradient() // 2, "PNG"))
        settle(restarted, clock)
        assert sorted(job.arrival.order.patient.patient_id for job in store.jobs() if job.arrival.order) == ["", "P-1"]

    def test_a_move_that_fails_is_tried_again_without_taking_the_file_again(
        self, inbox: FaxInbox, clock: Clock, store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (folder / "fax.png").write_bytes(PNG)
        rename = Path.rename

        def forbidden(path: Path, target: Path) -> Path:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "rename", forbidden)
        settle(inbox, clock)
        inbox.poll()
        assert names(folder) == ["fax.png"]
        monkeypatch.setattr(store, "receive", None)  # would fail if it were called again
        monkeypatch.setattr(Path, "rename", rename)
        inbox.poll()
        assert names(folder / "taken") == ["fax.png"]
        assert len(store.jobs()) == 1


class TestTrouble:
    def test_no_room_leaves_the_file_and_takes_it_later(
        self,
        inbox: FaxInbox,
        clock: Clock,
        store: Store,
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        (folder / "fax.png").write_bytes(PNG)
        room = store.room

        def no_room() -> None:
            raise OutOfSpace("out_of_space", "less than 512 MB are free")

        monkeypatch.setattr(store, "room", no_room)
        settle(inbox, clock)
        inbox.poll()
        assert names(folder) == ["fax.png"]
        assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == [
            "inbox ward: less than 512 MB are free"  # once, not at every pass
        ]
        monkeypatch.setattr(store, "room", room)
        inbox.poll()
        assert len(store.jobs()) == 1

    def test_a_missing_folder_is_told_once_and_comes_back(
        self, store: Store, clock: Clock, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        inbox = inbox_of(tmp_path / "share", store, clock)
        inbox.poll()
        inbox.poll()
        assert len([r for r in caplog.records if r.levelno >= logging.ERROR]) == 1
        (tmp_path / "share").mkdir()
        (tmp_path / "share" / "fax.png").write_bytes(PNG)
        settle(inbox, clock)
        assert len(store.jobs()) == 1

    def test_a_file_that_cannot_be_opened_does_not_stop_the_others(
        self, inbox: FaxInbox, clock: Clock, store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (folder / "a.png").write_bytes(PNG)
        (folder / "b.png").write_bytes(PNG)
        opened = os.open

        def locked(path: Path, flags: int, mode: int = 0o777) -> int:
            if Path(path).name == "a.png":
                raise PermissionError(13, "Permission denied")
            return opened(path, flags, mode)

        monkeypatch.setattr(fax_inbox.os, "open", locked)
        settle(inbox, clock)
        assert names(folder) == ["a.png"]
        assert names(folder / "taken") == ["b.png"]

    def test_no_log_line_holds_a_files_name(
        self, inbox: FaxInbox, clock: Clock, folder: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        (folder / "MUSTERMANN_ERIKA.png").write_bytes(PNG)
        (folder / "MUSTERMANN_HANS.tif").write_bytes(b"no page")
        settle(inbox, clock)
        assert len(caplog.records) >= 2
        assert "MUSTERMANN" not in caplog.text
