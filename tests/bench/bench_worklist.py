"""How fast the window's questions are answered over a million jobs: medians in milliseconds, per question.

The store's questions first, then some as the window is asked them: over its route, with who asks, the look that is
written into the audit and the JSON.

``python -m tests.bench.bench_worklist [--jobs 1000000] [--rounds 15] [--postgres] [--folder FOLDER]``

Jobs, pages, documents, words and counts are written by bulk SQL as years of traffic would have left them: three doors,
forty senders, a patient every third job, most of them delivered. The aim is a median below 200 ms on two cores.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy import Connection, text
from starlette.testclient import TestClient

from gateway.config import Config, DataSection
from gateway.job import Door, State
from gateway.role import Role
from gateway.store import JobOrder, JobQuery, Store, database_url
from gateway.store.database import Database
from gateway.web.api.access_log import accesses
from gateway.web.app import make_app
from gateway.web.principal import Scope
from gateway.web.security.administration import issue_token
from tests.postgres import Postgres

AIM_MS = 200.0
FAMILY = ("adams", "baker", "clark", "davis", "evans", "foster", "garcia", "hughes", "ivanov", "jansen", "keller")
GIVEN = ("anna", "ben", "clara", "david", "emma", "felix", "greta", "hugo", "ida", "jonas", "karla", "leon", "maria")
FIRST = datetime(2020, 1, 1, tzinfo=UTC)
EVERY_S = 180  # between two jobs: a million of them fill six years
PATIENT = "(i / 3)"  # every third job brings another one


class Words:
    """The two databases' words for the same functions."""

    def __init__(self, is_sqlite: bool) -> None:
        self.is_sqlite = is_sqlite

    def padded(self, number: str, digits: int = 7) -> str:
        written = f"CAST({number} AS text)"
        if self.is_sqlite:
            return f"substr('{'0' * digits}' || {written}, -{digits})"
        return f"lpad({written}, {digits}, '0')"

    def moment(self) -> str:
        seconds = f"({int(FIRST.timestamp())} + i * {EVERY_S})"
        if self.is_sqlite:
            return f"strftime('%Y-%m-%dT%H\\:%M\\:%S', {seconds}, 'unixepoch') || '.000000Z'"
        form = 'YYYY-MM-DD"T"HH24\\:MI\\:SS'
        return f"to_char(to_timestamp({seconds}) AT TIME ZONE 'UTC', '{form}') || '.000000Z'"


def one_of(words: tuple[str, ...], number: str) -> str:
    """One of some words, by a number."""
    cases = " ".join(f"WHEN {place} THEN '{word}'" for place, word in enumerate(words))
    return f"(CASE ({number}) % {len(words)} {cases} END)"


