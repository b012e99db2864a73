"""The socket of the window, opened by the gateway before anything else: what is wrong with it is told at the start."""

from __future__ import annotations

import socket
import ssl

from gateway.config import WebSection, web_exposure
from gateway.errors import ConfigError


def open_listener(web: WebSection) -> socket.socket:
    """The socket of the window. Opened by the gateway, so that a taken port is told at the start.

    Raises:
        ConfigError: it would lie open beyond this machine, its port is taken, or its certificate cannot be used.
    """
    if problem := web_exposure(web):
        raise ConfigError(problem)
    if web.tls_certificate is not None:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(web.tls_certificate, web.tls_key)
        except OSError as error:  # SSLError is one
            raise ConfigError(f"web.tls_certificate, web.tls_key: cannot be used: {error}") from error
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            web.host, web.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return _listen(family, kind, address)
    except OSError as error:
        raise ConfigError(
            f"web: {web.host}:{web.port} cannot be listened on ({error.strerror}); is another gateway running, or the "
            "port below 1024?"
        ) from error


def _listen(family: int, kind: int, address: object) -> socket.socket:
    listener = socket.socket(family, kind)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)  # type: ignore[arg-type]  # as getaddrinfo gave it
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener
