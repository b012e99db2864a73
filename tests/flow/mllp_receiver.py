"""python-hl7's own MLLP server, independent of ours, for the flow tests."""

from __future__ import annotations

import asyncio
import contextlib
import threading

import hl7
import hl7.mllp

from tests.flow.processes import free_port


class Receiver:
    """python-hl7's own MLLP server in a thread; messages in order of arrival."""

    def __init__(self) -> None:
        self.port = free_port()
        self.messages: list[hl7.Message] = []
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()
        assert self._ready.wait(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)

        async def serve() -> None:
            server = await hl7.mllp.start_hl7_server(
                self._take, "127.0.0.1", self.port, limit=1 << 24, encoding="utf-8"
            )
            self._ready.set()
            await server.serve_forever()

        with contextlib.suppress(RuntimeError):  # the loop is stopped from outside when the test is over
            self._loop.run_until_complete(serve())

    async def _take(self, reader: hl7.mllp.HL7StreamReader, writer: hl7.mllp.HL7StreamWriter) -> None:
        try:
            while True:
                message = await reader.readmessage()
                self.messages.append(message)
                writer.writemessage(message.create_ack())
                await writer.drain()
        except asyncio.IncompleteReadError:
            writer.close()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
