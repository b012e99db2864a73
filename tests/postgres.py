"""A PostgreSQL of the tests' own: made by initdb, on loopback and a free port, gone when they end."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from pathlib import Path

import psycopg
from psycopg import sql

ACCOUNT = "postgres"  # PostgreSQL refuses to run as root; Debian's package brings this account
USER = "cardioscan"


class PostgresMissing(Exception):
    """There is no PostgreSQL that we could start here; the message says what is missing."""


def binaries() -> Path:
    """The folder of initdb and pg_ctl, the newest where there are several."""
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise PostgresMissing("PostgreSQL is not installed: no initdb on PATH or under /usr/lib/postgresql")
    return found[-1].parent


class Postgres:
    """A running server; fresh_database() gives the address of an empty database in it."""

    def __init__(self) -> None:
        self._binaries = binaries()
        if os.geteuid() == 0 and not shutil.which("runuser"):
            raise PostgresMissing("PostgreSQL does not run as root, and there is no runuser to change to another user")
        self._root = Path(tempfile.mkdtemp(prefix="cardioscan-postgres-"))
        self._folder = self._root / "data"
        self.port = _free_port()
        try:
            if os.geteuid() == 0:
                shutil.chown(self._root, ACCOUNT)
            # No syncs: the tests kill their own processes, never this server, and its data does not outlive them.
            self._run("initdb", "-D", self._folder, "-U", USER, "--auth=trust", "--encoding=UTF8", "--no-sync")
            options = f"-h 127.0.0.1 -p {self.port} -k {self._root} -F -c max_connections=200"
            self._run("pg_ctl", "-D", self._folder, "-o", options, "-l", self._root / "log", "-w", "start")
        except (LookupError, subprocess.CalledProcessError) as error:
            shutil.rmtree(self._root, ignore_errors=True)
            raise PostgresMissing(f"PostgreSQL did not start: {error}") from error

    def fresh_database(self) -> str:
        """The address of an empty database: a schema of its own, which takes a thousandth of a database's time."""
        name = f"test_{uuid.uuid4().hex}"
        server = f"postgresql://{USER}@127.0.0.1:{self.port}/postgres"
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
        return f"{server}?options=-csearch_path%3D{name}"

    def stop(self) -> None:
        """Ends the server and removes its files."""
        self._run("pg_ctl", "-D", self._folder, "-m", "immediate", "-w", "stop")
        shutil.rmtree(self._root, ignore_errors=True)

    def _run(self, program: str, *arguments: str | Path) -> None:
        command = [str(self._binaries / program), *map(str, arguments)]
        if os.geteuid() == 0:
            command = ["runuser", "-u", ACCOUNT, "--", *command]
        # Output to a file, not a pipe: the server that pg_ctl leaves running would keep a pipe open.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(command, cwd=self._root, stdout=output, stderr=output, check=False)
            if done.returncode:
                output.seek(0)
                raise subprocess.CalledProcessError(done.returncode, f"{program}: {output.read().decode()}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
