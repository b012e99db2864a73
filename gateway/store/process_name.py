"""Names of processes that open the store, and of the machine that each runs on."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import uuid
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

MACHINE_ID = Path("/etc/machine-id")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
MACHINE_CHARACTERS = 16
NAME = re.compile(r"(?P<machine>[0-9a-f]+(?:\.[0-9a-f]+)?)-(?P<pid>[0-9]+)-(?P<unique>[0-9a-f]{32})")


@dataclass(frozen=True)
class ProcessName:
    """machine: as machine() says. pid: as the machine, or its container, counts. unique: never given twice."""

    machine: str
    pid: int
    unique: str

    def __str__(self) -> str:
        return f"{self.machine}-{self.pid}-{self.unique}"

    @classmethod
    def new(cls) -> ProcessName:
        """A name for this process."""
        return cls(machine(), os.getpid(), uuid.uuid4().hex)

    @classmethod
    def parse(cls, text: str) -> ProcessName | None:
        """The reverse of str(); None for any other text."""
        found = NAME.fullmatch(text)
        return None if found is None else cls(found["machine"], int(found["pid"]), found["unique"])

    @property
    def is_local(self) -> bool:
        """Whether it is of a process of this machine, whose locks are seen here."""
        return bool({*self.machine.split(".")} & {*machine().split(".")})


@cache
def machine() -> str:
    """A name of this machine, of one or two hashes; two names that share a hash are of the same machine.

    Of the machine id with the host name: cloned machines often keep the id. A container without an id is the same as
    one of its host name, which outlives a restart of the host, and as any of the same boot, which has the same kernel.
    """
    host, machine_id, boot_id = socket.gethostname(), _text(MACHINE_ID), _text(BOOT_ID)
    if machine_id:
        return _hashed("machine", machine_id, host)
    return ".".join([_hashed("host", host), *([_hashed("boot", boot_id)] if boot_id else [])])


def _text(file: Path) -> str:
    with suppress(OSError, UnicodeError):
        return file.read_text(encoding="ascii").strip()
    return ""


def _hashed(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:MACHINE_CHARACTERS]
