"""A row written where there is none and changed where there is one: what the two databases spell differently."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite

from gateway.store.database import Transaction


def upsert(tx: Transaction, table: Table, key: Mapping[str, Any], row: Mapping[str, Any], **changes: Any) -> None:
    """Writes key and row; where the key is there, changes instead (SQL expressions of the row), or row without any."""
    values, elements = {**key, **row}, [table.c[name] for name in key]
    if tx.connection.dialect.name == "sqlite":
        on_sqlite = sqlite.insert(table).values(values)
        tx.execute(on_sqlite.on_conflict_do_update(index_elements=elements, set_=changes or dict(row)))
    else:
        on_postgres = postgresql.insert(table).values(values)
        tx.execute(on_postgres.on_conflict_do_update(index_elements=elements, set_=changes or dict(row)))
