"""Signing in by the hospital's provider: the whole way there and back, and everything that must not let anybody in."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.config import OidcSection
from gateway.errors import ConfigError
from gateway.role import Role
from gateway.web.security.oidc import Provider as OurProvider
from gateway.web.security.oidc import found, role_of
from tests.gateway.web.security.provider import CLIENT_ID, CLIENT_SECRET, Misbehaviour, Provider
from tests.gateway.web.security.visitor import House, Visitor

PUBLIC = "https://ecg.example"


@pytest.fixture(scope="module")
def one_provider() -> Iterator[Provider]:
    provider = Provider()
    yield provider
    provider.stop()


@pytest.fixture
def provider(one_provider: Provider) -> Provider:
    """A provider that behaves and knows a viewer called eve."""
    one_provider.wrong = Misbehaviour()
    one_provider.person = {"sub": "42", "preferred_username": "eve", "roles": ["ecg-viewer"]}
    return one_provider


def settings(provider: Provider, folder: Path, **more: Any) -> dict[str, Any]:
    secret = folder / "oidc.secret"
    secret.write_text(f"{CLIENT_SECRET}\n")
    return {
        "issuer": provider.issuer,
        "client_id": CLIENT_ID,
        "client_secret_file": secret,
        "public_url": PUBLIC,
        "viewer": ("ecg-viewer",),
        "reviewer": ("ecg-technician",),
        "administrator": ("ecg-admin",),
        **more,
    }


@pytest.fixture
def house(open_house: Callable[..., House], provider: Provider, tmp_path: Path) -> House:
    return open_house(behind_proxy=True, oidc=settings(provider, tmp_path))


@pytest.fixture
def visitor(house: House) -> Visitor:
    return house.visitor(PUBLIC)


def sign_in(visitor: Visitor, provider: Provider, next_path: str = "/") -> Any:
    """The whole way: our page, the provider, and back."""
    there = visitor.get("/login/oidc?next=" + next_path)
    assert there.status_code == 303, there.text
    back = provider.visit(there.headers["location"])
    assert back.startswith(f"{PUBLIC}/login/oidc/callback?")
    return visitor.get(back.removeprefix(PUBLIC))


def is_out(visitor: Visitor) -> bool:
    return bool(visitor.get("/account").status_code == 303)


def test_the_provider_signs_in_who_has_a_role(house: House, visitor: Visitor, provider: Provider) -> None:
    assert "Hospital sign-in" in visitor.get("/login").text
    answer = sign_in(visitor, provider, "/account")
    assert (answer.status_code, answer.headers["location"]) == (303, "/account")
    assert "viewer" in visitor.get("/account").text
    assert visitor.get("/users").status_code == 403
    assert house.kinds() == ["user_added", "signed_in"]
    assert house.audit()[-1]["actor"] == "eve"


def test_the_provider_says_the_role_at_every_sign_in(house: House, visitor: Visitor, provider: Provider) -> None:
    sign_in(visitor, provider)
    provider.person["roles"] = ["ecg-viewer", "ecg-admin", "something else"]
    sign_in(visitor, provider)
    assert visitor.get("/users").status_code == 200
    assert [user.name for user in house.store.accounts.users()] == ["eve"]
    provider.person["roles"] = []
    assert sign_in(house.visitor(PUBLIC), provider).status_code == 403


def test_the_person_is_known_by_the_subject_not_by_the_name(house: House, provider: Provider) -> None:
    sign_in(house.visitor(PUBLIC), provider)
    provider.person["preferred_username"] = "eve.smith"
    sign_in(house.visitor(PUBLIC), provider)
    assert [user.name for user in house.store.accounts.users()] == ["eve"]
    provider.person |= {"sub": "43", "preferred_username": "eve"}
    other = sign_in(house.visitor(PUBLIC), provider)
    assert (other.status_code, "is taken" in other.text) == (403, True)


def test_a_local_account_is_not_taken_over(house: House, visitor: Visitor, provider: Provider) -> None:
    house.add("eve", Role.ADMINISTRATOR)
    assert sign_in(visitor, provider).status_code == 403
    assert is_out(visitor)
    assert house.kinds()[-1] == "sign_in_failed"


def test_who_is_disabled_here_stays_out(house: House, visitor: Visitor, provider: Provider) -> None:
    house.add("ann", Role.ADMINISTRATOR)
    sign_in(visitor, provider)
    house.store.accounts.change_user("eve", "ann", disabled=True)
    answer = sign_in(visitor, provider)
    assert (answer.status_code, "disabled" in answer.text) == (403, True)
    assert is_out(visitor)


def test_claims_that_the_id_token_lacks_come_from_the_user_information(
    house: House, visitor: Visitor, provider: Provider
) -> None:
    provider.person = {"sub": "42"}
    provider.wrong.user_info = {"sub": "42", "preferred_username": "eve", "roles": "ecg-technician"}
    assert sign_in(visitor, provider).headers["location"] == "/"
    assert house.store.accounts.user("eve").role is Role.REVIEWER
    provider.wrong.user_info = {"sub": "43", "preferred_username": "mallory", "roles": "ecg-admin"}
    assert sign_in(house.visitor(PUBLIC), provider).status_code == 502


@pytest.mark.parametrize(
    "wrong",
    [
        Misbehaviour(foreign_key=True),
        Misbehaviour(algorithm="none"),
        Misbehaviour(algorithm="HS256"),
        Misbehaviour(no_token=True),
        Misbehaviour(hangs_up=True),
        Misbehaviour(claims={"iss": "https://evil.example"}),
        Misbehaviour(claims={"iss": None}),
        Misbehaviour(claims={"aud": "another client"}),
        Misbehaviour(claims={"aud": ["cardioscan", "x"], "azp": "x"}),
        Misbehaviour(claims={"nonce": "replayed"}),
        Misbehaviour(claims={"nonce": None}),
        Misbehaviour(claims={"exp": 1_700_000_000}),  # long past; the test's name must not change with the clock
        Misbehaviour(claims={"exp": None}),
        Misbehaviour(claims={"sub": None}),
        Misbehaviour(claims={"sub": 42}),
    ],
    ids=str,
)
def test_an_id_token_that_does_not_hold_lets_nobody_in(
    house: House, visitor: Visitor, provider: Provider, wrong: Misbehaviour, caplog: pytest.LogCaptureFixture
) -> None:
    provider.wrong = wrong
    with caplog.at_level(logging.ERROR):
        answer = sign_in(visitor, provider)
    assert answer.status_code == 502
    assert is_out(visitor)
    assert house.store.accounts.users() == ()
    assert house.kinds() == ["sign_in_failed"]
    assert "ProviderFault" in caplog.text
    assert not re.search(r"\beve\b|\bcode0\b", caplog.text)


def test_a_discovery_document_of_another_issuer_is_not_believed(visitor: Visitor, provider: Provider) -> None:
    provider.wrong.issuer = "https://evil.example"
    answer = visitor.get("/login/oidc")
    assert (answer.status_code, "another issuer" in answer.text) == (502, True)


@pytest.mark.parametrize("person", [{"roles": []}, {"roles": None}, {"roles": ["x"]}, {"preferred_username": "a b"}])
def test_who_has_no_role_or_no_lawful_name_stays_out(
    house: House, visitor: Visitor, provider: Provider, person: dict[str, Any]
) -> None:
    provider.person |= person
    provider.person = {claim: value for claim, value in provider.person.items() if value is not None}
    provider.wrong.user_info = {"sub": "42"}
    assert sign_in(visitor, provider).status_code == 403
    assert is_out(visitor)
    assert house.store.accounts.users() == ()


def test_a_way_back_that_did_not_begin_here_leads_nowhere(house: House, visitor: Visitor, provider: Provider) -> None:
    """Or somebody could have another's browser signed in as themselves."""
    location = visitor.get("/login/oidc").headers["location"]
    back = provider.visit(location).removeprefix(PUBLIC)
    stranger = house.visitor(PUBLIC)
    assert stranger.get(back).status_code == 403
    assert visitor.get(back.replace("state=", "state=x")).status_code == 403
    assert visitor.get(back).status_code == 403  # the journey ended with the wrong state
    assert visitor.get("/login/oidc/callback?error=access_denied").status_code == 403
    assert is_out(visitor)


