"""C-FIND to worklists that answer as they should, oddly, or not at all: what they told counts, and the rest is told."""

from __future__ import annotations

import logging
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from pydicom import Dataset
from pydicom.uid import UID
from pynetdicom import evt

from gateway.errors import Refused, TryAgain
from gateway.identity.order import Order, Patient
from gateway.patient_search.worklist import (
    FIND,
    VERIFICATION,
    Answer,
    echo,
    find,
    order_candidate,
)
from tests.flow.processes import free_port
from tests.gateway.patient_search.ris import TODAY, Ris, entry, section, telling, wlmscpfs

ADA = entry(1, "Able^Ada", "4242")
ADAS = Order(
    Patient("4242", "NORTH", "Able^Ada", "19500101", "F"),
    study_uid="1.2.3.1",
    study_id="RP1",
    accession_number="N-1",
    referring_physician="House^Gregory",
    placer_order_number="P-1",
    filler_order_number="F-1",
    visit_number="V-1",
)


@pytest.fixture
def ris() -> Iterator[Ris]:
    ris = Ris()
    yield ris
    ris.stop()


def names(answer: Answer) -> list[str]:
    return [known.order.patient.name for known in answer.matches]


def test_an_order_is_taken_with_all_that_the_worklist_says_of_it(ris: Ris) -> None:
    ris.answering = telling(ADA)
    answer = find(section(ris.start()), "4242", TODAY)
    (known,) = answer.matches
    assert (answer.code, answer.why) == ("", "")
    assert (known.order, known.source, known.what) == (ADAS, "ris", "Resting ECG")
    assert known.at == datetime(2026, 11, 23, 10, 30).astimezone()
    assert ris.associations == 1


def test_the_worklist_is_asked_for_the_days_and_the_modality_of_the_configuration(ris: Ris) -> None:
    find(section(ris.start(), modality="", days_back=22, days_ahead=8), "4711", TODAY)
    (by_id, by_accession) = ris.asked
    assert (by_id.PatientID, by_id.AccessionNumber, by_id.PatientName) == ("4711", "", "")
    assert (by_accession.PatientID, by_accession.AccessionNumber) == ("", "4711")
    (step,) = by_id.ScheduledProcedureStepSequence
    assert (step.ScheduledProcedureStepStartDate, step.Modality) == ("20261101-20261201", "")
    assert "SpecificCharacterSet" not in by_id
    find(section(ris.start()), "4711", TODAY)
    (step,) = ris.asked[-1].ScheduledProcedureStepSequence
    assert (step.ScheduledProcedureStepStartDate, step.Modality) == ("20261116-20261124", "ECG")


def test_a_name_in_another_script_is_asked_for_in_utf_8(ris: Ris) -> None:
    ris.answering = telling(entry(4, "Yamada^Tarou=山田^太郎", "4712", character_set="ISO_IR 192"))
    answer = find(section(ris.start()), "山田", TODAY)
    assert [(str(each.PatientName), each.SpecificCharacterSet) for each in ris.asked] == [("*山田*", "ISO_IR 192")]
    assert names(answer) == ["Yamada^Tarou=山田^太郎"]


def test_one_order_told_to_several_questions_is_one(ris: Ris) -> None:
    ris.answering = telling(ADA)
    answer = find(section(ris.start()), "able", TODAY)
    assert len(ris.asked) > 3
    assert names(answer) == ["Able^Ada"]


def test_who_was_not_asked_for_is_not_shown_though_the_worklist_ignores_the_key(ris: Ris) -> None:
    ris.answering = telling(ADA, entry(2, "Baker^Ben", "4243"))
    assert names(find(section(ris.start()), "N-2", TODAY)) == ["Baker^Ben"]


def test_nothing_typed_that_could_be_asked_for_asks_nobody(ris: Ris) -> None:
    assert find(section(ris.start()), "*", TODAY) == Answer(())
    assert ris.associations == 0


