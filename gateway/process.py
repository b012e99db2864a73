"""What every process of the gateway does first."""

from __future__ import annotations

import logging
import os

from gateway.config import Config


def configure_process(config: Config) -> None:
    """What every process of the gateway does first: files for its own user only, and one log line a record on stderr.

    Log lines hold job ids and hashes, never patient data.
    """
    os.umask(0o077)
    logging.basicConfig(level=config.logging.level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("apscheduler").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