def fill(connection: Connection, is_sqlite: bool, count: int) -> None:
    """Everything that the questions touch, but no audit and no objects."""
    say = Words(is_sqlite)
    numbers = f"WITH RECURSIVE n(i) AS (SELECT CAST(1 AS bigint) UNION ALL SELECT i + 1 FROM n WHERE i < {count})"
    family, given = one_of(FAMILY, PATIENT), one_of(GIVEN, f"{PATIENT} / {len(FAMILY)}")
    patient, accession = say.padded(PATIENT), f"'a' || {say.padded('i')}"
    state = (
        f"CASE WHEN i > {count - 40} THEN 'received' WHEN i % 1000 < 965 THEN 'delivered' WHEN i % 1000 < 980 THEN "
        "'held' WHEN i % 1000 < 995 THEN 'refused' ELSE 'digitized' END"
    )
    job_id = f"{say.padded('(i * 48271) % 2147483647', 10)} || 'abcdef0123456789' || {say.padded('i % 1000000', 6)}"
    columns = {
        "number": "i",
        "job_id": job_id,
        "state": state,
        "settled": "CASE WHEN i % 1000 < 965 THEN 'digitized' ELSE 'held' END",
        "door": "CASE WHEN i % 20 < 12 THEN 'dicom' WHEN i % 20 < 19 THEN 'fax' ELSE 'web' END",
        "sender": "CASE WHEN i % 50000 = 7 THEN 'rare' ELSE 'sender ' || CAST(i % 40 AS text) END",
        **dict.fromkeys(("sender_address", "called", "code", "why", "made_by", "lease_worker", "issuer"), "''"),
        "media_type": "'image/tiff'",
        "file_name": "'page.tif'",
        "repeat_key": say.padded("i", 64),
        "sha256": say.padded("i", 64),
        "size_bytes": "500000",
        "received_at": say.moment(),
        "changed_at": say.moment(),
        "attempts": "1",
        "patient_id": patient,
        "patient_name": f"{family} || '^' || {given}",
        "birth_date": "'19540131'",
        "accession_number": accession,
        "pages": "1",
        "confidence": "CASE WHEN i % 1000 < 980 THEN ((i * 7919) % 1000) / 1000.0 ELSE NULL END",
    }

    def run(statement: str) -> None:
        connection.execute(text(statement))

    run(f"INSERT INTO jobs ({', '.join(columns)}) {numbers} SELECT {', '.join(columns.values())} FROM n")
    for word in (patient, accession, family, given):
        run(f"INSERT INTO terms (term, number) {numbers} SELECT {word}, i FROM n WHERE true ON CONFLICT DO NOTHING")
    run(
        "INSERT INTO pages (job_id, number, verdict, code, why, summary, recording_sha256) "
        "SELECT job_id, 1, 'digitized', '', '', '{}', sha256 FROM jobs"
    )
    run(
        "INSERT INTO outbox (job_id, destination, kind, name, page, sha256, size_bytes, state, position, attempts, "
        "code, why, response, queued_at, due_at) SELECT job_id, CASE WHEN number % 2 = 0 THEN 'pacs' ELSE 'ehr' END, "
        "'aecg', 'document', 1, sha256, 100, CASE WHEN state = 'digitized' THEN 'queued' WHEN number % 1000 = 966 THEN "
        "'parked' ELSE 'delivered' END, number, 1, '', '', 'AA', received_at, received_at FROM jobs "
        "WHERE state <> 'refused'"
    )
    run("UPDATE tallies SET jobs = (SELECT count(*) FROM jobs WHERE jobs.state = tallies.state)")
    now = datetime.now(UTC)
    hours = [
        {"hour": (now - timedelta(hours=back)).strftime("%Y-%m-%dT%H"), "verdict": verdict, "pages": back % 50}
        for back in range(24 * 365)
        for verdict in ("digitized", "held", "unreadable")
    ]
    connection.execute(text("INSERT INTO hours (hour, verdict, pages) VALUES (:hour, :verdict, :pages)"), hours)
    days = [
        {"day": (now - timedelta(days=back)).strftime("%Y-%m-%d"), "bin": number, "pages": number}
        for back in range(365)
        for number in range(20)
    ]
    connection.execute(text("INSERT INTO confidences (day, bin, pages) VALUES (:day, :bin, :pages)"), days)


def questions(store: Store, count: int) -> Iterator[tuple[str, Callable[[], object]]]:
    """Each question of the window with its name."""

    def page(cursor: str = "", order: JobOrder = JobOrder.NEWEST, **query: object) -> Callable[[], object]:
        asked = JobQuery(**query)  # type: ignore[arg-type]
        return lambda: store.worklist.page(asked, order, cursor, 50)

    middle = FIRST + timedelta(seconds=EVERY_S * count / 2)
    job_id = store.jobs(limit=1, offset=100)[0].job_id
    yield "first screen", page()
    yield "screen in the middle", page(cursor=f"a{count // 2}")
    yield "back from the middle", page(cursor=f"b{count // 2}")
    yield "oldest first", page(order=JobOrder.OLDEST)
    yield "least sure first", page(order=JobOrder.CONFIDENCE)
    yield "least sure first, from the middle", page(order=JobOrder.CONFIDENCE, cursor=f"a0.5_{count // 2}")
    yield "held", page(state=State.HELD)
    yield "delivered by fax", page(state=State.DELIVERED, door=Door.FAX)
    yield "refused by web: none", page(state=State.REFUSED, door=Door.WEB)
    yield "refused by web of one sender: none", page(state=State.REFUSED, door=Door.WEB, sender="sender 39")
    yield "by fax of a sender who sends none", page(door=Door.FAX, sender="sender 39")
    yield "refused, yet 0.01 sure: none", page(state=State.REFUSED, confidence_max=0.01)
    yield "held of a sender by a door it never takes", page(state=State.HELD, door=Door.DICOM, sender="sender 39")
    yield "a rare sender", page(sender="rare")
    yield "a patient", page(patient=f"{count // 6:07d}")
    yield "an accession number", page(words=f"a{count // 4:07d}")
    yield "a family name", page(words="garcia")
    yield "family and given name", page(words="garcia felix")
    yield "one letter", page(words="g")
    yield "a name, held", page(words="garcia", state=State.HELD)
    yield "what nobody is called", page(words="zzz")
    yield "at most 0.01 sure", page(confidence_max=0.01)
    yield "at most 0.5 sure", page(confidence_max=0.5)
    yield "a day in the middle", page(received_from=middle, received_to=middle + timedelta(days=1))
    yield "held within a year", page(state=State.HELD, received_from=middle, received_to=middle + timedelta(days=365))
    yield (
        "at most 0.5 sure, held, least sure first",
        page(order=JobOrder.CONFIDENCE, state=State.HELD, confidence_max=0.5),
    )
    yield "a job's line", lambda: store.worklist.summary(job_id)
    yield "a patient's other recordings", lambda: store.worklist.earlier(job_id, 100)
    yield "dashboard: figures", lambda: store.audit_queries.moments(24, 30)
    yield "dashboard: queues", store.destination_queues.queues
    yield "parked messages", lambda: store.audit_queries.parked(0, None, 100)