def test_fields_that_are_missing_are_empty() -> None:
    dataset = Dataset()
    dataset.PatientID = "4242"
    known = order_candidate(dataset, "ris")
    assert (known.order, known.at, known.what) == (Order(Patient("4242")), None, "")


@pytest.mark.parametrize("step", [[], [Dataset()]], ids=["no step", "empty step"])
def test_an_entry_without_a_step_is_still_an_order(step: list[Dataset]) -> None:
    dataset = entry(1, "Able^Ada", "4242")
    dataset.ScheduledProcedureStepSequence = step
    assert (order_candidate(dataset, "ris").order, order_candidate(dataset, "ris").what) == (ADAS, "ECG")


@pytest.mark.parametrize(
    ("time_of_day", "what"), [("", "Resting ECG, on 2026-11-23"), ("25", "Resting ECG, on 2026-11-23")]
)
def test_a_day_without_a_time_is_not_given_one(time_of_day: str, what: str) -> None:
    known = order_candidate(entry(1, "Able^Ada", "4242", ScheduledProcedureStepStartTime=time_of_day), "ris")
    assert (known.at, known.what) == (None, what)


def test_a_time_may_be_told_to_the_hour() -> None:
    known = order_candidate(entry(1, "Able^Ada", "4242", ScheduledProcedureStepStartTime="10"), "ris")
    assert known.at == datetime(2026, 11, 23, 10).astimezone()
    assert known.at.astimezone(UTC).tzinfo is UTC


def test_a_uid_a_date_or_a_sex_that_is_none_is_left_out() -> None:
    odd = entry(1, "Able^Ada", "4242", PatientSex="X")
    odd.add_new("StudyInstanceUID", "UI", "1..3")
    odd.add_new("PatientBirthDate", "DA", "19501301")
    order = order_candidate(odd, "ris").order
    assert (order.study_uid, order.patient.birth_date, order.patient.sex) == ("", "", "")


def test_a_name_that_is_not_in_the_character_set_it_names_is_found_but_not_taken(ris: Ris) -> None:
    wrong = entry(3, "x", "4711")
    wrong.SpecificCharacterSet = "ISO_IR 192"
    wrong.add_new("PatientName", "PN", "Müller^Jürgen".encode("latin-1"))
    ris.answering = telling(wrong)
    (known,) = find(section(ris.start()), "Müller", TODAY).matches
    assert known.order.patient == Patient("4711", "NORTH", "", "19500101", "F")
    assert known.what == "Resting ECG, a text that could not be read is left out"


@pytest.mark.parametrize("character_set", ["ISO_IR 100", "ISO_IR 192", "ISO 2022 IR 100"])
def test_a_name_is_read_in_the_character_set_that_it_names(ris: Ris, character_set: str) -> None:
    ris.answering = telling(entry(3, "Müller^Jürgen", "4711", character_set=character_set))
    assert names(find(section(ris.start()), "müller", TODAY)) == ["Müller^Jürgen"]


def test_an_unknown_character_set_hides_no_number(ris: Ris) -> None:
    odd = entry(1, "Able^Ada", "4242")
    odd.SpecificCharacterSet = "ISO_IR 999"
    ris.answering = telling(odd)
    assert [known.order.accession_number for known in find(section(ris.start()), "4242", TODAY).matches] == ["N-1"]


