"""Single sign-on: the answers of a provider, and of others in its name, that let nobody in."""

import base64
import hmac
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from flask import Flask
from joserfc import jwt
from joserfc.jwk import RSAKey

from dam_connector.adapters import openid
from dam_connector.wiring import Services
from tests.openid_server import CLIENT, KEY, OpenIdServer, callback, sign
from tests.support import TestClock
from tests.web.sign_on_visits import actions, begin, is_logged_in, log_in, roles

OTHER_KEY = RSAKey.generate_key(2048, {"kid": KEY.kid})


@pytest.fixture
def allow_hosts() -> str:
    return "127.0.0.1"


def unsigned(header: dict[str, Any], claims: dict[str, Any]) -> str:
    parts = [{**header, "alg": "none"}, claims]
    coded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*coded, ""])


def by_public_key(header: dict[str, Any], claims: dict[str, Any]) -> str:
    parts = [{**header, "alg": "HS256"}, claims]
    coded = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts)
    digest = hmac.digest(KEY.as_pem(private=False), coded, "sha256")
    return f"{coded.decode()}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


def key_in_header(header: dict[str, Any], claims: dict[str, Any]) -> str:
    return jwt.encode({**header, "jwk": OTHER_KEY.as_dict(private=False)}, claims, OTHER_KEY)


def changed(header: dict[str, Any], claims: dict[str, Any]) -> str:
    good, other = (jwt.encode(header, {**claims, **more}, KEY).split(".") for more in ({}, {"sub": "rita"}))
    return ".".join([good[0], other[1], good[2]])


FORGERIES: dict[str, Callable[[dict[str, Any], dict[str, Any]], str]] = {
    "algorithm none": unsigned,
    "HMAC with the public key": by_public_key,
    "another key under the same id": lambda header, claims: jwt.encode(header, claims, OTHER_KEY),
    "a key of its own in the header": key_in_header,
    "an unknown key id": lambda header, claims: jwt.encode({**header, "kid": "x"}, claims, OTHER_KEY),
    "no key id, another key": lambda _, claims: jwt.encode({"alg": "RS256"}, claims, OTHER_KEY),
    "changed claims": changed,
    "no signature": lambda header, claims: jwt.encode(header, claims, KEY).rpartition(".")[0] + ".",
    "no token": lambda header, claims: "x",
    "much text": lambda header, claims: "x" * 70_000,
    "not ASCII": lambda header, claims: "ü.ü.ü",
    "a broken header": lambda header, claims: jwt.encode(header, claims, KEY).replace("eyJ", "eyK", 1),
}
NOW = int(TestClock().now().timestamp())
CLAIMS: dict[str, dict[str, Any]] = {
    "another nonce": {"nonce": "x"},
    "no nonce": {"nonce": None},
    "another audience": {"aud": "another client"},
    "no audience": {"aud": None},
    "two audiences without a party": {"aud": [CLIENT, "another client"]},
    "another party": {"azp": "another client"},
    "another issuer": {"iss": "https://evil.example.com"},
    "no issuer": {"iss": None},
    "expired": {"exp": NOW - 120},
    "no expiry": {"exp": None},
    "an odd expiry": {"exp": "soon"},
    "from the future": {"iat": NOW + 600},
    "not yet valid": {"nbf": NOW + 600},
    "nobody": {"sub": None},
    "an empty person": {"sub": ""},
    "a number as person": {"sub": 7},
    "a long person": {"sub": "x" * 256},
    "another access token": {"at_hash": "x"},
}


def assert_refused(app: Flask, services: Services, server: OpenIdServer, case: str) -> None:
    client, reply = log_in(app, server)
    assert reply.status_code == 401, f"{case}: {reply.text}"
    assert not is_logged_in(client) and roles(services) == {}, case
    assert actions(services)[0][0] == "login_failed" and actions(services)[0][3], case


def test_a_forged_token_is_refused(
    app: Flask, services: Services, server: OpenIdServer, trust: Callable[..., None]
) -> None:
    for case, server.sign in FORGERIES.items():
        assert_refused(app, services, server, case)
    server.sign = sign
    assert log_in(app, server)[1].status_code == 302


def test_a_token_that_is_not_for_this_login_is_refused(
    app: Flask, services: Services, server: OpenIdServer, trust: Callable[..., None]
) -> None:
    for case, server.claims in CLAIMS.items():
        assert_refused(app, services, server, case)
    server.claims, server.user_info = {}, {"sub": "rita"}
    assert_refused(app, services, server, "claims about another person")
    server.user_info = {}
    assert log_in(app, server)[1].status_code == 302


CHANGED_ANSWERS: dict[str, dict[str, str | None]] = {
    "another state": {"state": "x"},
    "no state": {"state": None},
    "not ASCII": {"state": "ü"},
    "another provider": {"iss": "https://evil.example.com"},
    "no provider": {"iss": None},
    "another code": {"code": "x"},
    "no code": {"code": None},
    "an error": {"error": "access_denied"},
    "an error with markup": {"error": "<script>x"},
}


