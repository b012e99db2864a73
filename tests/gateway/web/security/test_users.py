"""Users and tokens as an administrator keeps them: on the pages, by the API and by the command line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.commands.users import app as user_command
from gateway.role import Role
from gateway.store import Store
from gateway.web.principal import Scope
from tests.gateway.web.security.visitor import House, Visitor

NEW = "another long password"
run = CliRunner()


@pytest.fixture
def admin(house: House) -> Visitor:
    """An administrator called ann, signed in."""
    return house.signed_in("ann", Role.ADMINISTRATOR)


def one_time(page: str) -> str:
    match = re.search(r'<code id="one-time-password">(.*?)</code>', page)
    assert match, page
    return match[1]


# Pages


def test_a_user_is_added_told_a_password_once_and_must_change_it(house: House, admin: Visitor) -> None:
    page = admin.form("/users", "/users", {"name": "Bob", "role": "reviewer"})
    password = one_time(page.text)
    assert password not in admin.get("/users").text
    bob = house.visitor()
    bob.sign_in("bob", password)
    assert bob.get("/account").headers["location"] == "/account/password"
    bob.form("/account/password", "/account/password", {"old": password, "new": NEW, "again": NEW})
    assert "reviewer" in bob.get("/account").text
    assert house.audit()[-2]["kind"] == "password_changed"


@pytest.mark.parametrize(("name", "why"), [("ann", "is taken"), ("a b", "a name has"), ("<script>", "a name has")])
def test_a_name_that_will_not_do_is_told_on_the_page(admin: Visitor, name: str, why: str) -> None:
    page = admin.form("/users", "/users", {"name": name, "role": "viewer"})
    assert page.status_code in (409, 422)
    assert why in page.text
    assert "<script>alert" not in page.text


def test_a_user_is_disabled_enabled_promoted_and_reset(house: House, admin: Visitor) -> None:
    bob = house.signed_in("bob", Role.VIEWER)
    assert admin.form("/users/bob/disable", "/users").headers["location"] == "/users"
    assert bob.get("/account").status_code == 303
    assert bob.sign_in("bob").status_code == 401
    admin.form("/users/bob/enable", "/users")
    assert bob.sign_in("bob").status_code == 303
    admin.form("/users/bob/role", "/users", {"role": "administrator"})
    assert bob.get("/users").status_code == 200
    password = one_time(admin.form("/users/bob/reset", "/users").text)
    assert bob.get("/account").status_code == 303
    assert bob.sign_in("bob", password).status_code == 303


def test_nobody_locks_themselves_or_the_last_administrator_out(admin: Visitor) -> None:
    alone = admin.form("/users/ann/disable", "/users")
    assert (alone.status_code, "nobody can lock themselves out" in alone.text) == (409, True)
    demoted = admin.form("/users/ann/role", "/users", {"role": "viewer"})
    assert (demoted.status_code, "last administrator" in demoted.text) == (409, True)


def test_a_providers_user_has_neither_password_nor_role_of_ours(house: House, admin: Visitor) -> None:
    house.store.accounts.federated("subject", "eve", Role.VIEWER)
    assert admin.form("/users/eve/reset", "/users").status_code == 409
    assert admin.form("/users/eve/role", "/users", {"role": "administrator"}).status_code == 409
    assert admin.form("/users/eve/disable", "/users").status_code == 303


def test_a_user_who_is_not_there_is_not_found(admin: Visitor) -> None:
    for path in ("/users/nobody/disable", "/users/nobody/reset"):
        assert admin.form(path, "/users").status_code == 404


def test_a_token_is_issued_shown_once_works_and_is_revoked(house: House, admin: Visitor) -> None:
    fields = {"name": "ann", "label": "the <b>lab</b>", "scopes": ["read", "metrics"], "days": "7"}
    page = admin.form("/tokens", "/tokens", fields)
    match = re.search(r'<code id="token">(cardioscan_[\w-]{43})</code>', page.text)
    assert match
    assert "<b>lab" not in page.text
    header = {"authorization": f"Bearer {match[1]}"}
    client = house.visitor().client
    assert client.get("/api/v1/me", headers=header).json() == {
        "name": "ann",
        "role": "administrator",
        "how": "token",
        "scopes": ["metrics", "read"],
    }
    assert match[1] not in admin.get("/tokens").text
    (token,) = house.store.accounts.tokens()
    assert admin.form(f"/tokens/{token.token_id}/revoke", "/tokens").headers["location"] == "/tokens"
    assert client.get("/api/v1/me", headers=header).status_code == 401
    assert "revoked" in admin.get("/account").text


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"name": "bob", "label": "x", "scopes": ["admin"]}, "may not have the scope admin"),
        ({"name": "bob", "label": "x"}, "at least one scope"),
        ({"name": "bob", "label": " ", "scopes": ["read"]}, "what the token is for"),
        ({"name": "bob", "label": "x", "scopes": ["read"], "days": "9999"}, "1 to 3660 days"),
    ],
)
def test_a_token_that_will_not_do_is_told(house: House, admin: Visitor, fields: dict[str, object], why: str) -> None:
    house.add("bob", Role.VIEWER)
    page = admin.form("/tokens", "/tokens", fields)
    assert page.status_code in (409, 422)
    assert why in page.text
    assert house.store.accounts.tokens() == ()


# The API


def test_the_api_keeps_users_and_tokens(house: House) -> None:
    house.add("ann", Role.ADMINISTRATOR)
    client = house.visitor().client
    client.headers.update(house.token("ann", Scope.ADMIN))
    added = client.post("/api/v1/users", json={"name": "Bob", "role": "viewer"})
    assert (added.status_code, added.json()["name"]) == (201, "bob")
    assert client.post("/api/v1/users", json={"name": "bob", "role": "viewer"}).status_code == 409
    assert client.post("/api/v1/users", json={"name": "b b", "role": "viewer"}).status_code == 422
    assert client.post("/api/v1/users", json={"name": "eve", "role": "king"}).status_code == 422
    changed = client.patch("/api/v1/users/bob", json={"role": "reviewer", "disabled": True}).json()
    assert (changed["role"], changed["disabled"], changed["must_change_password"]) == ("reviewer", True, True)
    assert client.patch("/api/v1/users/ann", json={"disabled": True}).status_code == 409
    assert client.patch("/api/v1/users/nobody", json={"disabled": True}).status_code == 404
    reset = client.post("/api/v1/users/bob/reset-password").json()
    assert reset["one_time_password"] != added.json()["one_time_password"]
    assert [user["name"] for user in client.get("/api/v1/users").json()["items"]] == ["ann", "bob"]
    issued = client.post("/api/v1/users/bob/tokens", json={"label": "fax server", "scopes": ["upload"], "days": None})
    assert issued.status_code == 201
    assert issued.json()["token"]["expires_at"] is None
    above = client.post("/api/v1/users/bob/tokens", json={"label": "x", "scopes": ["admin"]})
    assert (above.status_code, above.json()["code"]) == (409, "conflict")
    token_id = issued.json()["token"]["token_id"]
    assert client.delete(f"/api/v1/tokens/{token_id}").status_code == 204
    (token,) = client.get("/api/v1/tokens", params={"user": "bob"}).json()["items"]
    assert token["revoked_at"]
    assert "secret" not in token
    assert client.delete(f"/api/v1/tokens/{'0' * 32}").status_code == 404


@pytest.mark.parametrize("name", ["%00", "a%20b", "%F0%9F%92%A9", "x" * 201])
def test_what_can_be_nobodys_name_is_not_even_looked_up(house: House, name: str) -> None:
    """PostgreSQL takes no NUL."""
    house.add("ann", Role.ADMINISTRATOR)
    client = house.visitor().client
    client.headers.update(house.token("ann", Scope.ADMIN))
    assert client.patch(f"/api/v1/users/{name}", json={}).status_code == 422
    assert client.post(f"/api/v1/users/{name}/reset-password").status_code == 422
    assert client.get(f"/api/v1/tokens?user={name}").status_code == 422


# The command line


def test_the_command_line_adds_resets_and_lists(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[data]\nfolder = "data"\nreserve_mb = 0\n')

    def command(*words: str) -> tuple[int, str]:
        answer = run.invoke(user_command, [*words, "--config", str(config)])
        return answer.exit_code, answer.output

    code, said = command("add", "Ann", "--role", "administrator", "--actor", "root")
    assert (code, said.split(";")[0]) == (0, "ann is a administrator")
    code, again = command("reset", "ann", "--actor", "root")
    assert code == 0
    assert again.split()[-1] != said.split()[-1]
    assert command("add", "a b")[0] == 2
    assert command("reset", "a b")[0] == 2
    code, table = command("list")
    assert (code, "one-time password" in table) == (0, True)
    config_data = tmp_path / "data"
    assert config_data.is_dir()


def test_the_command_line_lets_back_in_who_was_disabled(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[data]\nfolder = "data"\nreserve_mb = 0\n')
    run.invoke(user_command, ["add", "ann", "--role", "administrator", "--config", str(config)])
    run.invoke(user_command, ["add", "bob", "--role", "administrator", "--config", str(config)])
    from gateway.config import load

    with Store.open(load(config).data) as store:
        store.accounts.change_user("ann", "bob", disabled=True)
    assert run.invoke(user_command, ["reset", "ann", "--config", str(config)]).exit_code == 0
    with Store.open(load(config).data) as store:
        assert not store.accounts.user("ann").disabled
        assert store.accounts.user("ann").must_change_password


def test_a_token_without_a_scope_is_refused_and_what_was_typed_stays(house: House, admin: Visitor) -> None:
    house.add("bob", Role.REVIEWER)
    page = admin.form("/tokens", "/tokens", {"name": "bob", "label": "fax <server>", "days": "30"})
    assert page.status_code == 422
    assert re.search(r'<option value="bob" +selected>', page.text)
    assert 'value="fax &lt;server&gt;"' in page.text
    assert 'value="30"' in page.text
