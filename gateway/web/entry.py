"""Where the window's process begins. Loads nothing before: the gateway names this function, but never runs it."""

from __future__ import annotations

import socket

from gateway.config import Config


def run_window(config: Config, gateway_pid: int, listener: socket.socket, _number: int) -> None:
    """The main function of the window's process: serves until SIGTERM, or until its gateway is gone."""
    from gateway.process import configure_process
    from gateway.web.process import run_web

    configure_process(config)
    run_web(config, gateway_pid, listener)
