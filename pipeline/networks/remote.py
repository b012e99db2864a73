"""Networks that another process computes: what is asked of them goes through a connection as bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection

import torch
from torch import Tensor

from pipeline.errors import LostError
from pipeline.networks.running import Network, Opened, shipped


class RemoteError(RuntimeError):
    """The network failed where it is computed; the words are those of its own error."""


@dataclass(frozen=True, eq=False)
class Remote:
    """A Look at the other end of a connection, which is asked one thing at a time.

    Raises RemoteError where the network fails, and LostError where nobody answers any more, from then on always.
    """

    name: str
    connection: Connection

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        try:
            self.connection.send(self.name)
            _send(self.connection, inputs)
            failed: str = self.connection.recv()
            told = () if failed else _received(self.connection)
        except (OSError, EOFError) as error:
            self.connection.close()
            raise LostError("the process that computes the networks does not answer") from error
        except BaseException:
            self.connection.close()  # the answer to this would be taken for that to the next
            raise
        if failed:
            raise RemoteError(failed)
        return told


def remote_networks(connection: Connection) -> dict[str, Opened]:
    """The networks that ship, computed at the other end. Raises WeightsError where the manifest cannot be read."""
    return {name: Opened(Remote(name, connection), row) for name, row in shipped().items()}


def answer(connection: Connection, looks: Mapping[str, Network]) -> None:
    """Answers what Remotes ask, until they hang up or are gone."""
    with connection:
        try:
            while True:
                _answer(connection, looks)
        except (OSError, EOFError):
            return


def _answer(connection: Connection, looks: Mapping[str, Network]) -> None:
    name: str = connection.recv()
    inputs = _received(connection)
    try:
        told = looks[name](*inputs)
    except RuntimeError as error:  # torch's own, such as of a GPU without memory
        connection.send(f"{type(error).__name__}: {error}")
        return
    connection.send("")
    _send(connection, told)


def _send(connection: Connection, tensors: tuple[Tensor, ...]) -> None:
    """As bytes and not pickled: that takes no copy more, and reading and writing them leaves Python to others."""
    connection.send([(x.dtype, tuple(x.shape)) for x in tensors])
    for x in tensors:
        connection.send_bytes(x.contiguous().view(-1).view(torch.uint8).numpy().data)


def _received(connection: Connection) -> tuple[Tensor, ...]:
    kinds: list[tuple[torch.dtype, tuple[int, ...]]] = connection.recv()
    out = []
    for dtype, shape in kinds:
        x = torch.empty(shape, dtype=dtype)
        connection.recv_bytes_into(x.view(-1).view(torch.uint8).numpy().data)
        out.append(x)
    return tuple(out)
