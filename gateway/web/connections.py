"""The window's connections: who keeps us waiting is let go, so that those who ask are answered.

uvicorn gives a client all the time it likes for a TLS handshake and for a request's headers, and counts it meanwhile
among those whom it serves. 500 silent connections so shut the window.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import time
from contextlib import suppress
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from gateway.config import WebSection

log = logging.getLogger(__name__)

SILENT_S = 60.0  # within a request's body, and while an answer is not read; slow networks pause for seconds
SWEEP_S = 1.0  # how often it is looked who has waited too long
PAUSE_S = 1.0  # before the next try where the system gives no more descriptors
AT_A_TIME = 128  # connections taken before others' requests are looked at


class Connection(H11Protocol):
    """uvicorn's protocol, which can say since when its client keeps it waiting."""

    def __init__(self, door: Door, address: str, server: uvicorn.Server) -> None:
        super().__init__(server.config, server.server_state, server.lifespan.state)
        self.address = address
        self.handshake: asyncio.Task[None] | None = None
        self.is_made = False  # the TLS handshake is over
        self._door = door
        self._head_since = self._last_byte = self._paused_since = time.monotonic()

    def waits(self) -> tuple[float, bool] | None:
        """Since when it waits for its client, and whether for a request; None while it works for it."""
        if self.cycle is None or self.cycle.response_complete:
            return self._head_since, True
        if self.cycle.more_body and not self.flow.read_paused:
            return self._last_byte, False
        return (self._paused_since, False) if self.flow.write_paused else None

    def end(self) -> None:
        """Ends the connection at once, also within its TLS handshake."""
        if self.is_made:
            self.transport.abort()
        elif self.handshake is not None:
            self.handshake.cancel()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        self.is_made = True
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._door.leave(self)

    def data_received(self, data: bytes) -> None:
        self._last_byte = time.monotonic()
        super().data_received(data)

    def on_response_complete(self) -> None:
        self._head_since = time.monotonic()
        super().on_response_complete()

    def pause_writing(self) -> None:
        self._paused_since = time.monotonic()
        super().pause_writing()


class Door:
    """Accepts connections. Among uvicorn's servers it stands where asyncio's would."""

    def __init__(self, server: uvicorn.Server, listener: socket.socket, web: WebSection) -> None:
        """Begins at once, in the running loop."""
        self._server = server
        self._listener = listener
        self._web = web
        self._proxies = [ipaddress.ip_network(one) for one in web.proxy_addresses if web.behind_proxy]
        self._connections: set[Connection] = set()
        self._loop = asyncio.get_running_loop()
        self._is_open = True
        listener.setblocking(False)
        self._loop.add_reader(listener, self._accept)
        self._sweeper = self._loop.create_task(self._sweep())

    def close(self) -> None:
        """Takes no more connections; those that are open go on."""
        self._is_open = False
        self._loop.remove_reader(self._listener)

    async def wait_closed(self) -> None:
        """Returns when nothing of the door is left to run."""
        self._sweeper.cancel()

    def leave(self, connection: Connection) -> None:
        """A connection has ended."""
        self._connections.discard(connection)

    def _accept(self) -> None:
        for _ in range(AT_A_TIME):
            try:
                accepted, address = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                log.error("the window takes no connection: %s", error.strerror)
                self._loop.remove_reader(self._listener)
                self._loop.call_later(PAUSE_S, self._again)
                return
            accepted.setblocking(False)
            connection = Connection(self, address[0], self._server)
            self._connections.add(connection)
            self._serve(accepted, connection)
            self._make_room(connection)

    def _again(self) -> None:
        if self._is_open:
            self._loop.add_reader(self._listener, self._accept)

    def _serve(self, accepted: socket.socket, connection: Connection) -> None:
        """Begins the TLS handshake, after which uvicorn's protocol takes over."""
        tls: dict[str, Any] = {}
        if self._server.config.ssl is not None:
            tls = {"ssl": self._server.config.ssl, "ssl_handshake_timeout": self._web.request_within_s}

        async def handshake() -> None:
            with suppress(OSError):  # no TLS, or not in time, or gone
                await self._loop.connect_accepted_socket(lambda: connection, accepted, **tls)

        def after(_: asyncio.Task[None]) -> None:  # also where it was cancelled before its first step
            if not connection.is_made:
                self.leave(connection)
                accepted.close()

        connection.handshake = self._loop.create_task(handshake())
        connection.handshake.add_done_callback(after)

    def _make_room(self, newcomer: Connection) -> None:
        """Ends who has kept us waiting longest: of the newcomer's address, where that has its share, and of all."""
        here = self._waiting(newcomer.address)
        if len(here) > self._web.connections_per_address_max and not self._is_proxy(newcomer.address):
            self._end(here[0])
        if len(self._connections) > self._web.connections_max:
            self._end(self._waiting()[0])  # at least the newcomer is one

    def _waiting(self, address: str = "") -> list[Connection]:
        """Those that we wait for, the longest first."""
        since = [
            (waits[0], connection)
            for connection in self._connections
            if address in ("", connection.address) and (waits := connection.waits())
        ]
        return [connection for _, connection in sorted(since, key=lambda pair: pair[0])]

    def _is_proxy(self, address: str) -> bool:
        found = ipaddress.ip_address(address.partition("%")[0])
        found = getattr(found, "ipv4_mapped", None) or found
        return any(found in network for network in self._proxies)

    def _end(self, connection: Connection) -> None:
        self.leave(connection)
        connection.end()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            now = time.monotonic()
            for connection in tuple(self._connections):
                waits = connection.waits()
                if waits and now - waits[0] > (self._web.request_within_s if waits[1] else SILENT_S):
                    self._end(connection)


class GuardedServer(uvicorn.Server):
    """uvicorn behind a door of ours."""

    def __init__(self, config: uvicorn.Config, web: WebSection) -> None:
        super().__init__(config)
        self._web = web

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, which accepts on no socket itself."""
        await super().startup(sockets=[])
        self.servers = [Door(self, one, self._web) for one in sockets or ()]  # type: ignore[misc]  # has what is used
