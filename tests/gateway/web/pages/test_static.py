"""What lies under templates/ and static/: nothing inline, nothing from elsewhere, nothing missing, all readable."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.web.templating import STATIC, TEMPLATES

HTML = sorted(TEMPLATES.rglob("*.html"))
SCRIPTS = sorted(STATIC.rglob("*.js"))
STYLES = sorted(STATIC.rglob("*.css"))
NAMESPACES = ("http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink")

# Text and the ground it may stand on; 4.5 : 1 is WCAG AA for text of any size.
TEXT_PAIRS = [
    *((text, ground) for text in ("text", "soft", "accent", "accent-strong") for ground in ("surface", "ground")),
    *((text, ground) for text in ("text", "soft") for ground in ("sunken", "accent-wash")),
    *(("text", f"{kind}-wash") for kind in ("good", "warn", "bad", "info")),
    *((kind, f"{kind}-wash") for kind in ("good", "warn", "bad", "info")),
    ("on-accent", "accent"),
    ("on-accent", "accent-strong"),
    ("accent-strong", "accent-wash"),
    ("on-bar", "bar"),
    ("bar-soft", "bar"),
    ("paper-text", "paper"),
    ("paper-soft", "paper"),
    ("caliper", "paper"),
]
# Borders and lines that must be seen: 3 : 1.
LINE_PAIRS = [("edge", "surface"), ("trace", "paper"), ("bridge", "paper"), ("earlier", "paper"), ("warn", "surface")]


def name(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("path", HTML, ids=name)
def test_a_template_holds_no_script_or_style_of_its_own(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert not re.search(r"<style", text)
    assert not re.search(r"\sstyle\s*=", text)
    assert not re.search(r"<[^>]*\son[a-z]+\s*=", text)


@pytest.mark.parametrize("path", [*HTML, *SCRIPTS, *STYLES], ids=name)
def test_a_file_asks_no_other_host(path: Path) -> None:
    text = path.read_text()
    for namespace in NAMESPACES:
        text = text.replace(namespace, "")
    assert not re.search(r"(https?:)?//[a-z0-9-]+\.[a-z]{2,}", text)
    assert "@import" not in text


@pytest.mark.parametrize("path", SCRIPTS, ids=name)
def test_a_script_makes_no_markup_and_no_code_out_of_text(path: Path) -> None:
    text = path.read_text()
    for forbidden in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
        assert forbidden not in text
    assert not re.search(r"setAttribute\(\"style\"|style:", text)


@pytest.mark.parametrize("path", HTML, ids=name)
def test_every_file_a_template_names_is_there(path: Path) -> None:
    for found in re.findall(r'(?:src|href)="/static/([^"]+)"', path.read_text()):
        assert (STATIC / found).is_file(), found


@pytest.mark.parametrize("path", SCRIPTS, ids=name)
def test_every_module_a_script_imports_gives_what_is_asked_of_it(path: Path) -> None:
    for names, module in re.findall(r'import\s*\{([^}]*)\}\s*from\s*"([^"]+)"', path.read_text()):
        source = (path.parent / module).resolve()
        assert source.is_file(), module
        for each in filter(None, (one.strip() for one in names.split(","))):
            assert re.search(rf"export (async )?(function|const|class) {each}\b", source.read_text()), (module, each)


def test_every_script_is_used_by_a_page_or_another_script() -> None:
    everything = "".join(path.read_text() for path in [*HTML, *SCRIPTS])
    for path in SCRIPTS:
        assert re.search(rf'["/]{re.escape(path.name)}"', everything), path


def colours(dark: bool) -> dict[str, tuple[int, int, int]]:
    """The colours of :root by name, with those of the dark scheme over them where asked."""
    found: dict[str, tuple[int, int, int]] = {}
    for path in STYLES:
        for block in re.findall(r"(@media \(prefers-color-scheme: dark\) \{\s*)?:root \{([^}]*)\}", path.read_text()):
            if block[0] and not dark:
                continue
            for key, value in re.findall(r"--([a-z-]+):\s*#([0-9a-f]{6});", block[1]):
                found[key] = (int(value[:2], 16), int(value[2:4], 16), int(value[4:], 16))
    return found


def luminance(colour: tuple[int, int, int]) -> float:
    """WCAG 2.2, relative luminance."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: tuple[int, int, int], other: tuple[int, int, int]) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize(("pairs", "least"), [(TEXT_PAIRS, 4.5), (LINE_PAIRS, 3.0)], ids=["text", "lines"])
def test_colours_can_be_told_apart(dark: bool, pairs: list[tuple[str, str]], least: float) -> None:
    known = colours(dark)
    weak = {pair: round(contrast(known[pair[0]], known[pair[1]]), 2) for pair in pairs}
    assert {pair: ratio for pair, ratio in weak.items() if ratio < least} == {}
