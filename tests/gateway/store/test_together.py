"""Many threads and processes on one store, on both databases: nothing twice, nothing out of order, no deadlock."""

from __future__ import annotations

import os
import random
import sqlite3
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from gateway.config import DataSection
from gateway.errors import NotFound
from gateway.job import State
from gateway.store import Store
from tests.gateway.storing import (
    DOCUMENTS,
    LONG_S,
    claimed,
    digitized,
    document,
    in_processes,
    note,
    noted,
    receive,
)


def work_through(data: DataSection, log: Path, which: int) -> None:
    """A worker process of two threads: claims and settles until nothing is left."""

    def work(name: str) -> None:
        while (claim := store.claim(name, LONG_S, 2)) is not None:
            note(log, claim.job.job_id)
            store.settle(claim, digitized(document(name=f"doc-{claim.job.job_id}")))

    with Store.open(data) as store:
        threads = [threading.Thread(target=work, args=(f"worker-{which}-{number}",)) for number in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def test_no_page_is_claimed_twice(data: DataSection, tmp_path: Path) -> None:
    log = tmp_path / "claims"
    with Store.open(data) as store:
        ids = {receive(store, b"%d" % number).job_id for number in range(30)}
    in_processes(3, work_through, data, log)
    assert Counter(noted(log)) == dict.fromkeys(ids, 1)
    with Store.open(data) as store:
        assert store.verify_audit().ok
        assert store.counts()[State.DIGITIZED] == 30
        assert store.queue_depths() == {"pacs": 30}


def deliver_all(data: DataSection, log: Path, which: int) -> None:
    """A delivering process: sends what it may until the queue is empty, and cries if it is not alone."""
    flag = log.with_name("on its way")
    with Store.open(data) as store:
        while store.queue_depths():
            delivery = store.claim_delivery("pacs", LONG_S)
            if delivery is None:
                time.sleep(0.001)
                continue
            os.close(os.open(flag, os.O_CREAT | os.O_EXCL))  # FileExistsError where another is on its way too
            note(log, delivery.name)
            flag.unlink()
            store.delivered(delivery, f"from {which}")


def test_a_destination_gets_its_documents_in_order_and_one_at_a_time(data: DataSection, tmp_path: Path) -> None:
    log = tmp_path / "sent"
    with Store.open(data) as store:
        for number in range(20):
            receive(store, b"%d" % number)
            store.settle(claimed(store), digitized(document(name=f"doc-{number}")))
    in_processes(3, deliver_all, data, log)
    assert noted(log) == [f"doc-{number}" for number in range(20)]
    with Store.open(data) as store:
        assert store.verify_audit().ok
        assert store.counts()[State.DELIVERED] == 20


def receive_the_same(data: DataSection, log: Path, which: int) -> None:
    with Store.open(data) as store:
        for number in range(10):
            receipt = receive(store, b"%d" % number)
            note(log, f"{number} {receipt.job_id} {receipt.duplicate}")


def test_the_same_page_from_several_associations_at_once_is_one_job(data: DataSection, tmp_path: Path) -> None:
    log = tmp_path / "receipts"
    Store.open(data).close()
    in_processes(3, receive_the_same, data, log)
    receipts = [line.split() for line in noted(log)]
    assert len({job_id for _, job_id, _ in receipts}) == 10
    assert Counter(duplicate for *_, duplicate in receipts) == {"False": 10, "True": 20}
    with Store.open(data) as store:
        assert store.verify_audit().ok


def do_everything(data: DataSection, which: int) -> None:
    """Receives, works, delivers and re-sends at once: whatever locks there are, somebody holds them."""
    chance = random.Random(which)
    with Store.open(data) as store:
        for number in range(12):
            receive(store, b"%d-%d" % (which, number))
            claim = store.claim(f"worker-{which}", LONG_S, 2)
            if claim is not None:
                store.settle(claim, digitized(*DOCUMENTS))
            for destination in ("pacs", "ehr"):
                delivery = store.claim_delivery(destination, LONG_S)
                if delivery is None:
                    continue
                if chance.random() < 0.3:
                    store.park(delivery, "rejected", "no")
                    # Another process may have sent all that was parked of this job in the meantime.
                    with suppress(NotFound):
                        store.resend(delivery.job_id, "a person", chance.choice([None, destination]))
                else:
                    store.delivered(delivery, "0000")


def test_nobody_waits_for_each_other_forever(data: DataSection) -> None:
    Store.open(data).close()
    in_processes(4, do_everything, data)
    with Store.open(data) as store:
        assert store.verify_audit().problems == ()


def test_a_writer_waits_for_its_turn(tmp_path: Path) -> None:
    """Another program that holds SQLite's only write lock for a while delays us, and no more."""
    data = DataSection(folder=tmp_path, reserve_mb=0)
    with Store.open(data) as store:
        other = sqlite3.connect(tmp_path / "cardioscan.sqlite3", isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        threading.Timer(0.3, lambda: other.execute("COMMIT")).start()
        assert not receive(store, b"a page").duplicate
        other.close()
