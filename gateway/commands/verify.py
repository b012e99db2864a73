"""What `cardioscan audit verify` says."""

from __future__ import annotations

from pathlib import Path

from gateway.config import Config
from gateway.store import AuditReport, Checkpoint, Store, read_checkpoints, verifier_of


def verify(store: Store, config: Config, against: Path | None, key: Path | None) -> tuple[list[str], list[str]]:
    """The problems, and lines that sum up. against: a checkpoint or a folder of them. ConfigError: no key to check."""
    found: list[Checkpoint] = []
    wrong: list[str] = []
    if against is not None:
        found, wrong = read_checkpoints(against, verifier_of(config.data.folder, config.audit, key))
    report = store.verify_audit(checkpoints=found)
    problems = [*wrong, *report.problems]
    return problems, _summary(report, not problems, len(found) if against is not None else None)


def _summary(report: AuditReport, ok: bool, checkpoints: int | None) -> list[str]:
    unfinished = sum(report.unfinished_counts.values())
    verdict = "verified" if ok else "NOT verified"
    lines = [
        f"{verdict}: {report.rows} audit rows, {sum(report.jobs.values())} jobs, {unfinished} of them unfinished",
        f"head: row {report.rows}, {report.head_hash}",
    ]
    if report.pruned:
        lines.append(f"the first {report.pruned} rows were taken away when they were old enough")
    if report.uncovered:
        lines.append(f"{report.uncovered} jobs of an older version: no row of the chain covers whose ECG they are")
    if checkpoints is None:
        lines.append("not held against checkpoints; give --against FOLDER")
    else:
        lines.append(f"{report.checkpoints} of {checkpoints} checkpoints agree")
    return lines
