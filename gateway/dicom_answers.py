"""How much a DICOM peer may answer that we asked: it is read whole into memory, and answers are small."""

from __future__ import annotations

import logging
from typing import Any

from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.pdu_primitives import P_DATA
from pynetdicom.transport import AssociationSocket

log = logging.getLogger(__name__)

# A worklist's entry has 2 KB. pydicom makes a hundred times as much of what is meant to be expensive.
ANSWER_MAX_BYTES = 64 * 1024
PDU_MAX_BYTES = 256 * 1024  # we ask for half of it; an acceptance of many contexts may be as long


def bound(association: Any) -> None:
    """Bounds what comes in on an association of ours. To be called when its connection has just been opened."""
    association.dul.socket = _Socket(association.dul.socket)
    association.dimse = _Dimse(association)


class _Socket(AssociationSocket):
    def __init__(self, adopted: AssociationSocket) -> None:
        # Adopts another's state: making a new one would tell the state machine of a second connection.
        self.__dict__.update(adopted.__dict__)

    def recv(self, nr_bytes: int) -> bytearray:
        """Raises OSError, for which pynetdicom ends the association, before too long a PDU is read."""
        if nr_bytes > PDU_MAX_BYTES:
            raise OSError("the PDU is too long")
        data: bytearray = super().recv(nr_bytes)
        return data


class _Dimse(DIMSEServiceProvider):
    def __init__(self, association: Any) -> None:
        super().__init__(association)
        self._held_bytes = 0

    def receive_primitive(self, primitive: P_DATA) -> None:
        """Ends the association where a message grows too long."""
        self._held_bytes += sum(len(fragment) for _, fragment in primitive.presentation_data_value_list)
        if self._held_bytes > ANSWER_MAX_BYTES:
            log.warning("association with %s ended: its answer is too long", self.assoc.acceptor.address)
            self.dul.event_queue.put("Evt19")  # as for an answer that is none
            self.msg_queue.put((None, None))  # who waits for the answer waits no longer
            return
        super().receive_primitive(primitive)
        if self.message is None:
            self._held_bytes = 0
