"""What Prometheus reads, and the probes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from gateway.commands.check import HEALTHY
from gateway.config import Config, DataSection, FolderDestination
from gateway.role import Role
from gateway.store import Store
from gateway.web.app import make_app
from gateway.web.principal import Scope
from gateway.web.security.administration import issue_token
from tests.gateway.storing import digitized, document, held, on_its_way, receive, settled

DESTINATIONS = ("pacs", "ehr", "idle")


@pytest.fixture
def store(data: DataSection) -> Iterator[Store]:
    with Store.open(data) as opened:
        yield opened


def read(client: TestClient, **headers: str) -> dict[tuple[str, ...], float]:
    """Every sample: its name and its labels' values -> its value."""
    answer = client.get("/metrics", headers=headers)
    assert answer.status_code == 200, answer.text
    return {
        (sample.name, *(sample.labels[key] for key in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_prometheus_reads_what_flows_and_no_name_of_anybody(store: Store, data: DataSection, tmp_path: Path) -> None:
    settled(store, digitized(document("pacs"), document("ehr")), b"1")
    settled(store, digitized(document("pacs")), b"2")
    settled(store, held("no_patient_id", "Doe^Jane has no number"), b"3")
    receive(store, b"4")
    store.delivered(on_its_way(store, "pacs"), "MSA|AA|Doe^Jane")
    store.park(on_its_way(store, "ehr"), "rejected", "Doe^Jane is unknown")
    destinations = tuple(FolderDestination(kind="folder", name=name, folder=tmp_path) for name in DESTINATIONS)
    client = TestClient(make_app(Config(data=data, destination=destinations), store))
    store.accounts.add_user("prometheus", Role.VIEWER, "hash", "test")
    token = issue_token(store, "prometheus", "scrape", frozenset({Scope.METRICS}), None, "test").secret
    assert client.get("/metrics").status_code == 401
    told = read(client, authorization=f"Bearer {token}")
    assert {key[1]: value for key, value in told.items() if key[0] == "cardioscan_jobs"} == {
        "received": 1,
        "digitized": 1,
        "held": 2,
        "delivered": 0,
        "refused": 0,
    }
    assert told["cardioscan_received_last_hour",] == 4
    assert {key[1]: value for key, value in told.items() if key[0] == "cardioscan_queue_depth"} == {
        "pacs": 1,
        "ehr": 0,
        "idle": 0,
    }
    assert told["cardioscan_queue_head_age_seconds", "pacs"] > 0
    assert told["cardioscan_queue_head_age_seconds", "ehr"] == 0
    assert told["cardioscan_documents", "pacs", "delivered"] == 1
    assert told["cardioscan_documents", "ehr", "parked"] == 1
    assert sum(value for key, value in told.items() if key[0] == "cardioscan_pages_total") == 3
    text = client.get("/metrics", headers={"authorization": f"Bearer {token}"}).text
    for secret in ("Doe", "4711", "SCANNER", "prometheus"):
        assert secret not in text


def test_the_probes_answer_anybody_and_tell_nothing(store: Store, data: DataSection) -> None:
    client = TestClient(make_app(Config(data=data), store))
    assert client.get("/healthz").content == HEALTHY
    assert client.get("/readyz").json() == {"ok": True, "destinations_down": 0}


def test_a_full_disk_is_not_ready(store: Store, data: DataSection, caplog: pytest.LogCaptureFixture) -> None:
    full = data.model_copy(update={"reserve_mb": 10**9})
    with Store.open(full) as opened:
        client = TestClient(make_app(Config(data=full), opened))
        answer = client.get("/readyz")
    assert (answer.status_code, answer.json()) == (503, {"ok": False})
    assert "not ready" in caplog.text


def test_a_destination_that_does_not_answer_is_counted_by_the_probe(
    store: Store, data: DataSection, tmp_path: Path
) -> None:
    destinations = tuple(FolderDestination(kind="folder", name=name, folder=tmp_path) for name in DESTINATIONS)
    client = TestClient(make_app(Config(data=data, destination=destinations), store))
    store.destination_queues.record_answers(
        [("pacs", False, "the folder does not exist"), ("ehr", True, "fine"), ("gone", False, "")]
    )
    assert client.get("/readyz").json() == {"ok": True, "destinations_down": 1}
