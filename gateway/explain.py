"""What `cardioscan rules explain` says of a file: for each page, which rule decides and why each other does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gateway.app import open_eye
from gateway.config import Config
from gateway.job import Arrival, Door
from gateway.rules import explain, facts_of, route
from gateway.unpack import MediaType, recognise, unpack
from pipeline.errors import Unreadable


def explain_file(config: Config, path: Path, *, sender: str, called: str) -> Iterator[str]:
    """Lines for a terminal. The file is read as its door would read it, digitized, and sent nowhere.

    Raises:
        Refused: the file cannot be unpacked.
    """
    media = recognise(path)
    door = Door.DICOM if media is MediaType.DICOM else Door.FAX
    arrival = Arrival(door, sender=sender, called=called, media_type=str(media or ""), file_name=path.name)
    unpacked = unpack(path, arrival, config.limits, config.identity)
    eye = open_eye(config.pipeline.threads)
    names = tuple(destination.name for destination in config.destination)
    for number, page in unpacked.pages:
        yield f"page {number}"
        try:
            recording = eye.digitize(page)
        except Unreadable as error:
            yield f"  not routed: {error.code}: {error.why}"
            continue
        decision = route(facts_of(arrival, unpacked.order, recording), config.rule, config.routing, names)
        yield from (f"  {line}" for line in explain(decision))
