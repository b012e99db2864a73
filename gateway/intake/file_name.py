"""File names that leave room for what is added to them: systems take 255 bytes, and people's names fill them."""

from __future__ import annotations

import os

NAME_MAX_BYTES = 255  # of ext4, XFS, NTFS and what is shared from them


def shortened(name: str, added_bytes: int) -> str:
    """The name, its end cut off where it would be too long with so many bytes more."""
    while len(os.fsencode(name)) > NAME_MAX_BYTES - added_bytes:
        name = name[:-1]  # by whole letters
    return name
