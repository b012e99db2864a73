"""Tells systemd that the gateway is up, lives, and stops: sd_notify(3), one datagram each. Nothing without systemd."""

from __future__ import annotations

import os
import socket

SOCKET_VARIABLE = "NOTIFY_SOCKET"


def notify(state: str) -> None:
    """Sends a state such as READY=1, WATCHDOG=1 or STOPPING=1. Raises nothing: who is not heard is restarted."""
    address = os.environ.get(SOCKET_VARIABLE, "")
    if not address:
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.connect("\0" + address[1:] if address.startswith("@") else address)
            channel.sendall(state.encode())
    except OSError:
        return