def test_the_journeys_cookie_cannot_be_written_by_anybody_else(
    house: House, visitor: Visitor, provider: Provider
) -> None:
    visitor.get("/login/oidc")
    name = "__Host-cardioscan_oidc"
    value = visitor.client.cookies[name]
    visitor.client.cookies.clear()
    visitor.client.cookies.set(name, value[:-1] + ("A" if value[-1] != "A" else "B"))
    assert visitor.get("/login/oidc/callback?code=x&state=y").status_code == 403


def test_where_no_provider_is_configured_there_is_no_such_sign_in(open_house: Callable[..., House]) -> None:
    visitor = open_house().visitor()
    assert visitor.get("/login/oidc").status_code == 404
    assert visitor.get("/login/oidc/callback").status_code == 404
    assert "/login/oidc" not in visitor.get("/login").text


def test_a_provider_that_is_down_is_told_and_local_users_still_get_in(
    open_house: Callable[..., House], provider: Provider, tmp_path: Path
) -> None:
    house = open_house(oidc=settings(provider, tmp_path, issuer="http://127.0.0.1:9/realms/main"))
    house.add("ann", Role.VIEWER)
    visitor = house.visitor()
    answer = visitor.get("/login/oidc")
    assert (answer.status_code, "could not be asked" in answer.text) == (502, True)
    assert visitor.sign_in("ann").status_code == 303


def test_a_secret_or_authority_that_cannot_be_read_is_told_at_the_start(provider: Provider, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="client_secret_file"):
        OurProvider(OidcSection(**settings(provider, tmp_path, client_secret_file=tmp_path / "none")))
    with pytest.raises(ConfigError, match="ca_file"):
        OurProvider(OidcSection(**settings(provider, tmp_path, ca_file=tmp_path / "none")))


@pytest.mark.parametrize(
    ("claim", "role"),
    [
        ("ecg-viewer", Role.VIEWER),
        (["x", "ecg-technician", "ecg-viewer"], Role.REVIEWER),
        (["ecg-admin"], Role.ADMINISTRATOR),
        ("ecg-admin2", None),
        ([{"x": 1}, 7, None], None),
        ({"ecg-admin": True}, None),
        (None, None),
        (True, None),
    ],
)
def test_only_a_value_that_is_named_makes_a_role(provider: Provider, tmp_path: Path, claim: Any, role: Role) -> None:
    assert role_of(claim, OidcSection(**settings(provider, tmp_path))) is role


def test_a_claim_is_found_by_its_path() -> None:
    claims = {"realm_access": {"roles": ["a"]}, "https://example.org/roles": ["b"], "flat": "c"}
    assert found(claims, "realm_access.roles") == ["a"]
    assert found(claims, "https://example.org/roles") == ["b"]
    assert found(claims, "flat.roles") is None
    assert found(claims, "none.roles") is None