def test_beyond_the_most_that_are_wanted_the_worklist_is_asked_to_stop(ris: Ris) -> None:
    told, cancelled = [], threading.Event()

    def thousand(event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        for number in range(1000):
            if event.is_cancelled:
                cancelled.set()
                yield 0xFE00, None
                return
            told.append(number)
            yield 0xFF00, entry(number, f"Able^A{number}", str(number))

    ris.answering = thousand
    answer = find(section(ris.start(), matches_max=5, timeout_s=30), "able", TODAY)
    assert (len(answer.matches), answer.code) == (5, "too_many")
    assert "the first 5" in answer.why
    assert cancelled.is_set()
    assert len(told) < 1000
    assert len(ris.asked) < 4  # the questions after that one are not put


def test_a_worklist_that_ignores_the_key_and_the_cancel_is_left_in_time(ris: Ris) -> None:
    def endless(_event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        while True:
            yield 0xFF00, ADA

    ris.answering = endless
    began = time.monotonic()
    answer = find(section(ris.start(), timeout_s=1.0), "4242", TODAY)
    assert time.monotonic() - began < 30
    assert (names(answer), answer.code) == (["Able^Ada"], "timeout")


def test_what_came_before_the_worklist_fell_silent_is_shown(ris: Ris) -> None:
    go = threading.Event()

    def hanging(_event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        yield 0xFF00, ADA
        go.wait(120)

    ris.answering = hanging
    answer = find(section(ris.start(), timeout_s=4), "4242", TODAY)  # within it the first answer comes
    go.set()
    assert (names(answer), answer.code) == (["Able^Ada"], "timeout")
    assert answer.why.endswith("did not answer in 4 s")


def test_a_failure_of_one_question_is_told_beside_the_answers_to_the_others(ris: Ris) -> None:
    def by_id_only(event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        yield (0xFF00, ADA) if event.identifier.PatientID else (0xA900, None)

    ris.answering = by_id_only
    answer = find(section(ris.start()), "4242", TODAY)
    assert (names(answer), answer.code) == (["Able^Ada"], "failed")
    assert "answered A900 to a part of the question" in answer.why


def test_an_abort_in_the_middle_keeps_what_was_told(ris: Ris) -> None:
    def aborting(event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        yield 0xFF00, ADA
        event.assoc.abort()

    ris.answering = aborting
    answer = find(section(ris.start()), "4242", TODAY)
    assert (names(answer), answer.code) == (["Able^Ada"], "connection_lost")


def test_one_answer_that_cannot_be_decoded_does_not_hide_the_next(ris: Ris) -> None:
    broken = entry(2, "Baker^Ben", "4243")
    broken.add_new(0x00080090, "PN", b"\xff" * 10)
    ris.answering = telling(broken, ADA)
    assert names(find(section(ris.start()), "4242", TODAY)) == ["Able^Ada"]


def test_an_answer_that_is_expensive_to_parse_ends_the_question(ris: Ris) -> None:
    huge = entry(2, "Baker^Ben", "4242")
    huge.ReferencedImageSequence = [Dataset()] * 30_000
    ris.answering = telling(ADA, huge, ADA)
    answer = find(section(ris.start(), timeout_s=20), "4242", TODAY)
    assert (names(answer), answer.code) == (["Able^Ada"], "connection_lost")


def test_an_answer_that_says_it_is_endless_is_not_waited_for() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def boast() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"\x02\x00\x7f\xff\xff\xff" + bytes(1000))
                over.wait(30)

        over = threading.Event()
        thread = threading.Thread(target=boast)
        thread.start()
        began = time.monotonic()
        answer = find(section(int(listener.getsockname()[1]), timeout_s=25), "4242", TODAY)
        assert time.monotonic() - began < 20
        assert (answer.matches, answer.code) == ((), "connection_lost")
        over.set()
        thread.join()


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that takes connections and says nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield int(listener.getsockname()[1])


def test_a_peer_that_never_answers_is_left_in_time(silent: int) -> None:
    began = time.monotonic()
    answer = find(section(silent, timeout_s=0.5), "4242", TODAY)
    assert time.monotonic() - began < 30
    assert (answer.matches, answer.code) == ((), "timeout")


def test_nobody_there_and_no_such_name_are_told_apart() -> None:
    assert find(section(free_port()), "4242", TODAY).code == "unreachable"
    nowhere = section(104, host="no-such-host.invalid")
    assert find(nowhere, "4242", TODAY).code in ("unknown_host", "unreachable")


def test_a_peer_without_a_worklist_says_what_to_enable(ris: Ris) -> None:
    answer = find(section(ris.start(VERIFICATION)), "4242", TODAY)
    assert (answer.code, "does not take Modality Worklist" in answer.why) == ("no_presentation_context", True)


def test_nothing_of_a_patient_is_logged(ris: Ris, caplog: pytest.LogCaptureFixture) -> None:
    broken = entry(2, "Able^Ada", "4242")
    broken.add_new("StudyInstanceUID", "UI", "no uid")
    ris.answering = telling(broken)
    with caplog.at_level(logging.DEBUG, "gateway"):
        find(section(ris.start()), "able", TODAY)
    assert "Able" not in caplog.text
    assert "4242" not in caplog.text


def test_an_echo_needs_the_worklist_and_no_verification(ris: Ris, make_ris: Callable[..., int]) -> None:
    echo(section(ris.start()))
    echo(section(make_ris(FIND)))
    with pytest.raises(Refused, match="enable it there"):
        echo(section(make_ris(VERIFICATION)))
    with pytest.raises(TryAgain, match="no connection"):
        echo(section(free_port()))


@pytest.fixture
def make_ris() -> Iterator[Callable[..., int]]:
    made: list[Ris] = []

    def make(*classes: UID) -> int:
        made.append(Ris())
        return made[-1].start(*classes)

    yield make
    for ris in made:
        ris.stop()


pytest_wlmscpfs = [
    pytest.mark.peer,
    pytest.mark.skipif(shutil.which("wlmscpfs") is None, reason="dcmtk's wlmscpfs is not installed"),
]


class TestDcmtk:
    """The worklist of dcmtk, which matches by letters and case, and gives its entries as they are in its files."""

    pytestmark = pytest_wlmscpfs

    @pytest.fixture(scope="class")
    @staticmethod
    def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
        with wlmscpfs(
            tmp_path_factory.mktemp("wlm"),
            entry(1, "ABLE^ADA", "4242"),
            entry(2, "Able^Ben", "4243"),
            entry(3, "Müller^Jürgen", "4711", character_set="ISO_IR 100"),
            entry(4, "Yamada^Tarou=山田^太郎", "4712", character_set="ISO_IR 192"),
            entry(5, "Able^Old", "4713", ScheduledProcedureStepStartDate="20200101"),
            entry(6, "Able^Ct", "4714", Modality="CT"),
        ) as port:
            yield port

    @pytest.mark.parametrize(
        ("words", "found"),
        [
            ("4242", ["ABLE^ADA"]),
            ("n-2", ["Able^Ben"]),
            ("able", ["ABLE^ADA", "Able^Ben"]),
            ("Able, Ada", ["ABLE^ADA"]),
            ("ben able", ["Able^Ben"]),
            ("müller", ["Müller^Jürgen"]),
            ("山田", ["Yamada^Tarou=山田^太郎"]),
            ("4713", []),
            ("*", []),
            ("42?2", []),
        ],
    )
    def test_finds_by_number_and_by_name_what_is_scheduled(self, port: int, words: str, found: list[str]) -> None:
        answer = find(section(port), words, TODAY)
        assert (sorted(names(answer)), answer.code) == (found, "")

    def test_gives_every_field_that_an_order_takes(self, port: int) -> None:
        (known,) = find(section(port), "4243", TODAY).matches
        assert known.order == Order(
            Patient("4243", "NORTH", "Able^Ben", "19500101", "F"),
            study_uid="1.2.3.2",
            study_id="RP2",
            accession_number="N-2",
            referring_physician="House^Gregory",
            placer_order_number="P-2",
            filler_order_number="F-2",
            visit_number="V-2",
        )

    def test_asks_for_other_days_and_modalities_by_configuration(self, port: int) -> None:
        assert len(find(section(port, modality="", days_back=3650), "able", TODAY).matches) == 4

    def test_is_told_that_it_is_called_by_a_wrong_name(self, port: int) -> None:
        answer = find(section(port, called_ae_title="ELSEWHERE"), "4242", TODAY)
        assert (answer.matches, answer.code) == ((), "association_rejected")
