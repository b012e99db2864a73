"""Writes NOTICE: the licences of everything that is installed to run. Run it after a lock was made anew.

`python -m tests.tools.notice`
"""

from __future__ import annotations

import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAD = """CardioScan Gateway
Licensed under the Apache License, Version 2.0; see LICENSE. The trained weights in pipeline/weights and
pipeline/intervals are part of it, under the same licence. They were trained with recordings of PTB-XL, CPSC 2018,
Chapman-Shaoxing/Ningbo and CODE-15 % (CC BY 4.0) and LUDB (ODC-BY 1.0); MODEL_CARD.md beside them says which.

What is installed to run it (requirements.lock) is under licences of its own, as its own metadata name them. Packages
under the LGPL (psycopg, and pi-heif with libheif and libde265) are used unchanged, as separate files that can be
replaced. Packages whose names begin with nvidia or cuda come with the CUDA build of torch only.

"""
# Whose metadata say less than their files.
SAID_ELSEWHERE = {"nvidia": "NVIDIA Proprietary Software", "cuda": "NVIDIA Proprietary Software", "triton": "MIT"}


def licence(found: Distribution | None, name: str) -> str:
    """In a line: the expression, else the classifiers, else the first line of the free text."""
    metadata = found.metadata if found is not None else {}
    expression = metadata.get("License-Expression")
    if expression:
        return str(expression)
    classified = [] if found is None else found.metadata.get_all("Classifier") or []
    words = [line.rpartition(" :: ")[2] for line in classified if line.startswith("License :: ")]
    words = [word for word in words if word != "OSI Approved"]
    if words:
        return ", ".join(words)
    text = str(metadata.get("License") or "").strip().partition("\n")[0][:80]
    return text or next((said for start, said in SAID_ELSEWHERE.items() if name.startswith(start)), "unknown")


def lines() -> list[str]:
    """One a package, in the order of the lock."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    found = []
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", text, re.MULTILINE):
        try:
            known = distribution(name)
        except PackageNotFoundError:
            known = None
        found.append(f"- {name} {version}: {licence(known, name)}")
    return found


def main() -> None:
    (ROOT / "NOTICE").write_text(HEAD + "\n".join(lines()) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