def test_a_changed_answer_is_refused_and_uses_up_the_login(
    app: Flask, server: OpenIdServer, trust: Callable[..., None]
) -> None:
    for case, change in CHANGED_ANSWERS.items():
        client = app.test_client()
        good = server.approve(begin(client), "ann")
        answer = {name: value for name, value in {**good, **change}.items() if value is not None}
        reply = client.get(callback(answer))
        assert reply.status_code == 401 and "<script>x" not in reply.text, case
        assert client.get(callback(good)).status_code == 401 and not is_logged_in(client), case


def test_an_answer_counts_once_in_its_own_browser_and_for_ten_minutes(
    app: Flask, server: OpenIdServer, trust: Callable[..., None], clock: TestClock
) -> None:
    client, victim, slow = (app.test_client() for _ in range(3))
    answer = server.approve(begin(client), "ann")
    assert victim.get(callback(answer)).status_code == 401  # no login was begun there
    state = dict(parse_qsl(urlsplit(begin(victim)).query))["state"]
    assert "invalid_grant" in victim.get(callback({**answer, "state": state})).text  # its verifier differs
    answer = server.approve(begin(client), "ann")
    assert client.get(callback(answer)).status_code == 302
    assert client.get(callback(answer)).status_code == 401
    late = server.approve(begin(slow), "ann")
    clock.forward(601)
    assert "took too long" in slow.get(callback(late)).text


def test_a_used_code_is_refused_by_the_provider(
    app: Flask, server: OpenIdServer, trust: Callable[..., None]
) -> None:
    client = app.test_client()
    answer = server.approve(begin(client), "ann")
    with client.session_transaction() as session:
        kept = session["sign_on"]
    assert client.get(callback(answer)).status_code == 302
    with client.session_transaction() as session:
        session["sign_on"] = kept  # a copy of the cookie
    assert "invalid_grant" in client.get(callback(answer)).text


def test_a_new_key_of_the_provider_is_found(
    app: Flask, server: OpenIdServer, trust: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert log_in(app, server)[1].status_code == 302
    key = RSAKey.generate_key(2048, {"kid": "new"})
    server.keys += [{"kty": "x"}, {"kty": "oct", "k": "AA", "kid": "new"}, key.as_dict(private=False)]
    server.sign = lambda header, claims: jwt.encode({**header, "kid": "new"}, claims, key)
    assert log_in(app, server)[1].status_code == 401  # the keys were read a moment ago
    monkeypatch.setattr(openid, "PAUSE_S", 0.0)
    assert log_in(app, server)[1].status_code == 302
    assert log_in(app, server)[1].status_code == 302
    assert server.requests.count("/.well-known/openid-configuration") == 1


WRONG_DISCOVERIES: tuple[dict[str, Any], ...] = (
    {"issuer": "https://evil.example.com"},
    {"authorization_endpoint": "javascript:alert(1)"},
    {"authorization_endpoint": None},
    {"token_endpoint": "http://[x"},
    {"jwks_uri": 7},
)
ODD: tuple[Any, ...] = (None, [], 7, "x", {"keys": 7}, {"keys": [[]]}, {"keys": [{"kty": "RSA", "n": 7}]})


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/jwks", "/token", "/me"])
def test_broken_answers_are_no_500_and_let_nobody_in(
    path: str,
    app: Flask,
    services: Services,
    server: OpenIdServer,
    trust: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer, token, me = server.answer, server.token, server.me
    for odd in ODD:
        replaced = {path: odd}
        monkeypatch.setattr(server, "answer", lambda p, r=replaced: r[p] if p in r else answer(p))
        monkeypatch.setattr(
            server, "token", lambda *a, r=replaced: (200, r["/token"]) if "/token" in r else token(*a)
        )
        monkeypatch.setattr(server, "me", lambda a, r=replaced: r["/me"] if "/me" in r else me(a))
        services._adapters.clear()  # with the provider's answers
        client = app.test_client()
        reply = client.get("/login/sign-on")
        if reply.status_code == 302:
            reply = client.get(callback(server.approve(reply.headers["Location"], "ann")))
        assert reply.status_code in (401, 503) and not is_logged_in(client), odd


def test_a_provider_that_fails_is_asked_again_only_after_a_pause(
    app: Flask, services: Services, server: OpenIdServer, trust: Callable[..., None]
) -> None:
    for count, server.status in enumerate([302, 404, 500, 503, 429], 1):
        services._adapters.clear()
        for _ in range(3):
            assert app.test_client().get("/login/sign-on").status_code == 503
        assert len(server.requests) == count


def test_a_wrong_discovery_is_refused(
    app: Flask, services: Services, server: OpenIdServer, trust: Callable[..., None]
) -> None:
    for server.discovery in WRONG_DISCOVERIES:
        services._adapters.clear()
        assert app.test_client().get("/login/sign-on").status_code == 503, server.discovery
    services._adapters.clear()
    server.discovery = {"token_endpoint": "http://10.0.0.1/token"}  # in our network
    assert log_in(app, server)[1].status_code == 503


def test_few_logins_wait_for_a_provider_at_once(
    app: Flask, services: Services, server: OpenIdServer, trust: Callable[..., None]
) -> None:
    provider = services.sign_on()
    held = [provider._slot() for _ in range(openid.MAX_LOGINS)]
    for each in held:
        each.__enter__()
    assert app.test_client().get("/login/sign-on").status_code == 503 and server.requests == []
    for each in held:
        each.__exit__(None, None, None)
    assert app.test_client().get("/login/sign-on").status_code == 302
