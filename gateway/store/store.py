"""Store: the one place where jobs, deliveries and the audit are kept."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TextIO

from gateway.config import AuditSection, DataSection, RetentionSection
from gateway.errors import ConfigError
from gateway.identity.candidate import OrderCandidate
from gateway.identity.order import Order
from gateway.job import Arrival, Claim, Delivery, Job, Outcome, PageResult, Place, Reading, State
from gateway.store import (
    audit,
    feed_senders,
    holder,
    job_queries,
    leases,
    outbox,
    patients,
    people,
    proof,
    receiving,
    retention,
    settling,
    traffic,
)
from gateway.store.accounts import Accounts
from gateway.store.audit_queries import AuditQueries
from gateway.store.checkpoints import Checkpoint, Checkpoints
from gateway.store.database import Database, database_url
from gateway.store.job_queries import PageHead
from gateway.store.job_rows import DeliveryRow
from gateway.store.objects import FOLDER_MODE, Objects
from gateway.store.proof import AuditReport
from gateway.store.queues import DestinationQueues
from gateway.store.receiving import Receipt
from gateway.store.retention import Erased
from gateway.store.reviewing import Reviews
from gateway.store.schema import current_revision, newest_revision, upgrade
from gateway.store.traffic import Traffic
from gateway.store.worklist import Worklist


class Store:
    """A database and a folder of bytes, shared with other threads, processes and, on PostgreSQL, machines.

    Every method is one transaction: when it returns, what it did is on disk; when it raises, nothing was done.
    Any method may raise TryAgain where the database does not answer, and OutOfSpace where a disk is full.
    """

    def __init__(self, database: Database, objects: Objects, data: DataSection, gateway: str = "") -> None:
        self._holder = str(holder.Holder(gateway or objects.process, objects.process))
        self._database = database
        self._objects = objects
        self._data = data
        self.accounts = Accounts(database)  # who may use the window
        self.worklist = Worklist(database)  # jobs, found and counted
        self.reviews = Reviews(database)  # what people say of held pages
        self.destination_queues = DestinationQueues(database)  # destinations, their queues and peers
        self.audit_queries = AuditQueries(
            database, objects
        )  # the audit to read, parked documents, the dashboard's figures

    @classmethod
    def open(cls, data: DataSection, gateway: str = "") -> Store:
        """Opens the store, making folders that only its own user may read, and the schema of the newest revision.

        gateway: the identity of the process that this one works for, "" for a process of its own.
        """
        data.folder.parent.mkdir(parents=True, exist_ok=True)
        data.folder.mkdir(FOLDER_MODE, exist_ok=True)
        database = Database(database_url(data))
        try:
            upgrade(database)
            return cls(database, Objects(data.folder), data, gateway)
        except BaseException:
            database.close()
            raise

    def close(self) -> None:
        """Lets go of connections and of the staging folder."""
        self._database.close()
        self._objects.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def check(self) -> str:
        """Says where the database is and at which revision. ConfigError where it is not the newest."""
        with self._database.read() as connection:
            revision = current_revision(connection)
        if revision != newest_revision():
            raise ConfigError(
                f"the database is at revision {revision}, this version needs {newest_revision()}: "
                "run cardioscan db upgrade"
            )
        return f"{self._database}, revision {revision}, {self._objects.free_mb():.0f} MB free"

    # Taking pages in

    @property
    def staging(self) -> Path:
        """The folder to receive files into: on the file system of the objects, this process's own."""
        return self._objects.staging

    def room(self) -> None:
        """Raises QueueFull or OutOfSpace where a door should not even begin to receive."""
        receiving.room(self._database, self._objects, self._data)

    def receive(self, staged: Path, arrival: Arrival, *, sha256: str) -> Receipt:
        """Keeps a staged file for good and makes it a job; only after this may a door say yes.

        The staged file is gone afterwards, also when this raises QueueFull or OutOfSpace. The same bytes from the
        same sender at the same door for the same patient are the same job: duplicate is True. Where that job is held
        and the order now says more or otherwise, it is done again with the new one, unless a person has identified it.
        """
        return receiving.receive(self._database, self._objects, self._data, staged, arrival, sha256)

    # Working on them

    def claim(self, worker: str, lease_s: float, attempts_max: int) -> Claim | None:
        """The oldest received job that nobody works on; one whose workers died attempts_max times is held instead."""
        return leases.claim(self._database, worker, lease_s, attempts_max, self._holder)

    @property
    def process(self) -> str:
        """The identity of this process among all that open the store."""
        return self._objects.process

    def end_dead_leases(self, children: Collection[int] = ()) -> int:
        """Ends at once what dead processes of this machine held, pages and documents, and returns how many.

        A page whose worker died alone counts the attempt; one whose whole gateway died does not, but waits while others
        go first, and is held after some such deaths. children: process ids of this process's own that live.
        """
        return holder.end_dead(self._database, self._objects, children)

    def heartbeat(self, claim: Claim, lease_s: float) -> Claim:
        """The same claim with a later end. LostLease where another worker has the job now."""
        return leases.heartbeat(self._database, claim, lease_s)

    def release(self, claim: Claim) -> None:
        """Gives a job back without counting the attempt; it waits some seconds, so that others pass. LostLease."""
        leases.release(self._database, claim)

    def settle(self, claim: Claim, outcome: Outcome) -> None:
        """Writes down what became of a claimed job, and queues its documents.

        DIGITIZED with nothing (more) to send becomes DELIVERED. A document of a name that its destination already
        accepted is not queued again. Raises LostLease, UnlawfulMove, and ValueError for an outcome that contradicts
        itself.
        """
        settling.settle(self._database, self._objects, claim, outcome)

    # AuditQueries

    def job(self, job_id: str) -> Job:
        """One job. NotFound where there is none."""
        return job_queries.job(self._database, job_id)

    def order(self, job_id: str) -> Order | None:
        """Whose ECG a job is, as its worker read it or else as it was given; None while unknown."""
        return job_queries.order(self._database, job_id)

    def jobs(self, state: State | None = None, limit: int = 100, offset: int = 0) -> list[Job]:
        """Jobs, the newest first, of one state or of all."""
        return job_queries.some_jobs(self._database, state, limit, offset)

    def pages(self, job_id: str) -> tuple[PageResult, ...]:
        """What became of each page of a job; empty before it was settled."""
        return job_queries.page_results(self._database, self._objects, job_id)

    def page_heads(self, job_id: str) -> tuple[PageHead, ...]:
        """The same without what was read."""
        return job_queries.page_heads(self._database, job_id)

    def deliveries(self, job_id: str) -> tuple[DeliveryRow, ...]:
        """A job's documents and how far each has come."""
        return job_queries.deliveries(self._database, job_id)

    def readings(self, job_id: str) -> Mapping[Place, Reading]:
        """The last result of each place that documents of a job were made for."""
        return job_queries.readings(self._database, job_id)

    def counts(self) -> Mapping[State, int]:
        """How many jobs stand in each state."""
        return job_queries.counts(self._database)

    def queue_depths(self) -> Mapping[str, int]:
        """How many documents wait for each destination that any wait for."""
        return job_queries.queue_depths(self._database)

    def traffic(self, destinations: Iterable[str]) -> Traffic:
        """What waits for each destination and for how long, and what has gone through."""
        return traffic.traffic(self._database, destinations)

    def object_path(self, sha256: str) -> Path:
        """Where the bytes with this hash are kept. Read only."""
        return self._objects.path(sha256)

    def content(self, job: Job) -> Path:
        """Where the bytes as received are kept. Read only."""
        return self._objects.path(job.sha256)

    # What people do

    def retry(self, job_id: str, actor: str) -> None:
        """Has a held or refused page done again. Raises NotFound, UnlawfulMove, TryAgain (a document is on its way)."""
        people.retry(self._database, job_id, actor)

    def resend(self, job_id: str, actor: str, destination: str | None = None) -> None:
        """Sends again what went to a destination, else what is parked, else all. Raises NotFound, UnlawfulMove."""
        people.resend(self._database, job_id, actor, destination)

    def resend_parked(self, delivery_id: int, actor: str) -> None:
        """Sends one parked document again. Raises NotFound, UnlawfulMove."""
        people.resend_parked(self._database, delivery_id, actor)

    def identify(
        self, job_id: str, order: Order, actor: str, revision: str | None = None, overridden: str = ""
    ) -> None:
        """Says whose page a held job is, and has it done again. Raises NotFound, UnlawfulMove, TryAgain.

        revision: of the job that the order was made from. overridden: what is known here of the patient's id and this
        person says otherwise, for the audit; in our own words, never a patient's data.
        """
        people.identify(self._database, job_id, order, actor, revision, overridden)

    def give_up(self, job_id: str, actor: str, why: str, revision: str | None = None) -> None:
        """Ends a held job as refused. revision: as in identify. Raises NotFound, UnlawfulMove, TryAgain."""
        people.give_up(self._database, job_id, actor, why, revision)

    def record_access(self, actor: str, job_id: str, what: str, recording: str = "") -> None:
        """Writes into the audit that somebody saw a page, an image, a waveform or a document of a job. NotFound.

        what: a word of ours, such as "page 1 image"; never a patient's data. recording: SHA-256 of what was read on the
        page, where that was shown.
        """
        people.record_access(self._database, actor, job_id, what, recording)

    def record_access_to_many(
        self, actor: str, what: str, question: str, rows: int, job_ids: Sequence[str] = (), job_id: str = ""
    ) -> None:
        """Writes into the audit that somebody was answered with a list, or with the audit itself.

        question: in our own words; never a patient's name or number. rows: how many were answered, of which
        job_ids are those not told before. job_id: the job whose page the list belongs to, "" for none.
        """
        people.record_access_to_many(self._database, actor, what, question, rows, job_ids, job_id)

    def record_file_access(self, actor: str, what: str, sha256: str) -> None:
        """Writes into the audit that somebody saw something of a file that is not kept. sha256: of its bytes."""
        people.record_file_access(self._database, actor, what, sha256)

    # What the hospital tells of its patients

    def apply_statements(self, feed: str, stated_at: datetime, statements: Sequence[patients.Statement]) -> None:
        """Keeps what one message of a feed says: all of it or nothing. stated_at: by the clock of who said it; aware.

        What is older than what the same feed has said of the same number changes nothing; the same again is harmless.
        """
        patients.apply_statements(self._database, feed, stated_at, statements)

    def feed_senders(self, feed: str) -> list[str]:
        """The addresses that have sent messages to a feed, also before a restart; who sent last comes last."""
        return feed_senders.remembered(self._database, feed)

    def remember_feed_sender(self, feed: str, address: str, forgotten: Iterable[str]) -> None:
        """Keeps that an address has sent a message to a feed, and deletes those that are forgotten for it."""
        feed_senders.remember(self._database, feed, address, forgotten)

    def find_orders(self, text: str, most: int) -> list[OrderCandidate]:
        """Orders and patients that feeds have told of and every word fits: names, numbers, birth date, by prefix.

        A patient comes after their orders, and once for themselves: not every ECG was ordered.
        """
        return patients.find(self._database, text, most)

    def patient_counts(self) -> patients.PatientCounts:
        """How much feeds have told of, and when the last word came."""
        return patients.count(self._database)

    def expire_patients(self, keep_days: int) -> patients.Forgotten:
        """Forgets what no feed has told of for so many days."""
        return patients.forget(self._database, keep_days)

    # Sending

    def claim_delivery(self, destination: str, lease_s: float) -> Delivery | None:
        """The head of a destination's queue, if it is due and nothing is on its way there."""
        return outbox.claim_delivery(self._database, destination, lease_s, self._holder)

    def delivered(self, delivery: Delivery, response: str, answer: str = "") -> None:
        """The destination accepted it. answer, here and below: what it said, as codes. Raises LostLease."""
        outbox.delivered(self._database, delivery, response, answer)

    def postpone(self, delivery: Delivery, why: str, wait_s: float, code: str = "", answer: str = "") -> None:
        """Not now: it stays at the head of its queue and is due again in wait_s. Raises LostLease."""
        outbox.postpone(self._database, delivery, why, wait_s, code, answer)

    def park(self, delivery: Delivery, code: str, why: str, answer: str = "") -> None:
        """Not again by itself: the job is HELD for this reason, its other deliveries go on. Raises LostLease."""
        outbox.park(self._database, delivery, code, why, answer)

    def answered_later(self, delivery: Delivery, answer: str, note: str) -> None:
        """What a destination said of a document after it had taken it: codes, and what is wrong in words or ""."""
        outbox.answered_later(self._database, delivery, answer, note)

    def objected_counts(self, days: int) -> dict[str, int]:
        """How many documents of so many days each destination took and then found fault with (AE after CA)."""
        return outbox.objected_counts(self._database, days)

    def erase_old(self, settings: RetentionSection) -> Erased:
        """Erases pages, documents and audit entries that are old enough, some hundred jobs at a time."""
        return retention.erase(self._database, self._objects, settings)

    # Proving

    def verify_audit(self, check_objects: bool = True, checkpoints: Sequence[Checkpoint] = ()) -> AuditReport:
        """Recomputes the chain and holds every job, delivery, object and checkpoint against it."""
        return proof.verify(self._database, self._objects, check_objects, checkpoints)

    def checkpoints(self, settings: AuditSection) -> Checkpoints:
        """What signs the head of the chain. Makes its key and folder where there are none. Raises ConfigError."""
        return Checkpoints(self._database, self._data.folder, settings)

    def export_audit(self, stream: TextIO) -> int:
        """Writes the audit as JSON lines, hashes included, and returns how many."""
        return audit.export(self._database, stream)

    def audit_lines(self) -> Iterator[str]:
        """The same lines one by one, as the audit stands when the first is asked for."""
        return audit.lines(self._database)
