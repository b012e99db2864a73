"""The documents name what there is: folders that exist, words that are used, links that lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
MOST_WORDS = 40
LINK = re.compile(r"\[[^\]]+\]\((?!https?:)([^)#]+)")
PATH = re.compile(r"`((?:gateway|pipeline|tests|mappings|migrations|docs)/[\w/.-]*)`")


def glossary() -> list[str]:
    lines = (DOCS / "glossary.md").read_text(encoding="utf-8").splitlines()
    return [line.split("|")[1].strip() for line in lines if line.startswith("| ")][1:]


def documents() -> list[Path]:
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]


def test_the_glossary_is_short_and_names_each_word_once() -> None:
    words = glossary()
    assert 20 < len(words) <= MOST_WORDS
    assert len(set(words)) == len(words)


def test_every_word_of_the_glossary_is_used() -> None:
    sources = [*(ROOT / "gateway").rglob("*.py"), *(ROOT / "pipeline").rglob("*.py"), ROOT / "config.example.toml"]
    text = " ".join(path.read_text(encoding="utf-8") for path in sources).lower().replace("_", " ")
    text = re.sub(r"\s+", " ", text)
    assert [word for word in glossary() if not re.search(rf"\b{re.escape(word)}", text)] == []


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_and_paths_lead_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    links = [target for target in LINK.findall(text) if not (document.parent / target).exists()]
    paths = [target for target in PATH.findall(text) if not (ROOT / target).exists()]
    assert (links, paths) == ([], [])
