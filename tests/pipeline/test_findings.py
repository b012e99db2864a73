"""The words of the pipeline."""

from __future__ import annotations

import re

import pytest

from pipeline.findings import FindingCode, UnreadableCode


@pytest.mark.parametrize("words", [FindingCode, UnreadableCode])
def test_every_code_is_a_snake_case_word_with_a_sentence(words: type[FindingCode] | type[UnreadableCode]) -> None:
    for code in words:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", code)
        assert code.meaning[0].isupper()
        assert code.meaning.endswith(".")


def test_a_code_is_equal_to_the_plain_word_it_is_stored_as() -> None:
    assert FindingCode("grid_weak") is FindingCode.GRID_WEAK
    assert f"{UnreadableCode.NOT_AN_ECG}" == "not_an_ecg"
