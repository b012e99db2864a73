"""The one form of a user's name."""

from __future__ import annotations

import re
import unicodedata

from gateway.store.accounts import STRANGER

# No blanks and no colon: the audit's other actors are "deliver:pacs", "dicom:SCANNER", "worker …".
PATTERN = r"^[\w.@+\-]{1,200}$"
RULE = "a name has 1 to 200 letters, digits and . _ @ + -"


def user_name(entered: str) -> str:
    """The name as it is kept: compatible characters made one, lower case. ValueError where it is no lawful name."""
    name = unicodedata.normalize("NFKC", entered.strip()).casefold()
    if not re.fullmatch(PATTERN, name) or name == STRANGER:
        raise ValueError(RULE)
    return name
