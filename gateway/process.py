"""What every process of the gateway does first."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys

from gateway.config import Config

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def configure_process(config: Config) -> None:
    """What every process of the gateway does first: files for its own user only, and one log line a record on stderr.

    Log lines hold job ids and hashes, never patient data.
    """
    os.umask(0o077)
    logging.basicConfig(level=config.logging.level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("apscheduler").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)


def end_with_parent() -> None:
    """Asks the system to kill this process when its parent's thread that started it ends; Linux only.

    A parent that ended before that has hung up: the next read says so.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
