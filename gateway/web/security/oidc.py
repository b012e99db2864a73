"""Signing in by the hospital's OpenID Connect provider: code flow with PKCE, as OpenID Connect Core 3.1 says."""

from __future__ import annotations

import hashlib
import secrets
import ssl
import threading
import time
from dataclasses import dataclass
from typing import Any, cast

import httpx2
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import OAuth2Client
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, KeySetSerialization

from gateway.config import OidcSection
from gateway.errors import ConfigError
from gateway.role import Role

CALLBACK_PATH = "/login/oidc/callback"
TIMEOUT_S = 10.0
DISCOVERY_KEPT_S = 600.0  # the provider's addresses seldom change; its keys are asked for at every sign-in
LEEWAY_S = 60  # hospital clocks differ
SECRET_FILE_MAX_BYTES = 10_000
# Signatures by a key pair only: with "none" or a shared secret anybody could write a token.
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"]


class ProviderFault(Exception):
    """The provider did not do its part, or what it said is not to be believed. The message holds no claim's value."""


class NotForUs(Exception):
    """The provider knows this person, but nothing it says gives them a role or a name here."""


@dataclass(frozen=True)
class Journey:
    """What a browser keeps while it is at the provider's."""

    state: str
    nonce: str
    verifier: str
    next: str

    @classmethod
    def begin(cls, next_path: str) -> Journey:
        """One that nobody can guess."""
        return cls(secrets.token_urlsafe(24), secrets.token_urlsafe(24), secrets.token_urlsafe(48), next_path)


@dataclass(frozen=True)
class Person:
    """Whom the provider says it is. subject: a hash of issuer and subject, the one thing that never changes."""

    subject: str
    name: str
    role: Role


