"""What `cardioscan check` says: configuration, database, digitizer weights and peers, in words to act on."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.config import Config, check_config
from gateway.deliver.reach import check_peers
from gateway.errors import GatewayError
from gateway.store import Store


@dataclass(frozen=True)
class Line:
    """One thing that was looked at."""

    what: str
    ok: bool
    words: str


def check_all(config: Config, *, peers: bool) -> list[Line]:
    """Every check, in the order an administrator would mend things. Makes data folder and schema, nothing else."""
    lines = [Line("configuration", False, problem) for problem in check_config(config)]
    if not lines:
        lines.append(Line("configuration", True, "no contradictions"))
    lines.append(_database(config))
    if peers:
        lines += [Line(f"destination {report.name}", report.ok, report.words) for report in check_peers(config)]
    return lines


def _database(config: Config) -> Line:
    try:
        store = Store.open(config.data)
    except GatewayError as error:
        return Line("database", False, str(error))
    try:
        return Line("database", True, store.check())
    except GatewayError as error:
        return Line("database", False, str(error))
    finally:
        store.close()
