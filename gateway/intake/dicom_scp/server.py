"""The listening side: who may come in."""

from __future__ import annotations

import ipaddress
import logging
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from socketserver import BaseServer
from typing import Any
from weakref import WeakKeyDictionary

from pynetdicom import AE
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from gateway.intake.dicom_scp.anteroom import Anteroom
from gateway.intake.dicom_scp.pdu import ASSOCIATE_MAX_BYTES, HEADER_BYTES, REJECT

log = logging.getLogger(__name__)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LOOK_ROUND_S = 0.1  # how often the listener looks up from its socket
COLLECT_EVERY_S = 30.0  # pynetdicom's ended associations are cyclic garbage with open descriptors


class Admitted(RequestHandler):
    """Makes the association of a connection that has left the anteroom."""

    server: GuardedServer

    def _create_association(self) -> Any:
        association = super()._create_association()
        self.server.prepare(association)
        return association


class GuardedServer(ThreadedAssociationServer):
    """pynetdicom's server behind an allow-list of addresses and an anteroom."""

    request_queue_size = 128  # a burst of connections must not be lost before accept() comes round

    def __init__(
        self,
        entity: AE,
        address: tuple[str, int],
        ae_title: str,
        contexts: list[PresentationContext],
        evt_handlers: list[Any],
        networks: tuple[Network, ...],
        per_address_max: int,
        prepare: Callable[[Any], None],
    ) -> None:
        """prepare is given each new Association before its threads start."""
        super().__init__(entity, address, ae_title, contexts, evt_handlers=evt_handlers, request_handler=Admitted)
        self._gc = [0, round(COLLECT_EVERY_S / LOOK_ROUND_S)]  # pynetdicom counts its rounds
        self.prepare = prepare
        self._networks = networks
        self._per_address_max = per_address_max
        self._admitted: WeakKeyDictionary[socket.socket, str] = WeakKeyDictionary()  # whose each association's is
        self._anteroom = Anteroom(self._admit)
        self._anteroom.start()
        self._thread = threading.Thread(
            target=self.serve_forever, args=(LOOK_ROUND_S,), name="dicom-accept", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self, patience_s: float) -> None:
        """No more connections; associations may end by themselves for a while and are aborted then."""
        BaseServer.shutdown(self)
        self.server_close()
        self._anteroom.stop()
        until = time.monotonic() + patience_s
        while self.active_associations and time.monotonic() < until:
            time.sleep(0.05)
        for association in self.active_associations:
            association.abort()

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether this address may talk to us at all."""
        if not self._networks:
            return True
        address = ipaddress.ip_address(client_address[0])
        address = getattr(address, "ipv4_mapped", None) or address
        if any(address in network for network in self._networks):
            return True
        log.warning("connection from %s refused: not in dicom_scp.addresses", client_address[0])
        return False

    def process_request(self, request: Any, client_address: Any) -> None:
        """To the anteroom; an association is made only of a connection that asks for one."""
        self._anteroom.enter(request, client_address)

    def _admit(self, connection: socket.socket, client_address: Any) -> None:
        """Makes an association of a connection whose request is here, unless its address has its share already."""
        address = client_address[0]
        taken = [one for one, whose in list(self._admitted.items()) if whose == address and one.fileno() >= 0]
        if len(taken) >= self._per_address_max:
            log.warning("association from %s rejected: it has %d (associations_per_address_max)", address, len(taken))
            _reject(connection)
            return
        self._admitted[connection] = address
        super().process_request(connection, client_address)


def _reject(connection: socket.socket) -> None:
    """Answers a request that is here in full."""
    with suppress(OSError), connection:  # gone, or not reading: then it needs no answer
        connection.recv(HEADER_BYTES + ASSOCIATE_MAX_BYTES, socket.MSG_DONTWAIT)  # left unread, it would reset our no
        connection.send(REJECT, socket.MSG_DONTWAIT)
        connection.shutdown(socket.SHUT_WR)