def routes(store: Store, data: DataSection) -> Iterator[tuple[str, Callable[[], object]]]:
    """As a browser asks: the worklist with a look to write down, or with one that is known, and the dashboard."""
    store.accounts.add_user("bench", Role.VIEWER, "", "bench")
    issued = issue_token(store, "bench", "bench", frozenset({Scope.READ}), 1, "bench")
    client = TestClient(make_app(Config(data=data), store), headers={"authorization": f"Bearer {issued.secret}"})

    def ask(forget: bool, **query: str) -> Callable[[], object]:
        def asked() -> None:
            if forget:
                accesses.forget()
            answer = client.get("/api/v1/jobs", params=query)
            assert answer.status_code == 200, answer.text

        return asked

    yield "route: first screen, a look to write down", ask(True)
    yield "route: first screen, the same look", ask(False)
    yield "route: a family name, a look to write down", ask(True, q="garcia")
    yield "route: held, a look to write down", ask(True, state="held")
    yield "route: dashboard", lambda: client.get("/api/v1/dashboard").raise_for_status()


def medians_ms(ask: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Wall time, and processor time of this process, after one round that warms up.

    On a busy machine the first says how busy it is; the second leaves out what PostgreSQL's own processes do.
    """
    ask()
    wall, processor = [], []
    for _ in range(rounds):
        began, worked = time.perf_counter(), time.process_time()
        ask()
        wall.append((time.perf_counter() - began) * 1000)
        processor.append((time.process_time() - worked) * 1000)
    return statistics.median(wall), statistics.median(processor)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--postgres", action="store_true", help="PostgreSQL instead of SQLite")
    parser.add_argument("--folder", type=Path, help="where to put the database, instead of a temporary folder")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=options.folder)))
        url = ""
        if options.postgres:
            server = Postgres()
            stack.callback(server.stop)
            url = server.fresh_database()
        data = DataSection(folder=folder / "data", database_url=SecretStr(url), reserve_mb=0)
        store = stack.enter_context(Store.open(data))
        began = time.perf_counter()
        database = Database(database_url(data))
        with database.write() as tx:
            fill(tx.connection, database.is_sqlite, options.jobs)
        if not database.is_sqlite:
            with database.engine.connect() as connection:
                connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM ANALYZE"))
        database.close()
        kind = "PostgreSQL" if options.postgres else "SQLite"
        print(f"{kind}, {options.jobs:,} jobs, written in {time.perf_counter() - began:.0f} s", flush=True)
        slow = 0
        for name, ask in chain(questions(store, options.jobs), routes(store, data)):
            wall, processor = medians_ms(ask, options.rounds)
            slow += wall > AIM_MS
            mark = "  <- too slow" if wall > AIM_MS else ""
            print(f"{wall:9.1f} ms  ({processor:7.1f} ms here)  {name}{mark}", flush=True)
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
