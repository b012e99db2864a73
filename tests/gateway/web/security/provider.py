"""A small OpenID provider on loopback that checks what a client must send, and can be told to misbehave."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT_ID, CLIENT_SECRET = "cardioscan", "a client's secret"


@dataclass
class Misbehaviour:
    """What the provider does otherwise than it should; claims replaces claims of the ID token, None drops one."""

    claims: dict[str, Any] = field(default_factory=dict)
    foreign_key: bool = False
    algorithm: str = "RS256"
    issuer: str = ""  # in the discovery document
    no_token: bool = False
    hangs_up: bool = False  # in the middle of the token's answer
    user_info: dict[str, Any] | None = None


class Provider:
    """Signs anybody in as the person it is told, once the browser has been there."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "1", "use": "sig", "alg": "RS256"})
        self.person: dict[str, Any] = {"sub": "42", "preferred_username": "eve", "roles": ["ecg-viewer"]}
        self.wrong = Misbehaviour()
        self.asked: dict[str, dict[str, str]] = {}  # code -> what the browser came with
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.issuer = f"http://127.0.0.1:{self.server.server_port}/realms/main"
        self._thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the server."""
        self.server.shutdown()
        self.server.server_close()
        self._thread.join(10)

    def visit(self, address: str) -> str:
        """A browser follows our redirect and signs in there. Returns where it is sent back to."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        assert address.startswith(f"{self.issuer}/authorize?")
        assert query["response_type"] == "code"
        assert query["client_id"] == CLIENT_ID
        assert "openid" in query["scope"].split()
        assert query["code_challenge_method"] == "S256"
        code = f"code{len(self.asked)}"
        self.asked[code] = query
        return f"{query['redirect_uri']}?code={code}&state={query['state']}"

    def token(self, form: dict[str, str], authorization: str) -> dict[str, Any] | None:
        """The token endpoint: None where the client has not shown all that it must."""
        query = self.asked.pop(form.get("code", ""), None)
        basic = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if (
            query is None
            or self.wrong.no_token
            or authorization != f"Basic {basic}"
            or form.get("redirect_uri") != query["redirect_uri"]
            or challenge.decode().rstrip("=") != query["code_challenge"]
        ):
            return None
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT_ID, "exp": now + 300, "iat": now, "nonce": query["nonce"]}
        claims = {**claims, **self.person, **self.wrong.claims}
        claims = {name: value for name, value in claims.items() if value is not None}
        return {"access_token": "access", "token_type": "Bearer", "expires_in": 300, "id_token": self._signed(claims)}

    def _signed(self, claims: dict[str, Any]) -> str:
        header = {"alg": self.wrong.algorithm, "kid": "1"}
        unsigned = f"{_part(json.dumps(header).encode())}.{_part(json.dumps(claims).encode())}"
        if self.wrong.algorithm == "none":
            return f"{unsigned}."
        if self.wrong.algorithm == "HS256":  # signed with what everybody can read: the public key
            known = self.key.as_pem(private=False)
            return f"{unsigned}.{_part(hmac.digest(known, unsigned.encode(), 'sha256'))}"
        key = RSAKey.generate_key(2048, {"kid": "1"}) if self.wrong.foreign_key else self.key
        return jwt.encode(header, claims, key)

    def answer(self, path: str) -> dict[str, Any] | None:
        """What is asked for by GET."""
        match path:
            case "/realms/main/.well-known/openid-configuration":
                return {
                    "issuer": self.wrong.issuer or self.issuer,
                    "authorization_endpoint": f"{self.issuer}/authorize",
                    "token_endpoint": f"{self.issuer}/token",
                    "jwks_uri": f"{self.issuer}/keys",
                    "userinfo_endpoint": f"{self.issuer}/userinfo",
                }
            case "/realms/main/keys":
                return {"keys": [self.key.as_dict(private=False)]}
            case "/realms/main/userinfo":
                return self.wrong.user_info
        return None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._send(provider.answer(self.path))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                form = {name: values[0] for name, values in parse_qs(body).items()}
                self._send(provider.token(form, self.headers.get("authorization", "")))

            def _send(self, told: dict[str, Any] | None) -> None:
                if provider.wrong.hangs_up and self.command == "POST":
                    self.close_connection = True
                    return
                body = json.dumps(told or {"error": "invalid_grant"}).encode()
                self.send_response(200 if told is not None else 400)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        return Handler


def _part(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")
