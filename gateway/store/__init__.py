"""The memory of the gateway: jobs, their bytes, the outbox and the audit. SQLAlchemy is imported nowhere else."""

from gateway.store.audit import Event
from gateway.store.database import database_url
from gateway.store.leases import WORKER_DIED
from gateway.store.proof import AuditReport
from gateway.store.receiving import Receipt
from gateway.store.rows import DeliveryRow
from gateway.store.schema import upgrade_schema
from gateway.store.store import Store
from gateway.store.tables import DeliveryState

__all__ = [
    "WORKER_DIED",
    "AuditReport",
    "DeliveryRow",
    "DeliveryState",
    "Event",
    "Receipt",
    "Store",
    "database_url",
    "upgrade_schema",
]
