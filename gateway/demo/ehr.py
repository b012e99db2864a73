"""A stand-in EHR: a real MLLP server that keeps what it gets in a folder and accepts it."""

from __future__ import annotations

import socketserver
import threading
from pathlib import Path

START, END = b"\x0b", b"\x1c\r"
CHUNK_BYTES = 65_536


class StandInEhr:
    """Listens on loopback. files() are the messages received, in order of arrival."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: list[Path] = []
        ehr = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                waiting = b""
                while chunk := self.request.recv(CHUNK_BYTES):
                    waiting += chunk
                    while END in waiting:
                        framed, waiting = waiting.split(END, 1)
                        self.request.sendall(START + ehr.accept(framed.lstrip(START)) + END)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        self._server = Server(("127.0.0.1", 0), Handler, bind_and_activate=False)

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._server.server_bind()
        self._server.server_activate()
        threading.Thread(target=self._server.serve_forever, name="ehr", daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def files(self) -> tuple[Path, ...]:
        return tuple(self._files)

    def accept(self, message: bytes) -> bytes:
        """Keeps a message and returns its ACK (MSA-1 AA, MSA-2 the message's MSH-10)."""
        path = self.folder / f"{len(self._files) + 1:03d}.hl7"
        path.write_bytes(message)
        self._files.append(path)
        header = message.split(b"\r", 1)[0].split(b"|")
        control_id, version = header[9], header[11]
        ack = (
            b"MSH|^~\\&|EHR|||||" + b"|ACK^R01^ACK|" + control_id + b"|P|" + version + b"\rMSA|AA|" + control_id + b"\r"
        )
        return ack
