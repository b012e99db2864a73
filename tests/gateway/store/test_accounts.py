"""Accounts on both databases: who gets in, who does not, and what the audit says of it."""

from __future__ import annotations

import hashlib
import io
import json
import os
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from gateway.config import DataSection
from gateway.errors import Conflict, GatewayError, NotFound
from gateway.role import Role
from gateway.store import Event, Store
from gateway.store.accounts import STRANGER, Accounts, Gauge
from gateway.store.database import Database
from tests.gateway.storing import in_processes, note, noted, receive

NAME = (Gauge("name", "ann", 3), Gauge("address", "10.0.0.1", 5))
LOCK_S = 60.0


@pytest.fixture
def accounts(store: Store) -> Accounts:
    """Accounts with one administrator, ann."""
    store.accounts.add_first("ann", "hash", "first start")
    return store.accounts


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """Moves the database's clock on."""
    true_now = Database.now

    def move(by: timedelta) -> None:
        def now(self: Database, connection: Connection) -> datetime:
            return true_now(self, connection) + by

        monkeypatch.setattr(Database, "now", now)

    return move


def told(store: Store) -> list[dict[str, Any]]:
    """The audit's rows, their details read."""
    stream = io.StringIO()
    store.export_audit(stream)
    rows = [json.loads(line) for line in stream.getvalue().splitlines()]
    return [{**row, "detail": json.loads(row["detail"])} for row in rows]


def sign_in(accounts: Accounts, secret: str = "s", lasts_s: float = 3600) -> None:
    accounts.open_session("ann", secret, "csrf", lasts_s=lasts_s, how="password", address="10.0.0.1")


# Users


def test_the_first_administrator_is_made_once(store: Store) -> None:
    assert store.accounts.add_first("ann", "hash", "first start")
    assert not store.accounts.add_first("bob", "hash", "first start")
    (user,) = store.accounts.users()
    assert (user.name, user.role, user.must_change_password, user.federated) == ("ann", Role.ADMINISTRATOR, True, False)


def add_first(data: DataSection, log: Path, which: int) -> None:
    with Store.open(data) as store:
        if store.accounts.add_first(f"admin{which}", "hash", "first start"):
            note(log, str(os.getpid()))


def test_gateways_that_start_at_once_make_one_first_administrator(data: DataSection, tmp_path: Path) -> None:
    in_processes(4, add_first, data, tmp_path / "made")
    assert len(noted(tmp_path / "made")) == 1


def test_a_name_is_given_once(accounts: Accounts) -> None:
    with pytest.raises(Conflict, match="taken"):
        accounts.add_user("ann", Role.VIEWER, "other", "ann")
    assert accounts.password_hash("ann") == "hash"


def test_who_is_disabled_has_no_password_no_session_and_no_token(accounts: Accounts) -> None:
    accounts.add_user("bob", Role.ADMINISTRATOR, "hash", "ann")
    sign_in(accounts)
    accounts.issue_token("ann", "t", "lab", ("read",), None, "ann")
    accounts.change_user("ann", "bob", disabled=True)
    assert accounts.password_hash("ann") == ""
    assert accounts.session("s", 60) is None
    assert accounts.bearer("t") is None
    accounts.change_user("ann", "bob", disabled=False)
    assert accounts.session("s", 60) is None  # it ended, and does not come back
    assert accounts.bearer("t") is not None


def test_one_administrator_always_stays(accounts: Accounts) -> None:
    accounts.add_user("bob", Role.VIEWER, "hash", "ann")
    with pytest.raises(Conflict, match="last administrator"):
        accounts.change_user("ann", "bob", disabled=True)
    with pytest.raises(Conflict, match="last administrator"):
        accounts.change_user("ann", "bob", role=Role.VIEWER)
    assert accounts.user("ann").role is Role.ADMINISTRATOR
    assert not accounts.user("ann").disabled


