"""Single sign-on: who gets in, with which role and name, and which sections of plugin.json are refused."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from flask import Flask

from dam_connector.domain.roles import UserRole
from dam_connector.errors import ConfigError
from dam_connector.store.users import Users
from dam_connector.wiring import Services
from schemas.rules_loader import load_rules
from tests.openid_server import OpenIdServer, callback
from tests.support import TestClock, rules_json
from tests.web.sign_on_visits import ROLES, actions, begin, is_logged_in, log_in, roles


@pytest.fixture
def allow_hosts() -> str:
    return "127.0.0.1"


def test_a_person_logs_in_with_the_role_of_the_claims(
    app: Flask, services: Services, server: OpenIdServer, trust: Callable[..., None]
) -> None:
    client = app.test_client()
    assert "Log in with single sign-on" in client.get("/login").text
    location = begin(client, "/products?state=flagged")
    asked = dict(parse_qsl(urlsplit(location).query))
    assert location.startswith(f"{server.url}/auth?")
    assert asked["redirect_uri"] == f"{services.settings.base_url}/login/sign-on/callback"
    reply = client.get(callback(server.approve(location, "ann")))
    assert (reply.status_code, reply.headers["Location"]) == (302, "/products?state=flagged")
    assert roles(services) == {"ann@example.com": "admin"} and client.get("/audit").status_code == 200
    assert actions(services) == [
        ("login", "ann@example.com", "ann@example.com", "single sign-on"),
        ("user_added", "single sign-on", "ann@example.com", "role admin"),
    ]
    client.post("/logout", data={"csrf_token": client.get("/account").text.split('value="')[1].split('"')[0]})
    assert not is_logged_in(client)


def test_a_changed_claim_changes_the_role_and_a_removed_one_ends_it(
    app: Flask, services: Services, server: OpenIdServer, trust: Callable[..., None]
) -> None:
    older, _ = log_in(app, server)
    token = services.users.add_token(services.users.all()[0], "script")
    server.people["ann"]["groups"] = ["dam-reviewers"]
    log_in(app, server)
    assert roles(services) == {"ann@example.com": "reviewer"} and older.get("/audit").status_code == 403
    server.people["ann"]["groups"] = ["all"]
    client, reply = log_in(app, server)
    assert reply.status_code == 401 and "no role here" in reply.text
    assert not is_logged_in(client) and not is_logged_in(older)
    assert roles(services) == {} and services.users.by_token(token) is None
    assert [a[:3] for a in actions(services)][:3] == [
        ("login_failed", "", "single sign-on"),
        ("user_removed", "single sign-on", "ann@example.com"),
        ("login", "ann@example.com", "ann@example.com"),
    ]
    server.people["ann"]["groups"] = ["dam-admins"]
    assert is_logged_in(log_in(app, server)[0]) and roles(services) == {"ann@example.com": "admin"}


def test_tokens_of_a_person_who_no_longer_logs_in_end(
    app: Flask, services: Services, server: OpenIdServer, trust: Callable[..., None], clock: TestClock
) -> None:
    log_in(app, server)
    own = services.users.add("robot", UserRole.REVIEWER)
    (ann,) = [user for user in services.users.all() if user.name != "robot"]
    tokens = {user.name: services.users.add_token(user, "script", days=90) for user in (ann, own)}
    listed = {token.user_name: token.expires_at for token in services.users.tokens()}
    assert listed[ann.name] == clock.now() + timedelta(days=30)
    assert listed["robot"] == clock.now() + timedelta(days=90)

    def working() -> set[str]:
        found = {name for name, token in tokens.items() if services.users.by_token(token)}
        assert found == {token.user_name for token in services.users.tokens()}
        return found

    clock.forward(29 * 86_400)
    assert working() == {ann.name, "robot"}
    clock.forward(86_400)
    assert working() == {"robot"}
    assert (
        app.test_client()
        .get("/api/v1/account", headers={"Authorization": f"Bearer {tokens[ann.name]}"})
        .status_code
        == 401
    )
    log_in(app, server)
    assert working() == {ann.name, "robot"}
    forever = Users(services.db, clock)
    clock.forward(40 * 86_400)
    assert working() == {"robot"} and forever.by_token(tokens[ann.name]) is not None
    assert services.users.deactivate(ann.name) and forever.by_token(tokens[ann.name]) is None


def test_a_person_without_a_role_gets_no_account(
    app: Flask, services: Services, server: OpenIdServer, trust: Callable[..., None]
) -> None:
    assert log_in(app, server, "eve")[1].status_code == 401 and roles(services) == {}


@pytest.mark.parametrize("name", ["ann@example.com", "ANN@example.com"])
def test_a_name_that_another_user_has_is_refused(
    name: str, app: Flask, services: Services, server: OpenIdServer, trust: Callable[..., None]
) -> None:
    services.users.add(name, UserRole.VIEWER)
    client, reply = log_in(app, server)
    assert reply.status_code == 401 and "there is another user" in reply.text and not is_logged_in(client)
    assert roles(services) == {name: "viewer"}


def test_unusable_names_are_refused(
    app: Flask, services: Services, server: OpenIdServer, trust: Callable[..., None]
) -> None:
    for name in ("", " ", "x" * 81, "a\nb", "a\u202eb", "Command line (root)", 7, None, ["x"]):
        server.people["ann"]["preferred_username"] = name
        assert log_in(app, server)[1].status_code == 401 and roles(services) == {}, name


def test_a_person_keeps_the_name_and_another_person_does_not_get_it(
    app: Flask, services: Services, server: OpenIdServer, trust: Callable[..., None]
) -> None:
    log_in(app, server)
    server.people["ann"]["preferred_username"] = "ann.smith@example.com"
    server.people["rita"]["preferred_username"] = "ann@example.com"
    assert is_logged_in(log_in(app, server)[0])
    assert log_in(app, server, "rita")[1].status_code == 401
    assert roles(services) == {"ann@example.com": "admin"}


def test_a_deactivated_user_stays_out(
    app: Flask, services: Services, server: OpenIdServer, trust: Callable[..., None]
) -> None:
    client, _ = log_in(app, server)
    services.users.deactivate("ann@example.com")
    again, reply = log_in(app, server)
    assert "deactivated" in reply.text and not is_logged_in(again) and not is_logged_in(client)
    server.people["ann"]["groups"] = []
    log_in(app, server)
    assert services.users.inactive_names() == ["ann@example.com"]


def test_passwords_are_switched_off_and_one_time_links_remain(
    app: Flask, services: Services, trust: Callable[..., None]
) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    user, form = services.users.add("bob", UserRole.ADMIN), {"name": "bob", "password": "x"}
    assert app.test_client().post("/login", data=form).status_code == 401
    trust(passwords=False)
    client = app.test_client()
    assert 'name="password"' not in client.get("/login").text
    assert client.post("/login", data=form).status_code == 403 and not is_logged_in(client)
    assert client.post(f"/login/link/{services.users.add_login_link(user)}").status_code == 302
    assert is_logged_in(client)


def test_without_the_section_there_is_no_single_sign_on(app: Flask) -> None:
    client = app.test_client()
    assert client.get("/login/sign-on").status_code == 404 == client.get(callback({})).status_code
    assert "sign-on" not in client.get("/login").text


def test_an_email_grants_a_role_only_when_it_is_verified(
    app: Flask, services: Services, server: OpenIdServer, trust: Callable[..., None]
) -> None:
    trust(roles={"admin": {"email": ["ann@example.com"]}}, name_claim="email")
    for verified in (None, False, "true"):
        server.people["ann"] = {"email": "ann@example.com", "email_verified": verified}
        assert log_in(app, server)[1].status_code == 401
    server.people["ann"]["email_verified"] = True
    assert log_in(app, server)[1].status_code == 302
    assert roles(services) == {"ann@example.com": "admin"}


def test_claims_may_be_nested_or_have_dots_in_their_names(
    app: Flask, services: Services, server: OpenIdServer, trust: Callable[..., None]
) -> None:
    trust(roles={"viewer": {"realm_access.roles": ["dam"]}, "admin": {"https://x.example/roles": ["dam"]}})
    server.claims = {"preferred_username": "ann", "realm_access": {"roles": ["dam"]}}
    assert log_in(app, server)[1].status_code == 302 and roles(services) == {"ann": "viewer"}
    server.claims["https://x.example/roles"] = "dam"
    assert log_in(app, server)[1].status_code == 302 and roles(services) == {"ann": "admin"}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"issuer": "http://id.example.com"}, "/sign_on/issuer: must begin with https"),
        ({"issuer": "https://id.example.com?x=1"}, "/sign_on/issuer: write the address"),
        ({"issuer": "https://login.microsoftonline.com/common/v2.0"}, "/sign_on/issuer: name the tenant"),
        ({"client_secret": "abc"}, "/sign_on/client_secret: do not write a secret here"),
        ({"roles": {}}, "/sign_on/roles: name at least one role"),
        ({"roles": {"admin": {}}}, "/sign_on/roles/admin: name at least one claim"),
        ({"roles": {"admin": {"groups": []}}}, "/sign_on/roles/admin/groups: name at least one value"),
        ({"roles": {"boss": {"groups": ["x"]}}}, "/sign_on/roles/boss"),
        ({"roles": {"viewer": {"groups": ["x"]}}, "passwords": False}, "/sign_on/passwords: no claim grants"),
        ({"scopes": ["profile"]}, "/sign_on/scopes: must have openid"),
    ],
)
def test_wrong_sections_are_refused_with_their_place(change: dict[str, Any], problem: str) -> None:
    section = {"issuer": "https://id.example.com", "client_id": "x", "roles": ROLES, **change}
    with pytest.raises(ConfigError) as caught:
        load_rules(json.dumps(rules_json(sign_on=section)))
    assert problem in str(caught.value)
