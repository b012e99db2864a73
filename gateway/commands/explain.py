"""What `cardioscan rules explain` says of a file: for each page, which rule decides and why each other does not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from gateway.config import Config, FaxInboxSection
from gateway.digitizer.load import load_digitizer
from gateway.disposition.decide import OF_THE_ROUTE, Cause, Disposition, ReviewedDocument, decide, reviewed_page
from gateway.disposition.read_page import read_page
from gateway.disposition.reasons import phrase
from gateway.disposition.rules import Action, explain
from gateway.errors import Refused
from gateway.identity.order import Order
from gateway.intake.fax_inbox.identity import order_from_name, pattern_of, read_sidecar
from gateway.intake.fax_inbox.settling import SIDECAR
from gateway.job import Arrival, Door, PageResult
from gateway.review import NO_REVIEW
from gateway.unpack import MediaType, recognise, unpack


def explain_file(config: Config, path: Path, *, sender: str, called: str, door: Door | None = None) -> Iterator[str]:
    """Lines for a terminal. The file is read as its door would read it, digitized, and sent nowhere.

    door: None for DICOM with a DICOM object, else for fax where an inbox is configured, else for web. A fax gets its
    identity from the sidecar beside it, else from its name by the file_name_pattern of the inbox that sender names, or
    of the only one there is; at the other doors only the file itself says whose it is.

    Raises:
        Refused: the file, or its sidecar, cannot be read, or this door does not take files of its kind.
        TryAgain: the decoder's process was ended from outside.
        OSError: the file or its sidecar cannot be opened.
    """
    media = recognise(path)
    door = door or _usual_door(config, media)
    yield f"read as the {door} door would (--door)"
    _check_taken(door, media)
    order: Order | None = None
    if door is Door.FAX:
        inbox = _inbox(config, sender)
        sender = sender or (inbox.name if inbox else "")
        order, source = _fax_order(path, inbox)
        yield source
    arrival = Arrival(door, sender, called=called, media_type=str(media or ""), file_name=path.name, order=order)
    unpacked = unpack(path, arrival, config.limits, config.identity)
    digitizer = load_digitizer(config.pipeline)
    bound = config.pipeline.confidence_min
    readings = (read_page(number, unpacked, digitizer.digitize, bound) for number in range(1, unpacked.page_count + 1))
    pages = tuple(reviewed_page(reading.result, reading.recording, NO_REVIEW) for reading in readings)
    disposition = decide(config, ReviewedDocument(arrival, datetime.now(UTC), unpacked.order, pages))
    for page in pages:
        yield f"page {page.number}"
        yield from (f"  {line}" for line in _page_lines(config, page.result, disposition))
    if disposition.routes and disposition.action is not Action.SEND and unpacked.page_count > 1:
        yield f"the document goes out whole or waits whole, and does not go out: {_stopping(config, disposition)}"


def _page_lines(config: Config, page: PageResult, disposition: Disposition) -> Iterator[str]:
    """What becomes of one page by itself, and why."""
    if page.number not in disposition.routes:
        holds = disposition.routes and any(reason.page == page.number for reason in disposition.reasons)
        yield f"not routed: {page.code}: {page.why}{' (it holds the document)' if holds else ''}"
        return
    for reason in disposition.reasons:
        if reason.page in (None, page.number) and reason.cause not in OF_THE_ROUTE:
            yield f"held before any rule: {phrase(config, reason)}"
    yield from explain(disposition.routes[page.number])
    for reason in disposition.reasons:
        if reason.cause is Cause.INCOMPLETE:
            yield f"held for what it is sent as: {phrase(config, reason)}"


def _stopping(config: Config, disposition: Disposition) -> str:
    """The first reason of each page, and those of the whole document."""
    first = {reason.page or reason.code: reason for reason in reversed(disposition.reasons)}
    reasons = sorted(first.values(), key=lambda reason: (reason.page is None, reason.page or 0))
    return "; ".join(f"page {r.page}: {phrase(config, r)}" if r.page else phrase(config, r) for r in reasons)


def _usual_door(config: Config, media: MediaType | None) -> Door:
    if media is MediaType.DICOM:
        return Door.DICOM
    return Door.FAX if config.fax_inbox else Door.WEB


def _check_taken(door: Door, media: MediaType | None) -> None:
    """Raises Refused where a door takes no files of this kind, in words that name one that does."""
    if door is Door.DICOM and media is not MediaType.DICOM:
        raise Refused("unknown_format", "By C-STORE come DICOM objects only; this file is none: --door fax or web.")
    if door is Door.FAX and media is MediaType.DICOM:
        raise Refused("unknown_format", "A fax inbox takes no DICOM objects: --door dicom or web.")


def _inbox(config: Config, sender: str) -> FaxInboxSection | None:
    """The inbox that sender names, or without a name the only one there is."""
    named = [inbox for inbox in config.fax_inbox if sender in ("", inbox.name)]
    return named[0] if len(named) == 1 else None


def _fax_order(path: Path, inbox: FaxInboxSection | None) -> tuple[Order, str]:
    """The Order as the fax door makes it, and from what, in words. Raises Refused and OSError."""
    for sidecar in (path.with_name(path.name + SIDECAR), path.with_suffix(SIDECAR)):
        if _is_there(sidecar):
            return read_sidecar(sidecar.resolve()), f"identity from the sidecar {sidecar.name}"
    if inbox is None:
        return Order(), "no identity: no sidecar, and no one inbox to take a file_name_pattern from (--sender NAME)"
    order = order_from_name(path.name, pattern_of(inbox.file_name_pattern, inbox.name))
    if order == Order():
        return order, f"no identity: no sidecar, and the name does not match file_name_pattern of inbox {inbox.name}"
    return order, f"identity from the name, by file_name_pattern of inbox {inbox.name}"


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long to exist
        return False
