"""The memory of the gateway: jobs, their bytes, the outbox and the audit. SQLAlchemy is imported nowhere else."""

from gateway.store.audit import Event
from gateway.store.audit_queries import AuditEntry, AuditPage, AuditQueries, AuditQuery, Moments
from gateway.store.backup import Backup, back_up, restore
from gateway.store.checkpoints import FOLDER as CHECKPOINT_FOLDER
from gateway.store.checkpoints import Checkpoint, Checkpoints, read_checkpoints, verifier_of
from gateway.store.database import database_url
from gateway.store.job_rows import DeliveryRow
from gateway.store.leases import WORKER_DIED
from gateway.store.proof import AuditReport
from gateway.store.queues import DestinationQueues, Peer, Queue
from gateway.store.receiving import Receipt
from gateway.store.reviewing import Approvable, Remark, Reviews
from gateway.store.revision import opening_of
from gateway.store.schema import upgrade_schema
from gateway.store.store import Store
from gateway.store.tables import DeliveryState
from gateway.store.worklist import Earlier, JobOrder, JobPage, JobQuery, JobSummary, Worklist

__all__ = [
    "CHECKPOINT_FOLDER",
    "WORKER_DIED",
    "Approvable",
    "AuditEntry",
    "AuditPage",
    "AuditQueries",
    "AuditQuery",
    "AuditReport",
    "Backup",
    "Checkpoint",
    "Checkpoints",
    "DeliveryRow",
    "DeliveryState",
    "DestinationQueues",
    "Earlier",
    "Event",
    "JobOrder",
    "JobPage",
    "JobQuery",
    "JobSummary",
    "Moments",
    "Peer",
    "Queue",
    "Receipt",
    "Remark",
    "Reviews",
    "Store",
    "Worklist",
    "back_up",
    "database_url",
    "opening_of",
    "read_checkpoints",
    "restore",
    "upgrade_schema",
    "verifier_of",
]
