"""Fits the confidence of a page to what its error turned out to be.

Run as: python -m pipeline.training.fit.confidence FILE.csv [--floor-db 10]
FILE.csv holds pages judged by pipeline.training.judge.evaluate --out.

A page that is right (at least the floor, in dB) is told from one that is wrong by logistic regression on the signs of
pipeline.quality. No weight is negative, so that a better sign never lowers a confidence. The pages must be others
than those the confidence is then judged on.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from pipeline.geometry import Float64

FLOOR_DB = 10.0
SHRINK = 0.001  # per page, of half the squared weights: keeps the weights of signs that hardly vary from running away


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", type=Path, nargs="+", help="CSV files of judged pages")
    parser.add_argument("--floor-db", type=float, default=FLOOR_DB, help="at least this is right")
    given = parser.parse_args()
    names, signs, db = read(given.pages)
    weights, bias = fit(signs, db >= given.floor_db)
    told = 1 / (1 + np.exp(-(bias + signs @ weights)))
    print(
        f"{len(db)} pages, {np.mean(db >= given.floor_db):.0%} right; area under the curve {_area(told, db, given):.3f}"
    )
    for name, weight in zip(names, weights, strict=True):
        print(f"    {name}={weight:.2f},")
    print(f"BIAS = {bias:.2f}")
    for bound in (0.3, 0.5, 0.7, 0.8, 0.9, 0.95):
        on = told >= bound
        print(f"from {bound:.2f}: {on.mean():.0%} of pages, {np.mean(db[on]):.1f} dB, {np.sum(db[on] < 6)} below 6 dB")


def read(files: list[Path]) -> tuple[list[str], Float64, Float64]:
    """The names of the signs, float64 (pages, signs), and float64 (pages,) dB, of the pages that were not refused."""
    rows = [row for file in files for row in csv.DictReader(file.open(encoding="utf-8")) if row["signs"]]
    told = [dict(part.split("=") for part in row["signs"].split(";")) for row in rows]
    names = list(told[0])
    signs = np.array([[float(one[name]) for name in names] for one in told])
    return names, signs, np.array([float(row["kaggle_db"]) for row in rows])


def fit(signs: Float64, right: np.ndarray) -> tuple[Float64, float]:
    """Weights, none negative, and bias of the logistic regression. right: bool (pages,)."""
    count = signs.shape[1]
    answer = right.astype(np.float64)

    def cost(at: Float64) -> tuple[float, Float64]:
        logit = signs @ at[:-1] + at[-1]
        loss = np.logaddexp(0, logit) - answer * logit
        off = 1 / (1 + np.exp(-logit)) - answer
        slope = np.append(signs.T @ off / len(off) + SHRINK * at[:-1], off.mean())
        return float(loss.mean() + 0.5 * SHRINK * (at[:-1] ** 2).sum()), slope

    bounds = [(0.0, None)] * count + [(None, None)]
    found = minimize(cost, np.zeros(count + 1), jac=True, method="L-BFGS-B", bounds=bounds)
    return np.asarray(found.x[:-1], np.float64), float(found.x[-1])


def _area(told: Float64, db: Float64, given: argparse.Namespace) -> float:
    """The chance that a page that is right is surer than one that is wrong."""
    right, wrong = told[db >= given.floor_db], told[db < given.floor_db]
    if not len(right) or not len(wrong):
        return float("nan")
    return float(np.mean((right[:, None] > wrong) + 0.5 * (right[:, None] == wrong)))


if __name__ == "__main__":
    main()
