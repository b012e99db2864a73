"""Counts the hand-set numbers of the digitizer's run path, and fails when there are more than recorded.

Run as ``python -m tests.tools.hand_set_numbers``. Every such number decides something on a page and was chosen by a
person. A number that a script of training/ fitted stands in a table (``*.toml``) instead, with its held-out figure.

named: numbers in constants of a module or a class, such as ``TILTED_DEG = 0.1``. bare: all others, but for what counts,
indexes and halves: -1, 0, 1, 2 and 0.5, and whatever stands in an index.

A file of training/ or synth/ is not on the run path. The record is hand_set_numbers.toml beside this file. It is
lowered when the count falls: otherwise the next change could add as many again.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
RECORD = Path(__file__).with_name("hand_set_numbers.toml")
NOT_RUN = ("training", "synth")
HARMLESS = frozenset({-1, 0, 1, 2, 0.5})


@dataclass(frozen=True)
class Count:
    """How many numbers of each kind."""

    named: int
    bare: int

    @property
    def total(self) -> int:
        return self.named + self.bare


def count(package: Path) -> Count:
    """The hand-set numbers in the Python files of a package that run when a page is digitized."""
    named = bare = 0
    for path in sorted(package.rglob("*.py")):
        if path.relative_to(package).parts[0] in NOT_RUN:
            continue
        found = count_source(path.read_text(encoding="utf-8"))
        named, bare = named + found.named, bare + found.bare
    return Count(named, bare)


def count_source(source: str) -> Count:
    """The hand-set numbers in one module."""
    tree = ast.parse(source)
    constants = list(_constants(tree))
    inside = {id(node) for constant in constants for node in ast.walk(constant)}
    indexes = {
        id(inner) for node in ast.walk(tree) if isinstance(node, ast.Subscript) for inner in ast.walk(node.slice)
    }
    numbers = {
        id(node): node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and _is_number(node.value)
    }
    named = len(numbers.keys() & inside)
    bare = sum(each not in inside | indexes and value not in HARMLESS for each, value in numbers.items())
    return Count(named, bare)


def _constants(tree: ast.Module) -> Iterator[ast.expr]:
    """The values of constants, which are written in capitals, of the module and of its classes."""
    bodies = [tree.body, *(node.body for node in ast.walk(tree) if isinstance(node, ast.ClassDef))]
    for statement in (statement for body in bodies for statement in body):
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        names = [name.id for target in targets if target for name in ast.walk(target) if isinstance(name, ast.Name)]
        value = getattr(statement, "value", None)
        if names and all(name.isupper() for name in names) and isinstance(value, ast.expr):
            yield value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def judge(found: Count, recorded: Count) -> str | None:
    """What is wrong with a count against the recorded one, None where all is well; naming a bare one adds none."""
    told = (
        f"pipeline/ holds {found.total} hand-set numbers ({found.named} named, {found.bare} bare), and "
        f"{recorded.total} are recorded ({recorded.named} named, {recorded.bare} bare)"
    )
    if found.total > recorded.total:
        return f"{told}: fit the new one, or let it replace another"
    if found != recorded:
        return f"{told}: bring {RECORD.relative_to(ROOT)} up to date, so that none may come back"
    return None


def recorded() -> Count:
    """The recorded count."""
    table = tomllib.loads(RECORD.read_text(encoding="utf-8"))
    return Count(table["named"], table["bare"])


def main() -> int:
    found = count(ROOT / "pipeline")
    print(f"hand-set numbers of the run path: {found.named} named, {found.bare} bare")
    wrong = judge(found, recorded())
    if wrong:
        print(wrong, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
