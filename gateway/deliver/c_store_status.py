"""What a C-STORE status means for a document (PS3.4 Table B.2-1, PS3.7 Annex C)."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class DeliveryOutcome(StrEnum):
    """What becomes of the document."""

    DELIVERED = "delivered"
    TRY_AGAIN = "try_again"  # the PACS may take it later
    REFUSED = "refused"  # the same bytes will be refused again


class Meaning(NamedTuple):
    """code: a short stable word. words: a sentence's end for a person."""

    outcome: DeliveryOutcome
    code: str
    text: str


_EXACT = {
    0x0000: Meaning(DeliveryOutcome.DELIVERED, "success", "success"),
    0x0001: Meaning(DeliveryOutcome.DELIVERED, "warning", "stored, but some optional attributes are not supported"),
    0x0107: Meaning(DeliveryOutcome.DELIVERED, "warning", "stored, but some attributes were not recognised"),
    0x0116: Meaning(DeliveryOutcome.DELIVERED, "warning", "stored, but some values were out of its range"),
    0xB000: Meaning(DeliveryOutcome.DELIVERED, "warning", "stored, but some data elements were changed (coercion)"),
    0xB006: Meaning(DeliveryOutcome.DELIVERED, "warning", "stored, but some data elements were discarded"),
    0xB007: Meaning(
        DeliveryOutcome.DELIVERED, "warning", "stored, though it finds the data set not to match the SOP class"
    ),
    0x0110: Meaning(DeliveryOutcome.TRY_AGAIN, "processing_failure", "processing failure"),
    0x0213: Meaning(DeliveryOutcome.TRY_AGAIN, "out_of_resources", "resource limitation"),
    # A retry after a lost answer may end here. Whether what it has is what we sent only a person can tell.
    0x0111: Meaning(
        DeliveryOutcome.REFUSED, "duplicate", "it holds an object with this SOP Instance UID already; compare them"
    ),
    0x0117: Meaning(DeliveryOutcome.REFUSED, "invalid_instance", "the SOP Instance UID is not valid to it"),
    0x0122: Meaning(
        DeliveryOutcome.REFUSED, "sop_class_not_supported", "it does not store this SOP class; enable it there"
    ),
    0x0124: Meaning(DeliveryOutcome.REFUSED, "not_authorised", "we may not store there; grant it to our AE title"),
    0x0210: Meaning(DeliveryOutcome.TRY_AGAIN, "duplicate_invocation", "duplicate message id"),
    0x0211: Meaning(DeliveryOutcome.REFUSED, "not_a_store", "it does not know C-STORE; is this the right port?"),
    0x0212: Meaning(DeliveryOutcome.REFUSED, "mistyped_argument", "it finds the request malformed"),
}
_BY_HIGH_BYTE = {
    0xA7: Meaning(DeliveryOutcome.TRY_AGAIN, "out_of_resources", "out of resources (its disk may be full)"),
    0xA9: Meaning(DeliveryOutcome.REFUSED, "data_set_mismatch", "the data set does not match the SOP class"),
}
_BY_HIGH_DIGIT = {  # the other three are the peer's own
    0xB: Meaning(DeliveryOutcome.DELIVERED, "warning", "stored with a warning of its own"),
    0xC: Meaning(DeliveryOutcome.REFUSED, "cannot_understand", "it cannot understand the data set; look into its log"),
}
# Not in the standard for C-STORE (FFxx pending and FE00 cancel among them). Neither a yes nor a sure no.
_UNKNOWN = Meaning(DeliveryOutcome.TRY_AGAIN, "unknown_status", "a status that the standard does not know")


def meaning_of(status: int) -> Meaning:
    """Only 0x0000 and the warnings are a yes; whatever the standard does not name is none."""
    return _EXACT.get(status) or _BY_HIGH_BYTE.get(status >> 8) or _BY_HIGH_DIGIT.get(status >> 12, _UNKNOWN)
