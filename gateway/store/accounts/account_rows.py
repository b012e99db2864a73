"""Users, sessions and tokens as the rest of the gateway sees them, and the reads that several verbs need."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, select
from sqlalchemy.dialects import postgresql, sqlite

from gateway.errors import NotFound
from gateway.role import Role
from gateway.store.database import Transaction
from gateway.store.job_rows import AnyRow
from gateway.store.tables import users


@dataclass(frozen=True)
class User:
    """Somebody who may sign in. federated: known by an OpenID provider, which also says the role."""

    user_id: str
    name: str
    role: Role
    must_change_password: bool
    disabled: bool
    federated: bool
    created_at: datetime
    signed_in_at: datetime | None


@dataclass(frozen=True)
class Session:
    """A browser that is signed in."""

    user: User
    csrf_token: str


@dataclass(frozen=True)
class Token:
    """An API token without its secret, which nobody but its holder knows."""

    token_id: str
    user: User
    label: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


def user_from(row: AnyRow) -> User:
    """A row of users, or of users joined to something, as a User."""
    return User(
        user_id=row.user_id,
        name=row.name,
        role=Role(row.role),
        must_change_password=row.must_change_password,
        disabled=row.disabled,
        federated=row.subject is not None,
        created_at=row.created_at,
        signed_in_at=row.signed_in_at,
    )


def user_row(connection: Connection, name: str) -> AnyRow:
    """The row of a user. NotFound."""
    row = connection.execute(select(users).where(users.c.name == name)).one_or_none()
    if row is None:
        raise NotFound(f"there is no user {name!r}")
    return row


def lock_user(tx: Transaction, name: str) -> AnyRow:
    """The row of a user, held until the transaction ends. NotFound."""
    row = tx.execute(select(users).where(users.c.name == name).with_for_update()).one_or_none()
    if row is None:
        raise NotFound(f"there is no user {name!r}")
    return row


def insert_unless_there(tx: Transaction, table: Table, **values: Any) -> bool:
    """Adds a row; False where one with the same key or unique value is there, also one just added by another."""
    dialect = sqlite if tx.connection.dialect.name == "sqlite" else postgresql
    added = dialect.insert(table).values(**values).on_conflict_do_nothing().returning(*table.primary_key)
    return tx.execute(added).one_or_none() is not None
