"""API tokens. The database knows a hash of the secret only."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Select, select, update

from gateway.errors import NotFound
from gateway.store.accounts.account_rows import Token, lock_user, user_from
from gateway.store.audit import Event, append
from gateway.store.database import Database
from gateway.store.job_rows import AnyRow, clean, new_id
from gateway.store.tables import tokens, users

# Both tables have these: the token's under names of their own.
_COLUMNS = (
    users,
    tokens.c.token_id,
    tokens.c.label,
    tokens.c.scopes,
    tokens.c.created_at.label("issued_at"),
    tokens.c.expires_at,
    tokens.c.revoked_at,
)


def issue(
    database: Database, name: str, secret_sha256: str, label: str, scopes: tuple[str, ...], days: int | None, actor: str
) -> Token:
    """A token for a user, for so many days or until it is revoked. NotFound."""
    with database.write() as tx:
        user = lock_user(tx, name)
        token_id = new_id()
        tx.execute(
            tokens.insert().values(
                token_id=token_id,
                user_id=user.user_id,
                secret_sha256=secret_sha256,
                label=clean(label),
                scopes=" ".join(scopes),
                created_at=tx.now,
                expires_at=None if days is None else tx.now + timedelta(days=days),
                revoked_at=None,
            )
        )
        append(tx, Event.TOKEN_ISSUED, "", clean(actor), user=name, token_id=token_id, scopes=" ".join(scopes))
        return _token_from(tx.execute(_query().where(tokens.c.token_id == token_id)).one())


def all_tokens(database: Database, name: str | None) -> tuple[Token, ...]:
    """A user's tokens, or everybody's; the newest first, revoked ones too."""
    query = _query().order_by(tokens.c.created_at.desc(), tokens.c.token_id)
    if name is not None:
        query = query.where(users.c.name == name)
    with database.read() as connection:
        return tuple(_token_from(row) for row in connection.execute(query))


def bearer(database: Database, secret_sha256: str) -> Token | None:
    """Whose token this is, None where it is unknown, revoked, has run out, or its user may not sign in."""
    query = _query().where(
        tokens.c.secret_sha256 == secret_sha256, tokens.c.revoked_at.is_(None), users.c.disabled.is_(False)
    )
    with database.read() as connection:
        row = connection.execute(query).one_or_none()
        now = database.now(connection)
    if row is None or (row.expires_at is not None and row.expires_at <= now):
        return None
    return _token_from(row)


def revoke(database: Database, token_id: str, actor: str) -> None:
    """Ends a token for good. NotFound; nothing happens to one that is revoked."""
    with database.write() as tx:
        row = tx.execute(select(tokens).where(tokens.c.token_id == token_id).with_for_update()).one_or_none()
        if row is None:
            raise NotFound(f"there is no token {token_id!r}")
        if row.revoked_at is None:
            tx.execute(update(tokens).where(tokens.c.token_id == token_id).values(revoked_at=tx.now))
            append(tx, Event.TOKEN_REVOKED, "", clean(actor), token_id=token_id)


def _query() -> Select[*tuple[object, ...]]:
    return select(*_COLUMNS).join(tokens, tokens.c.user_id == users.c.user_id)


def _token_from(row: AnyRow) -> Token:
    return Token(
        token_id=row.token_id,
        user=user_from(row),
        label=row.label,
        scopes=tuple(row.scopes.split()),
        created_at=row.issued_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )
