"""The page as pictures: as it came, made anew from its pixels, and laid flat with its traces. Never the bytes sent."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Annotated

import cv2
from anyio import to_thread
from fastapi import APIRouter, Query
from starlette.responses import Response

from gateway.config import Config
from gateway.errors import NotFound
from gateway.store import Store
from gateway.web.api import capacity
from gateway.web.api.access_log import accesses
from gateway.web.api.decoding import decoding
from gateway.web.api.dependencies import (
    JobId,
    PageNumber,
    TheConfig,
    TheStore,
    Viewer,
    gives,
)
from gateway.web.api.recordings import read_page
from pipeline.recording import Page, UInt8

router = APIRouter(prefix="/api/v1/jobs/{job_id}/pages/{number}", tags=["pages"])

CACHE_BYTES = 64_000_000
WIDTHS_PX = (16, 50, 100, 200, 300, 400, 600, 800, 1200, 1600, 2400, 4000, 8000)  # any other would be kept besides
WIDTH_USUAL_PX = 1600
PNG_LEVEL = 3  # of zlib: a page in a tenth of a second, a tenth larger than at the highest
A_PICTURE = gives("image/png")

_Asked = tuple[tuple[str, ...], Callable[[], bytes]]  # a picture's key, and how it is made


class Pictures:
    """PNG files by what they show, the last used ones. How many are made at a time is for the places to say."""

    def __init__(self, most_bytes: int = CACHE_BYTES) -> None:
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, ...], bytes] = OrderedDict()
        self._bytes = 0

    def kept(self, key: tuple[str, ...]) -> bytes | None:
        """The picture of this key where it is kept; never waits for one that is being made."""
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key]

    def get(self, key: tuple[str, ...], make: Callable[[], bytes]) -> bytes:
        """The picture of this key, made where it is not kept."""
        return self.kept(key) or self._keep(key, make())

    def _keep(self, key: tuple[str, ...], png: bytes) -> bytes:
        with self._lock:
            self._bytes += len(png) - len(self._kept.pop(key, b""))  # two may have made it at once
            self._kept[key] = png
            while self._bytes > self._most_bytes:
                self._bytes -= len(self._kept.popitem(last=False)[1])
        return png


pictures = Pictures()


@router.get("/image", response_class=Response, responses=A_PICTURE)
async def image(
    who: Viewer,
    store: TheStore,
    config: TheConfig,
    job_id: JobId,
    number: PageNumber,
    width: Annotated[int, Query(ge=WIDTHS_PX[0], le=WIDTHS_PX[-1])] = WIDTH_USUAL_PX,
) -> Response:
    """The page as it came, at most so many pixels wide, as a PNG of our own making; a few widths are made."""
    width = max(each for each in WIDTHS_PX if each <= width)

    def wanted() -> _Asked:
        accesses.write_down(store, who.name, job_id, f"page {number} image")
        key = ("image", store.job(job_id).sha256, str(number), str(width))
        return key, lambda: png(shrunk(unpacked_page(config, store, job_id, number).image, width))

    return await _answer(job_id, wanted)


@router.get("/rectified", response_class=Response, responses=A_PICTURE)
async def rectified(who: Viewer, store: TheStore, config: TheConfig, job_id: JobId, number: PageNumber) -> Response:
    """The page laid flat, the traces drawn over the ink they were read from; 8 pixels to the millimetre."""

    def wanted() -> _Asked:
        accesses.write_down(store, who.name, job_id, f"page {number} rectified")
        read = read_page(store, job_id, number)
        if read.recording.placed is None:
            raise NotFound(f"where the leads of page {number} lie is not known")
        invalid = frozenset(read.review.invalid_leads)

        def make() -> bytes:
            from pipeline.draw.overlay import draw_traces  # scipy's interpolation, for who has a page laid flat

            return png(draw_traces(unpacked_page(config, store, job_id, number), read.recording, invalid))

        # by content: of the page as it came, of everything read on it, and of what a person does not believe of that
        key = ("rectified", store.job(job_id).sha256, str(number), read.identity, " ".join(sorted(invalid)))
        return key, make

    return await _answer(job_id, wanted)


def unpacked_page(config: Config, store: Store, job_id: str, number: int) -> Page:
    """A page of a job, decoded in the sandbox. Raises NotFound, Refused, TryAgain."""
    return decoding.page(config, store, job_id, number)


def shrunk(picture: UInt8, width: int) -> UInt8:
    """The picture at most so many pixels wide, averaged; never larger than it is."""
    if picture.shape[1] <= width:
        return picture
    height = max(1, round(picture.shape[0] * width / picture.shape[1]))
    small: UInt8 = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    return small


def png(picture: UInt8) -> bytes:
    """A picture, uint8 (H, W, 3) RGB, as a PNG file."""
    done, data = cv2.imencode(".png", picture[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, PNG_LEVEL])
    if not done:
        raise ValueError("the picture could not be encoded")
    return data.tobytes()


async def _answer(job_id: str, wanted: Callable[[], _Asked]) -> Response:
    """The picture asked for: one that is kept at once, any other when there is a place to make it in."""
    key, make = await to_thread.run_sync(wanted)
    data = pictures.kept(key) or await capacity.in_a_place(job_id, lambda: pictures.get(key, make))
    return Response(data, media_type="image/png")
