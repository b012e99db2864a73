"""Reads rendered pages of validation patients and fits how likely a page is right, and what is doubted about it wrong.

Run as: python -m pipeline.training.fit.confidence --signals DIR --cache DIR --rows FILE.jsonl [--fit] [--card]

The pages are of the suite's mix, of other patients and seeds than those that judge. A row is written as soon as its
page is read, and pages that have one are not read again. --fit then fits pipeline/judgement.toml to all rows, --card
writes its curves into the model card.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np

from pipeline.digitize import Digitizer
from pipeline.errors import Unreadable
from pipeline.judgement import FITTED
from pipeline.training.data.suite import Case, cases, draw, patient
from pipeline.training.fit.judged_rows import PageRow, row_of, rows_in, to_json
from pipeline.training.fit.judgement import Gains, card, cross_validated, fit, gains_of, text_of
from pipeline.training.judge.evaluate import write_card
from pipeline.training.judge.processes import bank, in_processes, one_thread


def read_page(case: Case, signals: Path, unpacked: Path) -> PageRow:
    """The row of one case."""
    hearts = bank(signals, unpacked)
    drawn, whose = draw(case, hearts), patient(case, hearts)
    try:
        return row_of(_digitizer().digitize(drawn.rendered.page), drawn, case, whose)
    except Unreadable as error:
        return PageRow(case.number, str(case.source), whose, error.code)


@cache
def _digitizer() -> Digitizer:
    """One per process. A figure is none of how busy the machine is."""
    return Digitizer(page_seconds_max=np.inf)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--signals", type=Path, required=True, help="folder of *.npz recordings")
    parser.add_argument("--cache", type=Path, required=True, help="where they are unpacked")
    parser.add_argument("--rows", type=Path, required=True, help="a line a page; pages in it are not read again")
    parser.add_argument("--pages", type=int, default=600)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--fit", action="store_true", help="fit pipeline/judgement.toml to the rows")
    parser.add_argument("--card", action="store_true", help="write the curves into the model card")
    given = parser.parse_args()
    one_thread()
    done = {row.number for row in rows_in(given.rows)}
    todo = [case for case in cases(given.pages, split="valid") if case.number not in done]
    work = partial(read_page, signals=given.signals, unpacked=given.cache)
    with given.rows.open("a", encoding="utf-8") as file:
        for row in in_processes(work, todo, given.workers):
            print(to_json(row), file=file, flush=True)
    if given.fit:
        text = refit(rows_in(given.rows), gains_of(bank(given.signals, given.cache)))
        print(text)
        if given.card:
            write_card(text, "judgement")


def refit(rows: Sequence[PageRow], gains: Gains) -> str:
    """Writes the table of these pages; the card's text says by cross-validation what it is worth."""
    held = cross_validated(rows, gains)
    FITTED.write_text(text_of(fit(rows, gains), rows, held), encoding="utf-8")
    return card(held)


if __name__ == "__main__":
    main()
