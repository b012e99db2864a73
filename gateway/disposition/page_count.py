"""How many pages of a job one identity would be given to."""

from __future__ import annotations

from gateway.config import Config
from gateway.store import Store
from gateway.unpack import unpack


def ecg_pages(config: Config, store: Store, job_id: str) -> int:
    """How many pages of a job one identity would be given to: those digitized, or all where none was tried yet.

    Raises:
        NotFound: no such job.
        Refused: no page was tried, and the document cannot be opened.
        TryAgain: the decoder's process was ended from outside.
    """
    pages = store.pages(job_id)
    if pages:
        return sum(page.recording_npz is not None for page in pages)
    job = store.job(job_id)
    return unpack(store.content(job), job.arrival, config.limits, config.identity).page_count
