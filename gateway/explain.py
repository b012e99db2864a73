"""What `cardioscan rules explain` says of a file: for each page, which rule decides and why each other does not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from gateway.app import open_eye
from gateway.config import Config, FaxInboxSection
from gateway.errors import Refused
from gateway.intake.fax_inbox.identity import order_from_name, pattern_of, read_sidecar
from gateway.intake.fax_inbox.settling import SIDECAR
from gateway.job import Arrival, Door
from gateway.judging import held_before_rules
from gateway.order import Order
from gateway.rules import Action, explain, facts_of, route
from gateway.unpack import MediaType, recognise, unpack
from pipeline.errors import Unreadable

NOT_AN_ECG = "not_an_ecg"  # a cover sheet: it stops no document


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
        order, told = _fax_order(path, inbox)
        yield told
    arrival = Arrival(door, sender, called=called, media_type=str(media or ""), file_name=path.name, order=order)
    unpacked = unpack(path, arrival, config.limits, config.identity)
    eye = open_eye(config.pipeline.threads, config.pipeline.device)
    names = tuple(destination.name for destination in config.destination)
    stopping: dict[int, str] = {}
    read = 0
    for number in range(1, unpacked.page_count + 1):
        yield f"page {number}"
        try:
            recording = eye.digitize(unpacked.read(number))
        except (Unreadable, Refused) as error:
            yield f"  not routed: {error.code}: {error.why}"
            if error.code != NOT_AN_ECG:
                stopping[number] = error.code
            continue
        read += 1
        held = list(held_before_rules(config, unpacked.order, recording, datetime.now(UTC)))
        yield from (f"  held before any rule: {why}" for why in held)
        decision = route(facts_of(arrival, unpacked.order, recording), config.rule, config.routing, names)
        yield from (f"  {line}" for line in explain(decision))
        if held or decision.action is not Action.SEND:
            stopping[number] = held[0] if held else decision.why
    if read and stopping and unpacked.page_count > 1:
        told = "; ".join(f"page {number}: {why}" for number, why in stopping.items())
        yield f"the document goes out whole or waits whole, and does not go out: {told}"


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
