"""A real, headless Firefox for the tests of the window, driven by WebDriver BiDi and watched as Chromium is."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.browser import DESK, Watch
from tests.flow.processes import wait_for

FIREFOX = Path("/usr/bin/firefox-esr")
needs_firefox = pytest.mark.skipif(not FIREFOX.exists(), reason="Firefox is not installed")
PATIENCE_S = 120.0  # the machine may be busy with other things
# Of a program that is to ask nobody but us: no updates, no telemetry, no look whether there is a network.
PREFERENCES = {
    "app.normandy.enabled": False,
    "app.update.enabled": False,
    "browser.safebrowsing.downloads.remote.enabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.homepage_override.mstone": "ignore",
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.systemAddon.update.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.dns.disablePrefetch": True,
    "services.settings.server": "",
    "toolkit.telemetry.enabled": False,
}
# Of a person who likes it so.
DARK = {
    "layout.css.prefers-color-scheme.content-override": 0,
    "ui.systemUsesDarkTheme": 1,
}
# Firefox tells what the policy forbade to its own console only; the page's event says it to whoever listens.
TELL_VIOLATIONS = """(tell) => document.addEventListener("securitypolicyviolation",
  (event) => tell(`${event.violatedDirective} forbade ${event.blockedURI || "inline"}`))"""
SANDBOX = "test"  # a realm of its own: the page's policy forbids to evaluate text, and its scripts are not to notice
FIND = """(selector, words) => [...document.querySelectorAll(selector)].find((each) =>
  (each.type === "file" || each.checkVisibility()) && (!words || each.textContent.trim() === words))"""
LISTENING = re.compile(r"WebDriver BiDi listening on (ws://\S+)")


class Refusal(Exception):
    """Firefox did not do what it was told."""


class Session:
    """One WebDriver BiDi session: commands with their answers, and events as they come."""

    def __init__(self, url: str) -> None:
        self._open = ExitStack()
        self._socket = self._open.enter_context(connect(url, max_size=None, open_timeout=PATIENCE_S))
        self._answers: dict[int, dict[str, Any]] = {}
        self._came = threading.Condition()
        self._number = 0
        self.events: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def send(self, method: str, **params: Any) -> Any:
        """A command's result. Refusal where Firefox says no, or nothing."""
        self._number += 1
        number = self._number
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        with self._came:
            if not self._came.wait_for(lambda: number in self._answers, PATIENCE_S):
                raise Refusal(f"no answer to {method}")
            told = self._answers.pop(number)
        if told["type"] == "error":
            raise Refusal(f"{method}: {told['error']}: {told['message']}")
        return told["result"]

    def close(self) -> None:
        self._open.close()
        self._reader.join(10)

    def _read(self) -> None:
        try:
            for text in self._socket:
                told = json.loads(text)
                with self._came:
                    if told["type"] == "event":
                        self.events.append(told)
                    else:
                        self._answers[told["id"]] = told
                    self._came.notify_all()
        except ConnectionClosed:
            pass  # whoever waits for an answer is told by the clock


