"""How the gateway stands, as Prometheus reads it; dashboard and alert rules ask for nothing that is not there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from gateway.config import Config, DataSection, FolderDestination, WebSection
from gateway.store import Store
from gateway.web.certificate import days_left
from gateway.web.metrics import Traffic
from gateway.web.metrics_state import Standing
from tests.gateway.storing import digitized, document, held, on_its_way, receive, settled

PACKAGING = Path(__file__).parents[3] / "packaging"
METRIC = re.compile(r"\bcardioscan_[a-z_]+")
Samples = dict[tuple[str, ...], float]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(DataSection(folder=tmp_path / "data", reserve_mb=3)) as opened:
        yield opened


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """One that expires in twenty days."""
    key = Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway.example")])
    now = datetime.now(UTC)
    built = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    signed = built.not_valid_before(now).not_valid_after(now + timedelta(days=20)).sign(key, None)
    path = tmp_path / "tls.pem"
    path.write_bytes(signed.public_bytes(Encoding.PEM))
    return path


def read(store: Store, config: Config) -> Samples:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Traffic(store, tuple(each.name for each in config.destination)))
    registry.register(Standing(store, config))
    text = generate_latest(registry).decode()
    assert "Doe" not in text
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def lived(store: Store, tmp_path: Path, certificate: Path) -> Samples:
    """What is read of a gateway that has delivered, parked, held and received, and whose EHR is down."""
    settled(store, digitized(document("pacs"), document("ehr")), b"1")
    store.delivered(on_its_way(store, "pacs"), "0000")
    store.park(on_its_way(store, "ehr"), "rejected", "Doe^Jane is unknown")
    settled(store, held(), b"2")
    receive(store, b"3")
    store.destination_queues.record_answers([("pacs", True, "fine"), ("ehr", False, "refused"), ("gone", False, "")])
    store.destination_queues.pause("ehr", "amy")
    destinations = tuple(FolderDestination(kind="folder", name=name, folder=tmp_path) for name in ("pacs", "ehr"))
    web = WebSection(tls_certificate=certificate, tls_key=certificate)
    data = DataSection(folder=tmp_path / "data", reserve_mb=3)
    return read(store, Config(data=data, destination=destinations, web=web))


def test_tells_destinations_held_pages_disk_and_build(lived: Samples) -> None:
    assert lived["cardioscan_destination_up", "pacs"] == 1
    assert lived["cardioscan_destination_up", "ehr"] == 0
    assert ("cardioscan_destination_up", "gone") not in lived, "no destination of the configuration"
    assert lived["cardioscan_destination_paused", "ehr"] == 1
    assert lived["cardioscan_destination_last_answer_timestamp_seconds", "pacs"] > 1e9
    assert ("cardioscan_destination_last_answer_timestamp_seconds", "ehr") not in lived
    assert lived["cardioscan_oldest_held_age_seconds",] > 0
    assert lived["cardioscan_oldest_received_age_seconds",] > 0
    assert 0 < lived["cardioscan_disk_free_bytes",] < lived["cardioscan_disk_size_bytes",]
    assert lived["cardioscan_disk_reserve_bytes",] == 3e6
    assert lived["cardioscan_build_info", version("cardioscan-gateway")] == 1
    assert 19 < lived["cardioscan_certificate_days",] <= 20
    assert lived["cardioscan_audit_rows",] > 5


def test_a_gateway_in_which_nothing_waits_says_so(store: Store, tmp_path: Path) -> None:
    told = read(store, Config(data=DataSection(folder=tmp_path / "data")))
    assert told["cardioscan_oldest_held_age_seconds",] == 0
    assert told["cardioscan_leases",] == 0
    assert ("cardioscan_certificate_days",) not in told


def test_a_certificate_that_cannot_be_read_is_told_by_check_and_not_here(tmp_path: Path) -> None:
    (tmp_path / "none.pem").write_text("nothing")
    assert days_left(tmp_path / "none.pem") is None
    assert days_left(tmp_path / "absent.pem") is None


def test_the_confidence_is_a_histogram(lived: Samples) -> None:
    buckets = [value for key, value in lived.items() if key[0] == "cardioscan_page_confidence_bucket"]
    assert len(buckets) == 20
    assert buckets == sorted(buckets)
    assert lived["cardioscan_page_confidence_bucket", "0.9"] >= 0, "the alert asks for this bound"


def test_how_long_workers_took_is_a_histogram(store: Store, tmp_path: Path) -> None:
    settled(store, held(), b"1")
    settled(store, held(), b"2")
    told = read(store, Config(data=DataSection(folder=tmp_path / "data")))
    assert told["cardioscan_job_seconds_count",] == told["cardioscan_job_seconds_bucket", "+Inf"] == 2
    assert 0 < told["cardioscan_job_seconds_sum",] < 600
    assert told["cardioscan_job_seconds_bucket", "300"] == 2


def queries() -> list[str]:
    rules = yaml.safe_load((PACKAGING / "prometheus" / "alerts.yml").read_text(encoding="utf-8"))
    dashboard = json.loads((PACKAGING / "grafana" / "cardioscan.json").read_text(encoding="utf-8"))
    found = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    return found + [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


def test_dashboard_and_alerts_ask_for_what_metrics_tells(lived: Samples) -> None:
    told = {key[0] for key in lived}
    asked = {name for query in queries() for name in METRIC.findall(query)}
    assert asked - told == set()
    assert len(asked) > 15


def test_labels_that_are_asked_for_are_there(lived: Samples) -> None:
    for query in queries():
        for name, value in re.findall(r'(cardioscan_[a-z_]+)\{\w+="([^"]+)"\}', query):
            assert any(key[0] == name and value in key for key in lived), (name, value)
