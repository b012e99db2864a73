"""What the log is told of an exception."""

from __future__ import annotations

from gateway.safe_traceback import frames_of


def parse(text: str) -> int:
    return int(text)


def test_names_types_and_places_of_the_whole_chain_and_no_message() -> None:
    try:
        try:
            parse("Doe^Jane")
        except ValueError as error:
            raise LookupError("no Doe^Jane") from error
    except LookupError as error:
        told = frames_of(error)
    assert "Doe" not in told.replace('"Doe^Jane"', "").replace('"no Doe^Jane"', "")  # these are this file's own lines
    assert told.index("builtins.ValueError") < told.index("which led to") < told.index("builtins.LookupError")
    assert "in parse" in told
    assert "invalid literal" not in told


def test_leaves_out_what_was_suppressed_and_ends_on_a_circle() -> None:
    first, second = ValueError(), KeyError()
    first.__cause__, second.__cause__ = second, first
    assert frames_of(first).count("which led to") == 1
    try:
        try:
            parse("x")
        except ValueError:
            raise LookupError from None
    except LookupError as error:
        told = frames_of(error)
    assert "ValueError" not in told
