"""What `cardioscan audit verify` says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gateway.config import Config
from gateway.errors import ConfigError
from gateway.store import CHECKPOINT_FOLDER, AuditReport, Checkpoint, Store, read_checkpoints, verifier_of

DAYS_A_YEAR = 365


def verify(store: Store, config: Config, against: Path | None, key: Path | None) -> tuple[list[str], list[str]]:
    """The problems, and lines that sum up. against: a checkpoint or a folder of them. ConfigError: no key to check."""
    found: list[Checkpoint] = []
    wrong: list[str] = []
    if against is not None:
        found, wrong = read_checkpoints(against, verifier_of(config.data.folder, config.audit, key))
    report = store.verify_audit(checkpoints=found)
    problems = [*wrong, *report.problems, *_taken_too_young(report, found, config.retention.audit_years)]
    return problems, _summary(report, not problems, len(found) if against is not None else None)


def verify_restored(store: Store, config: Config) -> tuple[list[str], list[str]]:
    """The same against the checkpoints that came back with a backup, as far as our key signed them."""
    found: list[Checkpoint] = []
    folder = config.data.folder / CHECKPOINT_FOLDER
    with suppress(ConfigError):  # no key came back: the backup is of a gateway that keeps it elsewhere
        found, _ = read_checkpoints(folder, verifier_of(config.data.folder, config.audit, None))
    report = store.verify_audit(checkpoints=found)
    return list(report.problems), _summary(report, report.ok, len(found) if found else None)


def _taken_too_young(report: AuditReport, found: Sequence[Checkpoint], audit_years: int) -> Iterator[str]:
    """Who may change the database can also write that rows were old enough; when they were signed shows their age.

    A row may have been signed long after it was written, by a gateway that stood still: half of the age must do.
    """
    if not report.pruned or not report.pruned_at:
        return
    pruned_at = min(datetime.fromisoformat(report.pruned_at), datetime.now(UTC))  # an entry can say any day
    youngest = pruned_at - timedelta(days=DAYS_A_YEAR / 2) * max(1, audit_years)
    for checkpoint in found:
        if checkpoint.rows <= report.pruned and checkpoint.signed_at > youngest:
            signed_at = f"{checkpoint.signed_at:%Y-%m-%d}"
            yield f"{checkpoint.name} signed on {signed_at} rows that were taken away too young, by {report.pruned_at}"


def _summary(report: AuditReport, ok: bool, checkpoints: int | None) -> list[str]:
    unfinished = sum(report.unfinished_counts.values())
    verdict = "verified" if ok else "NOT verified"
    lines = [
        f"{verdict}: {report.rows} audit rows, {sum(report.jobs.values())} jobs, {unfinished} of them unfinished",
        f"head: row {report.rows}, {report.head_hash}",
    ]
    if report.pruned:
        lines.append(
            f"the first {report.pruned} rows were taken away until {report.pruned_at}; the oldest that is left is of "
            f"{report.first_kept_at}: compare that with retention.audit_years"
        )
    if report.uncovered:
        lines.append(f"{report.uncovered} jobs of an older version: no row of the chain covers whose ECG they are")
    if checkpoints is None:
        lines.append("not held against checkpoints; give --against FOLDER")
    else:
        lines.append(f"{report.checkpoints} of {checkpoints} checkpoints agree")
    return lines
