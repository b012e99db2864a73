"""What a person types, as worklists are asked for it, and which of their answers are to it."""

from __future__ import annotations

import pytest

from gateway.identity.order import Order, Patient
from gateway.patient_search.question import is_answer, keys_of


def asked(text: str, keyword: str) -> list[str]:
    return [keys[keyword] for keys in keys_of(text) if keyword in keys]


def test_a_number_is_asked_for_as_patient_and_as_accession_and_never_as_a_name() -> None:
    assert keys_of(" 4711 ") == [{"PatientID": "4711"}, {"AccessionNumber": "4711"}]


def test_a_number_with_letters_is_asked_for_as_typed_and_in_capitals() -> None:
    assert asked("a-17", "PatientID") == ["a-17", "A-17"]
    assert asked("a-17", "AccessionNumber") == ["a-17", "A-17"]


def test_a_number_too_long_for_its_attribute_is_not_asked_for_there() -> None:
    assert asked("1" * 17, "AccessionNumber") == []
    assert keys_of("1" * 65) == []


def test_the_beginning_of_a_name_is_asked_for_in_three_spellings() -> None:
    assert asked("able", "PatientName") == ["able*", "Able*", "ABLE*"]
    assert asked("ABLE", "PatientName") == ["ABLE*", "Able*"]


def test_of_several_words_the_first_and_the_last_may_be_the_family() -> None:
    assert asked("Ada Maria Able", "PatientName") == ["Ada*", "ADA*", "Able*", "ABLE*"]


@pytest.mark.parametrize("text", ["van beek, jan", "van beek^jan", "van beek^jan^^Dr", "van beek, jan, x"])
def test_a_comma_or_a_caret_tells_the_family_name(text: str) -> None:
    assert asked(text, "PatientName") == ["van beek*^jan*", "Van Beek*^Jan*", "VAN BEEK*^JAN*"]


@pytest.mark.parametrize(
    ("typed", "name"), [("A*", "A*"), ("?b", "b*"), ("A\\B", "AB*"), ("A=B", "AB*"), ("*Able*", "Able*")]
)
def test_wildcards_and_backslashes_that_were_typed_ask_for_nobody_more(typed: str, name: str) -> None:
    assert asked(typed, "PatientName")[0] == name
    if "=" not in typed:
        assert asked(typed, "PatientID") == []


@pytest.mark.parametrize("text", ["", "  ", "*", "?", "\\", "*?*", ",", "^", "\x00\x1b", "--*"])
def test_a_text_that_says_nothing_asks_for_nothing(text: str) -> None:
    assert keys_of(text) == []


def test_letters_beyond_ascii_are_left_to_a_wildcard_so_that_no_character_set_matters() -> None:
    assert asked("Müller", "PatientName") == ["M*ller*", "M*LLER*"]
    assert asked("Weiß", "PatientName") == ["Wei*", "WEISS*"]
    assert asked("Müller", "PatientID") == []


def test_a_name_in_another_script_is_looked_for_in_every_group() -> None:
    assert asked("山田", "PatientName") == ["*山田*"]


ORDER = Order(
    Patient("4711", name="ignored"),
    accession_number="A-17",
    visit_number="V-1",
    placer_order_number="P-1",
    filler_order_number="F-1",
)


@pytest.mark.parametrize("text", ["4711", "a-17", "v-1", "P-1", "f-1", " A-17 "])
def test_a_number_must_be_the_whole_of_one(text: str) -> None:
    assert is_answer(ORDER, "", text)
    assert not is_answer(ORDER, "", text.strip()[:-1])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Able^Ada", "ab"),
        ("ABLE^ADA", "Ada Able"),
        ("Able^Ada", "Able, Ada"),
        ("van Beek^Jan", "Beek"),
        ("Müller^Jürgen", "muller"),
        ("MUELLER^JURGEN", "mueller"),
        ("Mu\u0308ller", "Mü"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "山田"),
        ("O'Neil^Pat", "o'neil"),
        ("Weiß", "weiss"),
        ("M\ufffdller^J\ufffdrgen", "Müller, Jürgen"),
    ],
)
def test_names_are_compared_by_their_beginnings_without_case_and_accents(name: str, text: str) -> None:
    assert is_answer(Order(), name, text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Able^Ada", "Able, Ben"),
        ("Able^Ada", "Ables"),
        ("Able^Ada", "le"),
        ("", "Able"),
        ("Maxmiller", "Müller"),
        ("Able", "*"),
    ],
)
def test_another_s_name_is_no_answer(name: str, text: str) -> None:
    assert not is_answer(Order(), name, text)
