"""Signing in and out: cookies, wrong passwords, lock-out, the first administrator, one-time passwords."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from argon2 import PasswordHasher

from gateway.role import Role
from gateway.web.security import passwords
from gateway.web.security.credentials import digest
from gateway.web.security.first import FIRST, make_first_administrator
from gateway.web.security.names import user_name
from tests.gateway.web.security.visitor import PASSWORD, House

NEW = "another long password"


def cookies(response: object) -> dict[str, str]:
    """The whole text of each cookie that an answer sets, by name."""
    found = response.headers.get_list("set-cookie")  # type: ignore[attr-defined]
    return {text.split("=", 1)[0]: text.lower() for text in found}


def test_signing_in_leads_to_where_one_wanted_to_go(house: House) -> None:
    house.add("ann", Role.VIEWER)
    visitor = house.visitor()
    assert visitor.get("/account?x=1").headers["location"] == "/login?next=%2Faccount%3Fx%3D1"
    answer = visitor.sign_in("Ann ", page="/login?next=%2Faccount%3Fx%3D1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/account?x=1")
    assert visitor.get("/account").status_code == 200
    assert house.kinds()[-1] == "signed_in"


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x", ""]
)
def test_signing_in_never_leads_to_another_site(house: House, elsewhere: str) -> None:
    house.add("ann", Role.VIEWER)
    visitor = house.visitor()
    page = visitor.get("/login").text
    token = re.search(r'name="login_token" value="(.*?)"', page)
    assert token
    form = {"name": "ann", "password": PASSWORD, "login_token": token[1], "next": elsewhere}
    assert visitor.client.post("/login", data=form).headers["location"] == "/"


def test_the_session_cookie_is_hidden_from_scripts_and_other_sites(house: House) -> None:
    house.add("ann", Role.VIEWER)
    cookie = cookies(house.visitor().sign_in("ann"))["cardioscan_session"]
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "path=/" in cookie
    assert "secure" not in cookie  # or no browser would send it back over plain HTTP on this machine
    assert "max-age" not in cookie
    assert "domain" not in cookie


def test_under_tls_the_cookie_is_for_https_and_this_host_only(open_house: Callable[..., House]) -> None:
    house = open_house(behind_proxy=True)
    house.add("ann", Role.VIEWER)
    visitor = house.visitor("https://ecg.example")
    answer = visitor.sign_in("ann")
    cookie = cookies(answer)["__Host-cardioscan_session"]
    assert "secure" in cookie
    assert "httponly" in cookie
    assert "path=/" in cookie
    assert "strict-transport-security" in answer.headers
    assert visitor.get("/account").status_code == 200


def test_the_database_holds_neither_password_nor_cookie(house: House) -> None:
    visitor = house.signed_in("ann", Role.VIEWER)
    secret = visitor.client.cookies["cardioscan_session"]
    with house.store._database.read() as connection:
        dump = "\n".join(connection.connection.dbapi_connection.iterdump())  # type: ignore[union-attr]
    assert digest(secret) in dump
    assert secret not in dump
    assert PASSWORD not in dump
    assert "$argon2id$" in dump


def test_each_sign_in_has_a_new_secret_whatever_cookie_was_there(house: House) -> None:
    house.add("ann", Role.VIEWER)
    visitor = house.visitor()
    visitor.client.cookies.set("cardioscan_session", "planted")
    visitor.sign_in("ann")
    assert "planted" not in {cookie.value for cookie in visitor.client.cookies.jar if cookie.domain}
    assert house.store.accounts.session(digest("planted"), 60) is None


def test_signing_out_ends_the_session_for_good(house: House) -> None:
    visitor = house.signed_in("ann", Role.VIEWER)
    secret = visitor.client.cookies["cardioscan_session"]
    assert visitor.form("/logout", "/account").headers["location"] == "/login"
    assert house.store.accounts.session(digest(secret), 60) is None
    assert visitor.get("/account").headers["location"].startswith("/login")
    assert house.kinds()[-1] == "signed_out"


def test_a_wrong_name_and_a_wrong_password_are_told_alike(house: House) -> None:
    house.add("ann", Role.VIEWER)
    wrong = house.visitor().sign_in("ann", "x" * 12)
    nobody = house.visitor().sign_in("bob", "x" * 12)
    assert wrong.status_code == nobody.status_code == 401
    words = [re.findall(r'role="alert">(.*?)<', answer.text) for answer in (wrong, nobody)]
    assert words == [["the name or the password is wrong."]] * 2
    assert 'value="ann"' in wrong.text  # who mistyped a password need not type the name again
    assert [row["actor"] for row in house.audit()[-2:]] == ["ann", "stranger"]


def test_the_clock_does_not_tell_whether_a_name_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    costly = PasswordHasher(time_cost=3, memory_cost=16_384, parallelism=1)  # so that it can be measured
    monkeypatch.setattr(passwords, "_hasher", costly)
    stored = passwords.hash_password("the right one")
    passwords.matches("", "warm up")

    def seconds(hashed: str) -> float:
        began = time.process_time()  # not the wall's, which others on this machine stretch
        assert not passwords.matches(hashed, "a wrong one")
        return time.process_time() - began

    known = statistics.median(seconds(stored) for _ in range(3))
    unknown = statistics.median(seconds("") for _ in range(3))
    assert unknown > known / 3


@pytest.mark.parametrize("name", ["", "a b", "a\0b", "x" * 10_000, "<script>"])
def test_a_name_that_is_none_is_refused_like_a_wrong_one(house: House, name: str) -> None:
    visitor = house.visitor()
    answers = [visitor.sign_in(name, "wrong") for _ in range(6)]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429]
    assert "<script>" not in answers[0].text.replace('<script type="module"', "")


def test_too_many_wrong_passwords_lock_the_name_even_for_the_right_one(house: House) -> None:
    house.add("ann", Role.VIEWER)
    visitor = house.visitor()
    assert [visitor.sign_in("ann", f"wrong {n}").status_code for n in range(6)] == [401] * 5 + [429]
    locked = house.visitor().sign_in("ann")
    assert locked.status_code == 429
    assert 0 < int(locked.headers["retry-after"]) <= 15 * 60 + 1
    assert "try again in 15 minutes" in locked.text
    assert house.kinds().count("sign_in_failed") == 5
    assert house.kinds().count("locked_out") == 1
    house.add("bob", Role.VIEWER)
    assert house.visitor().sign_in("bob").status_code == 303


def test_one_address_cannot_try_many_names(open_house: Callable[..., House]) -> None:
    house = open_house(lockout_failures=1)
    visitor = house.visitor()
    answers = [visitor.sign_in(f"user{n}", "wrong").status_code for n in range(12)]
    assert answers == [401] * 10 + [429] * 2
    assert house.visitor(address="10.0.0.2").sign_in("user20", "wrong").status_code == 401


def test_a_form_of_another_site_cannot_sign_anybody_in(house: House) -> None:
    house.add("mallory", Role.VIEWER)
    form = {"name": "mallory", "password": PASSWORD}
    for visitor, token in ((house.visitor(), ""), (house.visitor(), "guessed")):
        visitor.get("/login")
        answer = visitor.client.post("/login", data={**form, "login_token": token})
        assert answer.status_code == 403
        assert "cardioscan_session" not in cookies(answer)


def test_what_a_stranger_may_send_is_small(house: House) -> None:
    answer = house.visitor().client.post("/login", data={"name": "x" * 100_000})
    assert answer.status_code == 413


# The first administrator and one-time passwords


def test_the_first_start_makes_one_administrator_and_says_the_password_once(house: House) -> None:
    said: list[str] = []
    make_first_administrator(house.store, said.append)
    make_first_administrator(house.store, said.append)
    (line,) = said
    password = line.split("password ")[1].split()[0]
    visitor = house.visitor()
    assert visitor.sign_in(FIRST, password).status_code == 303
    assert visitor.get("/users").headers["location"] == "/account/password"
    api = visitor.client.get("/api/v1/me", headers={"accept": "application/json"})
    assert (api.status_code, api.json()["code"]) == (403, "password_change_required")
    changed = visitor.form("/account/password", "/account/password", {"old": password, "new": NEW, "again": NEW})
    assert changed.headers["location"] == "/"
    assert visitor.get("/users").status_code == 200
    assert house.visitor().sign_in(FIRST, password).status_code == 401
    assert house.visitor().sign_in(FIRST, NEW).status_code == 303
    assert password not in str(house.audit())


def test_there_is_no_first_administrator_where_there_is_a_user(house: House) -> None:
    house.add("ann", Role.VIEWER)
    said: list[str] = []
    make_first_administrator(house.store, said.append)
    assert said == []


@pytest.mark.parametrize(
    ("old", "new", "again", "why"),
    [
        (PASSWORD, "short", "short", "at least 12 characters"),
        (PASSWORD, NEW, NEW + "x", "not the same both times"),
        (PASSWORD, "aaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaa", "different characters"),
        (PASSWORD, "annabel-1234", "annabel-1234", "hold the user"),
        (PASSWORD, PASSWORD, PASSWORD, "another one than before"),
        ("wrong", NEW, NEW, "the name or the password is wrong"),
    ],
)
def test_a_password_that_will_not_do_is_refused_with_the_reason(
    house: House, old: str, new: str, again: str, why: str
) -> None:
    visitor = house.signed_in("annabel", Role.VIEWER)
    answer = visitor.form("/account/password", "/account/password", {"old": old, "new": new, "again": again})
    assert answer.status_code in (401, 422)
    assert why in answer.text
    assert house.visitor().sign_in("annabel").status_code == 303


def test_another_password_signs_out_every_other_browser(house: House) -> None:
    here = house.signed_in("ann", Role.VIEWER)
    there = house.visitor()
    there.sign_in("ann")
    here.form("/account/password", "/account/password", {"old": PASSWORD, "new": NEW, "again": NEW})
    assert here.get("/account").status_code == 200
    assert there.get("/account").status_code == 303


def test_a_stolen_session_cannot_guess_the_password(house: House) -> None:
    visitor = house.signed_in("ann", Role.VIEWER)
    fields = {"old": "wrong", "new": NEW, "again": NEW}
    answers = [visitor.form("/account/password", "/account/password", fields).status_code for _ in range(6)]
    assert answers == [401] * 5 + [429]


def test_weaker_hashes_are_made_anew_at_the_next_sign_in(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.add("ann", Role.VIEWER)
    before = house.store.accounts.password_hash("ann")
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=2, memory_cost=128, parallelism=1))
    house.visitor().sign_in("ann")
    after = house.store.accounts.password_hash("ann")
    assert "m=64,t=1" in before
    assert "m=128,t=2" in after
    assert house.visitor().sign_in("ann").status_code == 303


def test_a_session_that_is_idle_for_too_long_has_ended(open_house: Callable[..., House]) -> None:
    house = open_house(session_minutes=1)
    visitor = house.signed_in("ann", Role.VIEWER)
    assert visitor.get("/account").status_code == 200
    with house.store._database.write() as tx:
        seen = tx.now - timedelta(seconds=61)
        tx.connection.exec_driver_sql("UPDATE sessions SET seen_at = ?", (seen.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),))
    assert visitor.get("/account").status_code == 303


@pytest.mark.parametrize(
    ("typed", "kept"), [("Ann", "ann"), (" ann@example.org ", "ann@example.org"), ("ＡＮＮ", "ann")]
)
def test_a_name_has_one_form(typed: str, kept: str) -> None:
    assert user_name(typed) == kept


@pytest.mark.parametrize("typed", ["", "a b", "deliver:pacs", "stranger", "a\nb", "x" * 201, "<b>"])
def test_a_name_that_could_be_taken_for_something_else_is_unlawful(typed: str) -> None:
    with pytest.raises(ValueError, match="a name has"):
        user_name(typed)


def test_a_one_time_password_is_never_the_same_and_easy_to_type() -> None:
    made = {passwords.one_time_password() for _ in range(200)}
    assert len(made) == 200
    assert all(re.fullmatch(r"([a-zA-Z2-9]{4}-){3}[a-zA-Z2-9]{4}", one) for one in made)
    assert not {"l", "I", "O", "0", "1"} & set("".join(made))
    assert passwords.fault_of(next(iter(made)), "administrator", 12) == ""
