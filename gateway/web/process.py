"""The window's own process: serves on a socket that the gateway opened, until SIGTERM or until the gateway is gone."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys

import uvicorn

from gateway.config import Config, WebSection
from gateway.digitizer.one_file import file_readers
from gateway.safe_traceback import frames_of
from gateway.store import Store
from gateway.web.app import make_app
from gateway.web.connections import GuardedServer
from gateway.web.security.first import make_first_administrator

log = logging.getLogger(__name__)

STOP_S = 3  # how long an open answer, such as a stream of events, may go on after SIGTERM
LOOK_S = 1.0  # how often the process looks whether its gateway is still there
BEGIN_S = 0.05  # how often it looks whether it answers yet


class Discreet(logging.Filter):
    """Leaves of an exception in a log record where it came from, and not what it says: it may quote a patient."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            record.msg, record.args = "%s\n%s", (record.getMessage().strip(), frames_of(error))
            record.exc_info = record.exc_text = None
        return True


def run_web(config: Config, gateway_pid: int, listener: socket.socket) -> None:
    """Serves until it is told to stop. ConfigError where a file of web.oidc cannot be read."""
    # uvicorn ends at SIGTERM, then raises it again for whoever was there before: the store is to be closed then.
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the gateway decides
    for handler in logging.getLogger().handlers:  # not the loggers: a filter there passes over those below it
        handler.addFilter(Discreet())
    with Store.open(config.data) as store:
        make_first_administrator(store, _say)
        server = make_server(config, store)
        asyncio.run(_serve(server, listener, gateway_pid, config.web))


def make_server(config: Config, store: Store) -> uvicorn.Server:
    """uvicorn with the application, TLS and proxies as the configuration says."""
    web = config.web
    return GuardedServer(
        uvicorn.Config(
            make_app(config, store),
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,  # addresses hold what was searched for, and that is patients
            server_header=False,
            proxy_headers=web.behind_proxy,
            forwarded_allow_ips=list(web.proxy_addresses),
            ssl_certfile=web.tls_certificate,
            ssl_keyfile=web.tls_key,
            timeout_graceful_shutdown=STOP_S,
        ),
        web,
    )


async def _serve(server: uvicorn.Server, listener: socket.socket, gateway_pid: int, web: WebSection) -> None:
    async def say_where() -> None:
        while not server.started:  # the gateway opened the socket long before: nobody is answered until now
            await asyncio.sleep(BEGIN_S)
        scheme = "https" if web.tls_certificate else "http"
        log.info("the window is at %s://%s:%d", scheme, web.host, listener.getsockname()[1])

    async def stop_with_the_gateway() -> None:
        while os.getppid() == gateway_pid:
            await asyncio.sleep(LOOK_S)
        server.should_exit = True

    beside = [asyncio.create_task(stop_with_the_gateway()), asyncio.create_task(say_where())]
    try:
        await server.serve(sockets=[listener])
    finally:
        file_readers.close()  # who asked is not answered any more, and the process would wait for it
        for task in beside:
            task.cancel()


def _say(line: str) -> None:
    """To whoever started the gateway, and not to the log, which is kept."""
    print(line, file=sys.stderr, flush=True)