def test_two_administrators_cannot_both_be_taken_away_at_once(accounts: Accounts) -> None:
    accounts.add_user("bob", Role.ADMINISTRATOR, "hash", "ann")
    together = threading.Barrier(2)

    def demote(name: str) -> None:
        together.wait(10)
        with suppress(Conflict):
            accounts.change_user(name, "x", role=Role.VIEWER)

    threads = [threading.Thread(target=demote, args=(name,)) for name in ("ann", "bob")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [user.role for user in accounts.users()].count(Role.ADMINISTRATOR) == 1


def test_another_password_ends_the_sessions(accounts: Accounts) -> None:
    sign_in(accounts)
    accounts.set_password("ann", "new", "ann", must_change=False)
    assert accounts.session("s", 60) is None
    assert accounts.password_hash("ann") == "new"
    assert not accounts.user("ann").must_change_password


def test_stronger_parameters_do_not_bring_an_old_password_back(accounts: Accounts) -> None:
    accounts.set_password("ann", "new", "ann", must_change=False)
    accounts.rehash("ann", "hash", "hash, stronger")
    assert accounts.password_hash("ann") == "new"


def test_a_provider_says_the_role_each_time_and_takes_over_no_local_name(accounts: Accounts) -> None:
    assert accounts.federated("s1", "eve", Role.VIEWER).federated
    assert accounts.federated("s1", "renamed", Role.REVIEWER).role is Role.REVIEWER
    assert [user.name for user in accounts.users()] == ["ann", "eve"]
    assert accounts.password_hash("eve") == ""
    with pytest.raises(Conflict, match="taken"):
        accounts.federated("s2", "ann", Role.VIEWER)
    with pytest.raises(Conflict, match="no password here"):
        accounts.set_password("eve", "hash", "ann", must_change=True)


def test_nobody_is_found_where_nobody_is(accounts: Accounts) -> None:
    assert accounts.password_hash("bob") == ""
    assert accounts.session("none", 60) is None
    assert accounts.bearer("none") is None
    for ask in (
        lambda: accounts.user("bob"),
        lambda: accounts.change_user("bob", "ann", disabled=True),
        lambda: accounts.set_password("bob", "h", "ann", must_change=True),
        lambda: accounts.issue_token("bob", "t", "l", ("read",), None, "ann"),
        lambda: accounts.revoke_token("none", "ann"),
    ):
        with pytest.raises(NotFound):
            ask()


# Sessions


def test_a_session_ends_when_its_time_is_over(accounts: Accounts, later: Callable[[timedelta], None]) -> None:
    sign_in(accounts, lasts_s=3600)
    session = accounts.session("s", 10_000)
    assert session is not None
    assert (session.user.name, session.csrf_token) == ("ann", "csrf")
    later(timedelta(seconds=3601))
    assert accounts.session("s", 10_000) is None


def test_a_session_that_is_used_lives_on_and_an_idle_one_ends(
    accounts: Accounts, later: Callable[[timedelta], None]
) -> None:
    sign_in(accounts, lasts_s=12 * 3600)
    for minutes in (20, 40, 50):
        later(timedelta(minutes=minutes))  # counted from the true clock, not from the move before
        assert accounts.session("s", 30 * 60) is not None
    later(timedelta(minutes=81))
    assert accounts.session("s", 30 * 60) is None


def test_looking_whether_a_session_stands_keeps_none_alive(
    accounts: Accounts, later: Callable[[timedelta], None]
) -> None:
    sign_in(accounts, lasts_s=12 * 3600)
    for minutes in (10, 20, 29):
        later(timedelta(minutes=minutes))
        assert accounts.session("s", 30 * 60, in_use=False) is not None
    later(timedelta(minutes=31))
    assert accounts.session("s", 30 * 60, in_use=False) is None


def test_signing_out_ends_one_session_and_signing_in_clears_those_that_ran_out(
    store: Store, accounts: Accounts, later: Callable[[timedelta], None]
) -> None:
    sign_in(accounts, "a", lasts_s=10)
    sign_in(accounts, "b")
    accounts.close_session("b")
    accounts.close_session("b")
    assert accounts.session("a", 60) is not None
    later(timedelta(seconds=11))
    sign_in(accounts, "c")
    with store._database.read() as connection:
        assert connection.exec_driver_sql("SELECT secret_sha256 FROM sessions").scalars().all() == ["c"]


# Tokens


def test_a_token_ends_with_its_days_or_when_it_is_revoked(
    accounts: Accounts, later: Callable[[timedelta], None]
) -> None:
    week = accounts.issue_token("ann", "week", "lab", ("read",), 7, "ann")
    ever = accounts.issue_token("ann", "ever", "lab", ("read", "upload"), None, "ann")
    assert accounts.bearer("week") == week
    assert ever.scopes == ("read", "upload")
    later(timedelta(days=7, seconds=1))
    assert accounts.bearer("week") is None
    assert accounts.bearer("ever") == ever
    accounts.revoke_token(ever.token_id, "ann")
    accounts.revoke_token(ever.token_id, "ann")
    assert accounts.bearer("ever") is None
    assert {token.token_id for token in accounts.tokens("ann")} == {week.token_id, ever.token_id}
    assert accounts.tokens("bob") == ()


# Guessing


def guess(accounts: Accounts, name: str = "ann", address: str = "10.0.0.1") -> bool:
    """A wrong password; whether it was even looked at."""
    gauges = (Gauge("name", name, 3), Gauge("address", address, 5))
    if accounts.begin_sign_in(gauges, LOCK_S) is not None:
        return False
    accounts.sign_in_failed(gauges, name, address)
    return True


def test_a_name_is_locked_after_so_many_failures_and_free_again_later(
    accounts: Accounts, later: Callable[[timedelta], None]
) -> None:
    assert [guess(accounts) for _ in range(5)] == [True, True, True, False, False]
    until = accounts.begin_sign_in(NAME, LOCK_S)
    assert until is not None
    assert 0 < (until - datetime.now(UTC)).total_seconds() <= LOCK_S + 1
    later(timedelta(seconds=LOCK_S + 1))
    assert guess(accounts)


def test_a_name_that_is_nobodys_is_locked_like_any_other(accounts: Accounts) -> None:
    assert [guess(accounts, "nobody") for _ in range(4)] == [True, True, True, False]


def test_an_address_is_locked_whatever_names_it_tries(accounts: Accounts) -> None:
    assert [guess(accounts, f"user{n}") for n in range(7)] == [True] * 5 + [False] * 2
    assert guess(accounts, "user9", "10.0.0.2")


def test_the_right_password_clears_the_name_but_not_others_failures_from_the_address(accounts: Accounts) -> None:
    for name in ("a", "b", "c", "d"):
        guess(accounts, name)
    assert accounts.begin_sign_in(NAME, LOCK_S) is None  # the fifth from here
    accounts.sign_in_succeeded(NAME)
    assert guess(accounts, "e")
    assert not guess(accounts, "f")


def test_guesses_at_the_same_moment_are_no_way_round(accounts: Accounts) -> None:
    looked_at: list[bool] = []
    together = threading.Barrier(8)

    def work() -> None:
        together.wait(10)
        try:
            looked_at.append(guess(accounts))
        except GatewayError:  # a deadlock that PostgreSQL ended: not looked at either
            looked_at.append(False)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(looked_at) <= 3


def test_a_reset_password_unlocks_the_name(accounts: Accounts) -> None:
    while guess(accounts):
        pass
    accounts.set_password("ann", "new", "bob", must_change=True)
    assert guess(accounts)


# The audit


def test_every_change_and_every_try_is_in_the_audit(store: Store, accounts: Accounts) -> None:
    accounts.add_user("bob", Role.VIEWER, "secret hash", "ann")
    accounts.change_user("bob", "ann", role=Role.REVIEWER)
    accounts.change_user("bob", "ann", role=Role.REVIEWER)  # no change, no entry
    accounts.set_password("bob", "secret hash", "ann", must_change=True)
    accounts.set_password("bob", "secret hash", "bob", must_change=False)
    token = accounts.issue_token("bob", "secret hash", "lab", ("read",), 1, "ann")
    accounts.revoke_token(token.token_id, "ann")
    accounts.open_session("bob", "secret hash", "secret csrf", lasts_s=60, how="password", address="10.0.0.1")
    accounts.close_session("secret hash")
    while guess(accounts):
        pass
    guess(accounts, "my-secret-password")
    job_id = receive(store, b"1").job_id
    store.record_access("bob", job_id, "page 1 image")
    rows = told(store)
    assert Counter(row["kind"] for row in rows) == {
        Event.USER_ADDED: 2,
        Event.USER_CHANGED: 1,
        Event.PASSWORD_RESET: 1,
        Event.PASSWORD_CHANGED: 1,
        Event.TOKEN_ISSUED: 1,
        Event.TOKEN_REVOKED: 1,
        Event.SIGNED_IN: 1,
        Event.SIGNED_OUT: 1,
        Event.SIGN_IN_FAILED: 4,
        Event.LOCKED_OUT: 1,
        Event.RECEIVED: 1,
        Event.LOOKED: 1,
    }
    assert rows[-1]["actor"] == "bob"
    assert (rows[-1]["job_id"], rows[-1]["detail"]) == (job_id, {"what": "page 1 image"})
    failed = [row["actor"] for row in rows if row["kind"] == Event.SIGN_IN_FAILED]
    assert failed == ["ann", "ann", "ann", STRANGER]
    assert "secret" not in json.dumps(rows)  # no hash, no token, and no name that may have been a password
    report = store.verify_audit()
    assert report.ok, report.problems


def test_a_look_at_what_is_not_there_is_no_look(store: Store) -> None:
    with pytest.raises(NotFound):
        store.record_access("bob", "0" * 32, "page 1 image")
    assert told(store) == []


def test_the_database_holds_no_name_that_was_only_typed(store: Store, accounts: Accounts) -> None:
    guess(accounts, "my-secret-password")
    with store._database.read() as connection:
        keys = connection.exec_driver_sql("SELECT key FROM lockouts").scalars().all()
    assert hashlib.sha256(b"name:my-secret-password").hexdigest() in keys


def test_gateways_of_one_database_share_a_key(data: DataSection) -> None:
    with Store.open(data) as one, Store.open(data) as two:
        assert one.accounts.key("oidc") == two.accounts.key("oidc") != one.accounts.key("other")