class Provider:
    """One OpenID provider. Threads may share it."""

    def __init__(self, settings: OidcSection) -> None:
        """Raises ConfigError: the secret's or the authority's file cannot be read."""
        self.settings = settings
        self._secret = _secret(settings)
        self._tls = _tls(settings)
        self._lock = threading.Lock()
        self._discovered: tuple[float, dict[str, Any]] | None = None

    def address(self, journey: Journey) -> str:
        """Where to send the browser. Raises ProviderFault."""
        endpoint = self._endpoint("authorization_endpoint")
        with self._client() as client:
            url, _ = client.create_authorization_url(
                endpoint, state=journey.state, code_verifier=journey.verifier, nonce=journey.nonce
            )
        return str(url)

    def person(self, journey: Journey, code: str) -> Person:
        """Who came back with this code. Raises ProviderFault, NotForUs."""
        with self._client() as client:
            try:
                tokens = client.fetch_token(self._endpoint("token_endpoint"), code=code, code_verifier=journey.verifier)
            except (AuthlibBaseError, httpx2.HTTPError, ValueError) as error:
                raise ProviderFault("the provider gave no token for this sign-in") from error
            claims = self._id_token(tokens.get("id_token"), journey.nonce)
            wanted = (self.settings.name_claim, self.settings.role_claim)
            if any(found(claims, claim) is None for claim in wanted):
                claims = {**self._user_info(client, claims["sub"]), **claims}
        return self._person(claims)

    def _person(self, claims: dict[str, Any]) -> Person:
        name = found(claims, self.settings.name_claim)
        if not isinstance(name, str) or not name:
            raise NotForUs(f"the hospital's sign-in gives no {self.settings.name_claim}; ask your administrator")
        role = role_of(found(claims, self.settings.role_claim), self.settings)
        if role is None:
            raise NotForUs("the hospital's sign-in gives you no role here; ask your administrator")
        subject = hashlib.sha256(f"{self.settings.issuer}\n{claims['sub']}".encode()).hexdigest()
        return Person(subject, name, role)

    def _id_token(self, token: object, nonce: str) -> dict[str, Any]:
        """The claims of an ID token that holds against everything OpenID Connect Core 3.1.3.7 asks."""
        if not isinstance(token, str):
            raise ProviderFault("the provider gave no ID token")
        keys = self._json(self._endpoint("jwks_uri"))
        rules = jwt.JWTClaimsRegistry(
            leeway=LEEWAY_S,
            iss={"essential": True, "value": self.settings.issuer},
            aud={"essential": True, "value": self.settings.client_id},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        try:
            key_set = KeySet.import_key_set(cast(KeySetSerialization, keys))
            claims = jwt.decode(token, key_set, algorithms=ALGORITHMS).claims
            rules.validate(claims)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise ProviderFault("the provider's ID token does not hold") from error
        if not isinstance(claims["sub"], str) or not claims["sub"]:
            raise ProviderFault("the provider's ID token names nobody")
        if claims.get("azp", self.settings.client_id) != self.settings.client_id:
            raise ProviderFault("the provider's ID token was made for another client")
        return dict(claims)

    def _user_info(self, client: OAuth2Client, subject: str) -> dict[str, Any]:
        """What the provider tells beside the ID token; {} where it tells nothing."""
        endpoint = self._discovery().get("userinfo_endpoint")
        if not isinstance(endpoint, str):
            return {}
        try:
            claims = client.get(endpoint).raise_for_status().json()
        except (AuthlibBaseError, httpx2.HTTPError, ValueError) as error:
            raise ProviderFault("the provider's user information could not be read") from error
        if not isinstance(claims, dict) or claims.get("sub") != subject:  # OpenID Connect Core 5.3.2
            raise ProviderFault("the provider's user information is about somebody else")
        return claims

    def _endpoint(self, key: str) -> str:
        endpoint = self._discovery().get(key)
        if not isinstance(endpoint, str):
            raise ProviderFault(f"the provider's discovery document has no {key}")
        return endpoint

    def _discovery(self) -> dict[str, Any]:
        with self._lock:
            if self._discovered and time.monotonic() - self._discovered[0] < DISCOVERY_KEPT_S:
                return self._discovered[1]
            document = self._json(self.settings.issuer.rstrip("/") + "/.well-known/openid-configuration")
            if document.get("issuer") != self.settings.issuer:
                raise ProviderFault("the provider's discovery document names another issuer than web.oidc.issuer")
            self._discovered = (time.monotonic(), document)
            return document

    def _json(self, url: str) -> dict[str, Any]:
        try:
            document = httpx2.get(url, timeout=TIMEOUT_S, verify=self._tls).raise_for_status().json()
        except (httpx2.HTTPError, ValueError) as error:
            raise ProviderFault("the provider could not be asked") from error
        if not isinstance(document, dict):
            raise ProviderFault("the provider answered with something else than a table")
        return document

    def _client(self) -> OAuth2Client:
        return OAuth2Client(
            client_id=self.settings.client_id,
            client_secret=self._secret or None,
            token_endpoint_auth_method="client_secret_basic" if self._secret else "none",
            scope=" ".join(self.settings.scopes),
            redirect_uri=self.settings.public_url + CALLBACK_PATH,
            code_challenge_method="S256",
            timeout=TIMEOUT_S,
            verify=self._tls,
        )


def found(claims: dict[str, Any], path: str) -> Any:
    """The claim at a path with dots, None where it is not; a name that itself has dots wins."""
    if path in claims:
        return claims[path]
    here: Any = claims
    for step in path.split("."):
        here = here.get(step) if isinstance(here, dict) else None
    return here


def role_of(claim: Any, settings: OidcSection) -> Role | None:
    """The highest role that a claim's values make, None where they make none."""
    values = {claim} if isinstance(claim, str) else set(filter(_is_text, claim)) if isinstance(claim, list) else set()
    for role, making in (
        (Role.ADMINISTRATOR, settings.administrator),
        (Role.REVIEWER, settings.reviewer),
        (Role.VIEWER, settings.viewer),
    ):
        if values.intersection(making):
            return role
    return None


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _secret(settings: OidcSection) -> str:
    if settings.client_secret_file is None:
        return ""
    try:
        with settings.client_secret_file.open("rb") as file:
            return file.read(SECRET_FILE_MAX_BYTES).decode("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"web.oidc.client_secret_file: {settings.client_secret_file} cannot be read") from error


def _tls(settings: OidcSection) -> ssl.SSLContext | bool:
    if settings.ca_file is None:
        return True
    try:
        return ssl.create_default_context(cafile=str(settings.ca_file))
    except OSError as error:  # SSLError is one
        raise ConfigError(f"web.oidc.ca_file: {settings.ca_file} is no readable PEM: {error.strerror}") from error
