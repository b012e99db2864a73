"""Adds and changes users. Every change is audited; a password is seen only as its hash, which the audit never holds."""

from __future__ import annotations

from sqlalchemy import delete, func, select, update

from gateway.errors import Conflict
from gateway.role import Role
from gateway.store.accounts.account_rows import (
    User,
    insert_unless_there,
    lock_user,
    user_from,
    user_row,
)
from gateway.store.accounts.lockouts import unlock
from gateway.store.audit import Event, append
from gateway.store.database import Database, Transaction
from gateway.store.job_rows import clean, new_id
from gateway.store.tables import audit_head, sessions, users


def all_users(database: Database) -> tuple[User, ...]:
    """Every user, by name."""
    with database.read() as connection:
        return tuple(user_from(row) for row in connection.execute(select(users).order_by(users.c.name)))


def user(database: Database, name: str) -> User:
    """One user. NotFound."""
    with database.read() as connection:
        return user_from(user_row(connection, name))


def password_hash(database: Database, name: str) -> str:
    """The hash of a user's password, "" for one who has none or may not sign in, and for a stranger."""
    query = select(users.c.password_hash).where(users.c.name == name, users.c.disabled.is_(False))
    with database.read() as connection:
        return connection.execute(query).scalar() or ""


def add(database: Database, name: str, role: Role, password: str, actor: str) -> User:
    """A new user who must change the password. Conflict where the name is taken."""
    with database.write() as tx:
        return _insert(tx, name, role, actor, password_hash=password, must_change_password=True)


def add_first(database: Database, name: str, password: str, actor: str) -> bool:
    """An administrator, if there is no user at all."""
    with database.write() as tx:
        # Nobody else may look whether there are users until this is done.
        tx.execute(select(audit_head).with_for_update())
        if tx.execute(select(func.count()).select_from(users)).scalar_one():
            return False
        _insert(tx, name, Role.ADMINISTRATOR, actor, password_hash=password, must_change_password=True)
        return True


def federated(database: Database, subject: str, name: str, role: Role) -> User:
    """The user whom a provider knows by this subject, with the role that it says today; new where unknown.

    Conflict where the name is a local user's: a provider does not take over an account.
    """
    with database.write() as tx:
        row = tx.execute(select(users).where(users.c.subject == subject).with_for_update()).one_or_none()
        if row is None:
            return _insert(tx, name, role, name, password_hash="", must_change_password=False, subject=subject)
        if row.role != role:
            tx.execute(update(users).where(users.c.user_id == row.user_id).values(role=role, changed_at=tx.now))
            append(tx, Event.USER_CHANGED, "", row.name, user=row.name, role=role.value, by="provider")
        return user_from(user_row(tx.connection, row.name))


def change(database: Database, name: str, actor: str, role: Role | None, disabled: bool | None) -> User:
    """Another role, or whether the user may sign in at all. Conflict where no administrator would be left."""
    with database.write() as tx:
        _lock_administrators(tx)
        row = lock_user(tx, name)
        values = {
            key: value
            for key, value, old in (("role", role, row.role), ("disabled", disabled, row.disabled))
            if value is not None and value != old
        }
        if not values:
            return user_from(row)
        tx.execute(update(users).where(users.c.user_id == row.user_id).values(**values, changed_at=tx.now))
        _check_somebody_is_left(tx)
        if disabled:
            tx.execute(delete(sessions).where(sessions.c.user_id == row.user_id))
        changes = {key: str(value) for key, value in values.items()}
        append(tx, Event.USER_CHANGED, "", clean(actor), user=name, **changes)
        return user_from(user_row(tx.connection, name))


def set_password(database: Database, name: str, password: str, actor: str, must_change: bool) -> None:
    """Another password; all sessions of the user end. Conflict for one whom a provider knows."""
    with database.write() as tx:
        row = lock_user(tx, name)
        if row.subject is not None:
            raise Conflict(f"{name} signs in by the hospital's own sign-in and has no password here")
        tx.execute(
            update(users)
            .where(users.c.user_id == row.user_id)
            .values(password_hash=password, must_change_password=must_change, changed_at=tx.now)
        )
        tx.execute(delete(sessions).where(sessions.c.user_id == row.user_id))
        if must_change:  # whoever forgot it has tried until the name was locked
            unlock(tx, name)
        append(tx, Event.PASSWORD_RESET if must_change else Event.PASSWORD_CHANGED, "", clean(actor), user=name)


def rehash(database: Database, name: str, old: str, new: str) -> None:
    """The same password under stronger parameters, unless it was changed meanwhile."""
    with database.write() as tx:
        tx.execute(update(users).where(users.c.name == name, users.c.password_hash == old).values(password_hash=new))


def _insert(tx: Transaction, name: str, role: Role, actor: str, **values: str | bool) -> User:
    added = insert_unless_there(
        tx,
        users,
        user_id=new_id(),
        name=name,
        role=role,
        disabled=False,
        created_at=tx.now,
        changed_at=tx.now,
        **values,
    )
    if not added:
        raise Conflict(f"the name {name!r} is taken")
    how = "provider" if "subject" in values else "local"
    append(tx, Event.USER_ADDED, "", clean(actor), user=name, role=role.value, how=how)
    return user_from(user_row(tx.connection, name))


def _lock_administrators(tx: Transaction) -> None:
    """Or two administrators could take each other's role away at the same moment."""
    query = select(users.c.user_id).where(users.c.role == Role.ADMINISTRATOR).order_by(users.c.user_id)
    tx.execute(query.with_for_update()).all()


def _check_somebody_is_left(tx: Transaction) -> None:
    query = (
        select(func.count()).select_from(users).where(users.c.role == Role.ADMINISTRATOR, users.c.disabled.is_(False))
    )
    if not tx.execute(query).scalar_one():
        raise Conflict("this is the last administrator who may sign in; make another one first")
