"""An OpenID provider on loopback that answers as npm's oidc-provider did (tests/data/openid_provider.json).

`tests/live/test_sign_on.py` compares the recording with the real one.
"""

import base64
import hashlib
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote_plus, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.support import ROOT, TestClock

RECORDED: dict[str, Any] = json.loads((ROOT / "tests/data/openid_provider.json").read_text())
CLIENT, SECRET = "dam connector", "a secret: with % + & and spaces"
PEOPLE: dict[str, dict[str, Any]] = {
    "ann": {"preferred_username": "ann@example.com", "groups": ["dam-admins", "all"]},
    "rita": {"preferred_username": "rita@example.com", "groups": ["dam-reviewers"]},
    "eve": {"preferred_username": "eve@example.com", "groups": ["all"]},
}
KEY = RSAKey.generate_key(2048, {"kid": RECORDED["id_token_header"]["kid"], "use": "sig", "alg": "RS256"})


def sign(header: dict[str, Any], claims: dict[str, Any]) -> str:
    return jwt.encode(header, claims, KEY)


class OpenIdServer:
    """The provider; tests change its people, its claims, and how it signs."""

    def __init__(self, clock: TestClock) -> None:
        self.clock = clock
        self.people = {name: dict(claims) for name, claims in PEOPLE.items()}
        self.discovery: dict[str, Any] = {}  # replaces entries; None removes one
        self.claims: dict[str, Any] = {}  # the same, of ID tokens
        self.user_info: dict[str, Any] = {}  # replaces entries
        self.sign: Callable[[dict[str, Any], dict[str, Any]], str] = sign
        self.keys: list[dict[str, Any]] = [dict(KEY.as_dict(private=False))]
        self.requests: list[str] = []  # paths
        self.status = 200  # of every answer but the redirect
        self._codes: dict[str, dict[str, str]] = {}
        handler = type("Handler", (_Handler,), {"provider": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def approve(self, location: str, person: str) -> dict[str, str]:
        """Return the parameters that a person comes back with, who logged in at the address."""
        asked = dict(parse_qsl(urlsplit(location).query))
        assert asked["response_type"] == "code" and asked["client_id"] == CLIENT
        assert asked["code_challenge_method"] == "S256" and "openid" in asked["scope"].split()
        code = f"code-{len(self._codes)}"
        self._codes[code] = {**asked, "person": person}
        return {"code": code, "state": asked["state"], "iss": self.url}

    def answer(self, path: str) -> Any:
        if path == "/jwks":
            return {"keys": self.keys}
        found = {**json.loads(json.dumps(RECORDED["discovery"]).replace("BASE", self.url)), **self.discovery}
        return {name: value for name, value in found.items() if value is not None}

    def token(self, authorization: str, form: dict[str, str]) -> tuple[int, Any]:
        """Return the answer to the exchange of a code."""
        given = base64.b64decode(authorization.removeprefix("Basic ")).decode().split(":")
        if [unquote_plus(part) for part in given] != [CLIENT, SECRET]:
            return RECORDED["wrong_secret"]["status"], RECORDED["wrong_secret"]["body"]
        asked = self._codes.pop(form["code"], None)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if (
            asked is None
            or asked["code_challenge"] != challenge
            or asked["redirect_uri"] != form["redirect_uri"]
            or form["grant_type"] != "authorization_code"
        ):
            return RECORDED["used_code"]["status"], RECORDED["used_code"]["body"]
        now = int(self.clock.now().timestamp())
        claims = {
            **RECORDED["id_token_claims"],
            "sub": asked["person"],
            "nonce": asked["nonce"],
            "iss": self.url,
            "iat": now,
            "exp": now + 3600,
            **self.claims,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        token = self.sign(dict(RECORDED["id_token_header"]), claims)
        return 200, {**RECORDED["token"], "id_token": token, "access_token": f"token-of-{asked['person']}"}

    def me(self, authorization: str) -> Any:
        person = authorization.removeprefix("Bearer token-of-")
        return {"sub": person, **self.people[person], **self.user_info}


class _Handler(BaseHTTPRequestHandler):
    provider: OpenIdServer

    def do_GET(self) -> None:
        self.provider.requests.append(self.path)
        if self.path == "/me":
            self._send(200, self.provider.me(self.headers["Authorization"]))
        else:
            self._send(200, self.provider.answer(self.path))

    def do_POST(self) -> None:
        self.provider.requests.append(self.path)
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        self._send(*self.provider.token(self.headers["Authorization"], form))

    def _send(self, status: int, answer: Any) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status if self.provider.status == 200 else self.provider.status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        return


def callback(parameters: dict[str, str]) -> str:
    """Return the path that the person comes back to."""
    return f"/login/sign-on/callback?{urlencode(parameters)}"
