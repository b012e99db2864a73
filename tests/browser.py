"""A real, headless Chromium for the tests of the window, watched: what it complains of, and whom it asks."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, JSHandle, Page, Request, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
needs_chromium = pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is not installed")
DESK = {"width": 1280, "height": 900}
TABLET = {"width": 820, "height": 1180}
PICTURES = Path(__file__).parents[1] / "build" / "pictures"  # where screenshots are kept; git ignores it


def pictures_folder() -> Path:
    """The folder for screenshots, made where it is not there."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    return PICTURES


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium without a window. As root it has no sandbox of its own."""
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"] if root else ["--disable-gpu"]
        )
        yield browser
        browser.close()


@dataclass
class Watch:
    """What a page complained of, and requests that left the host."""

    complaints: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)

    def on(self, page: Page, base: str) -> None:
        """Begins to watch a page of the server at base."""

        def said(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning"):
                self.complaints.append(f"{page.url}: {message.type}: {message.text}")

        def asked(request: Request) -> None:
            if urlsplit(request.url).scheme in ("http", "https", "ws", "wss") and not request.url.startswith(base):
                self.strangers.append(request.url)

        def threw(error: Any) -> None:
            self.complaints.append(f"{page.url}: {error}")

        page.on("console", said)
        page.on("pageerror", threw)
        page.on("request", asked)


def in_hand(page: Page, **files: bytes) -> JSHandle:
    """What a browser hands to a drop: these files, by name without their suffix."""
    told = [[f"{name}.png", base64.b64encode(content).decode()] for name, content in files.items()]
    return page.evaluate_handle(
        """(files) => {
          const hand = new DataTransfer();
          for (const [name, text] of files) {
            const bytes = Uint8Array.from(atob(text), (each) => each.charCodeAt(0));
            hand.items.add(new File([bytes], name, { type: "image/png" }));
          }
          return hand;
        }""",
        told,
    )