class FirefoxPage:
    """A tab, used as a person does: by pointer and keys."""

    def __init__(self, session: Session, context: str) -> None:
        self._session = session
        self._context = context
        self.resize(DESK)

    def open(self, url: str) -> None:
        self._session.send("browsingContext.navigate", context=self._context, url=url, wait="complete")

    def resize(self, size: dict[str, int]) -> None:
        self._session.send("browsingContext.setViewport", context=self._context, viewport=size)

    def evaluate(self, expression: str, first: str = "", within_page: bool = False) -> Any:
        """What JavaScript comes to, by way of JSON; a promise is waited for. Refusal where it throws.

        first: statements to run before it. within_page: among the page's own scripts, as a library needs that looks
        closely at elements.
        """
        realm = {} if within_page else {"sandbox": SANDBOX}
        told = self._session.send(
            "script.evaluate",
            expression=f"{first}\n(async () => JSON.stringify((await ({expression})) ?? null))()",
            target={"context": self._context, **realm},
            awaitPromise=True,
            userActivation=True,
        )
        if told["type"] == "exception":
            raise Refusal(f"{expression}: {told['exceptionDetails']['text']}")
        return json.loads(told["result"]["value"])

    def wait(self, expression: str, why: str) -> Any:
        """The first true value of an expression; it may throw as long as the page is not there."""

        def found() -> Any:
            try:
                return self.evaluate(expression)
            except Refusal:
                return None

        return wait_for(found, PATIENCE_S, f"{why} ({expression})")

    def wait_for_text(self, selector: str, words: str) -> None:
        """Until an element shows these words."""
        test = f"document.querySelector({json.dumps(selector)})?.textContent.includes({json.dumps(words)})"
        self.wait(test, f"{words!r} in {selector}")

    def count(self, selector: str) -> int:
        return int(self.evaluate(f"document.querySelectorAll({json.dumps(selector)}).length"))

    def click(self, selector: str, words: str = "") -> None:
        """Clicks the first element of a selector, or the first that shows exactly these words."""
        self._pointer(self._element(selector, words))

    def drag(self, selector: str, right_px: int) -> None:
        """Takes an element by its middle and lets it go further right."""
        self._pointer(self._element(selector), {"type": "pointerMove", "x": right_px, "y": 0, "origin": "pointer"})

    def fill(self, selector: str, text: str) -> None:
        """Types into a field after what was there is chosen."""
        element = self._element(selector)
        self._pointer(element)
        self._call("(each) => each.select()", element)
        self.keys(text)

    def keys(self, keys: str) -> None:
        """Presses keys, one after another."""
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._act({"type": "key", "id": "keyboard", "actions": actions})

    def choose_files(self, selector: str, *paths: Path) -> None:
        """Gives files to a file input, as its dialog would."""
        self._session.send(
            "input.setFiles", context=self._context, element=self._element(selector), files=[str(p) for p in paths]
        )

    def screenshot(self, path: Path, whole: bool = False, of: str = "") -> None:
        """Keeps what is seen, the whole page, or one element as a PNG."""
        clip = {"clip": {"type": "element", "element": self._element(of)}} if of else {}
        origin = "document" if whole or of else "viewport"
        told = self._session.send("browsingContext.captureScreenshot", context=self._context, origin=origin, **clip)
        path.write_bytes(base64.b64decode(told["data"]))

    def _element(self, selector: str, words: str = "") -> dict[str, str]:
        """A reference to an element that can be used, waited for."""
        given = [{"type": "string", "value": selector}, {"type": "string", "value": words}]

        def found() -> str:
            told = self._call(FIND, *given)
            return str(told["sharedId"]) if told["type"] == "node" else ""

        return {"sharedId": wait_for(found, PATIENCE_S, f"{selector} {words}")}

    def _call(self, function: str, *arguments: dict[str, str]) -> Any:
        told = self._session.send(
            "script.callFunction",
            functionDeclaration=function,
            arguments=list(arguments),
            target={"context": self._context, "sandbox": SANDBOX},
            awaitPromise=True,
        )
        if told["type"] == "exception":
            raise Refusal(f"{function}: {told['exceptionDetails']['text']}")
        return told["result"]

    def _pointer(self, element: dict[str, str], *while_down: dict[str, Any]) -> None:
        self._call('(each) => each.scrollIntoView({ block: "center", inline: "center" })', element)
        actions = [
            {"type": "pointerMove", "x": 0, "y": 0, "origin": {"type": "element", "element": element}},
            {"type": "pointerDown", "button": 0},
            *while_down,
            {"type": "pointerUp", "button": 0},
        ]
        self._act({"type": "pointer", "id": "mouse", "actions": actions})

    def _act(self, source: dict[str, Any]) -> None:
        self._session.send("input.performActions", context=self._context, actions=[source])


class Firefox:
    """The program and its session; every tab is watched."""

    def __init__(self, folder: Path, preferences: Mapping[str, Any]) -> None:
        profile = folder / "profile"
        profile.mkdir()
        lines = [
            f"user_pref({json.dumps(name)}, {json.dumps(value)});"
            for name, value in (PREFERENCES | dict(preferences)).items()
        ]
        (profile / "user.js").write_text("\n".join(lines), encoding="utf-8")
        self._log = folder / "firefox.log"
        command = [FIREFOX, "--headless", "--no-remote", "--remote-debugging-port=0", "--profile", profile]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            self._session = Session(wait_for(self._address, PATIENCE_S, "Firefox to listen") + "/session")
            self._session.send("session.new", capabilities={"alwaysMatch": {"acceptInsecureCerts": False}})
            events = ["log.entryAdded", "network.beforeRequestSent", "script.message"]
            self._session.send("session.subscribe", events=events)
            channel = {"type": "channel", "value": {"channel": "violations"}}
            self._session.send("script.addPreloadScript", functionDeclaration=TELL_VIOLATIONS, arguments=[channel])
        except BaseException:
            self._end()
            raise

    def _address(self) -> str:
        found = LISTENING.search(self._log.read_text(encoding="utf-8", errors="replace"))
        return found[1] if found else ""

    def new_page(self) -> FirefoxPage:
        """A tab in a window of its own, with cookies of its own."""
        who = self._session.send("browser.createUserContext")["userContext"]
        told = self._session.send("browsingContext.create", type="tab", userContext=who)
        return FirefoxPage(self._session, told["context"])

    def watched(self, base: str) -> Watch:
        """What its pages complained of, and whom they asked, so far."""
        watch = Watch()
        for event in list(self._session.events):
            told = event["params"]
            match event["method"]:
                case "log.entryAdded" if told["level"] in ("error", "warn"):
                    watch.complaints.append(f"{told['level']}: {told['text']}")
                case "script.message":
                    watch.complaints.append(f"Content-Security-Policy: {told['data'].get('value')}")
                case "network.beforeRequestSent":
                    url = told["request"]["url"]
                    if urlsplit(url).scheme in ("http", "https", "ws", "wss") and not url.startswith(base):
                        watch.strangers.append(url)
        return watch

    def requests(self) -> int:
        """How many requests were seen at all."""
        return sum(event["method"] == "network.beforeRequestSent" for event in self._session.events)

    def close(self) -> None:
        try:
            self._session.send("browser.close")
            self._session.close()
        finally:
            self._end()

    def _end(self) -> None:
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.terminate()
            self._process.wait(20)


@contextmanager
def firefox(folder: Path, preferences: Mapping[str, Any] = MappingProxyType({})) -> Iterator[Firefox]:
    """Debian's Firefox without a window, its profile in a folder. preferences: beside those of every test."""
    browser = Firefox(folder, preferences)
    try:
        yield browser
    finally:
        browser.close()
