"""Who may use which address: tests/data/route_roles.json has a row for each, and each row is tried out.

A new route needs a row. `anyone`: public, or with another proof (a signature, a link, a form token).
"""

import json
import re
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from dam_connector.app import create_app
from dam_connector.domain.roles import UserRole
from dam_connector.web import webhooks
from dam_connector.wiring import Services
from tests.support import ROOT, TestClock

TABLE: dict[str, str] = json.loads((ROOT / "tests/data/route_roles.json").read_text())
ANYONE = "anyone"


@pytest.fixture
def app(services: Services) -> Flask:
    made = create_app(services)
    made.config["WTF_CSRF_ENABLED"] = False
    return made


def rows_of(rules: Iterator[Rule], prefix: str = "") -> set[str]:
    return {
        f"{method} {prefix}{rule.rule}"
        for rule in rules
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def receiver_rules() -> Iterator[Rule]:
    receiver = Flask("receiver", static_folder=None)
    receiver.register_blueprint(webhooks.bp)
    return receiver.url_map.iter_rules()


def test_the_table_has_a_row_for_each_route_and_no_other(app: Flask) -> None:
    assert rows_of(app.url_map.iter_rules()) | rows_of(receiver_rules(), "/webhooks") == set(TABLE)


def requests_of_table() -> Iterator[tuple[str, str, str]]:
    """Yield method, address and role of each row that needs one."""
    for row, role in TABLE.items():
        method, rule = row.split(" ", 1)
        if role != ANYONE:
            yield method, re.sub(r"<any\((\w+)[^>]*>|<[^>]+>", lambda m: m[1] or "x", rule), role


def is_refused(client: FlaskClient, method: str, path: str) -> int:
    """Return the status that refuses a request, or 0."""
    reply = client.open(path, method=method)
    if reply.status_code == 302 and "/login" in reply.headers["Location"]:
        return 401 if method == "GET" else 0  # `POST /account/logout` leads to the login page, too
    return reply.status_code if reply.status_code in (401, 403) else 0


def by_token(app: Flask, token: str) -> FlaskClient:
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


def by_session(app: Flask, secret: str) -> FlaskClient:
    client = app.test_client()
    with client.session_transaction() as session:
        session["secret"] = secret
    return client


@pytest.mark.parametrize("way", ["token", "session"])
def test_each_role_may_do_what_the_table_says_and_nothing_else(
    way: str, app: Flask, services: Services
) -> None:
    users = {role: services.users.add(f"a {role}", role) for role in UserRole}
    tokens = {role: services.users.add_token(user, "test") for role, user in users.items()}

    def client(role: UserRole) -> FlaskClient:
        if way == "token":
            return by_token(app, tokens[role])
        return by_session(app, services.users.begin_session(users[role], "test"))

    wrong, roles = [], list(UserRole)
    for method, path, needed in requests_of_table():
        number = roles.index(UserRole(needed))
        for role in roles[max(number - 1, 0) : number + 1]:  # the last without it, and the first with it
            expected = 0 if role == needed else 403
            if (found := is_refused(client(role), method, path)) != expected:
                wrong.append(f"{role} {method} {path}: {found or 'allowed'}")
    assert wrong == []


def test_each_role_includes_those_before_it() -> None:
    assert [[a.includes(b) for b in UserRole] for a in UserRole] == [
        [number >= other for other in range(4)] for number in range(4)
    ]


def strangers(app: Flask, services: Services, clock: TestClock) -> dict[str, FlaskClient]:
    """Return clients whose credentials, if any, are not valid or no longer."""
    old = services.users.add("old", UserRole.ADMIN)
    expired = services.users.add_token(old, "expired", 1), services.users.begin_session(old, "expired")
    clock.forward(2 * 86_400)
    admin, gone = (services.users.add(name, UserRole.ADMIN) for name in ("admin", "gone"))
    revoked, ended = services.users.add_token(admin, "revoked"), services.users.begin_session(admin, "ended")
    services.users.revoke_token(next(t.id for t in services.users.tokens() if t.label == "revoked"))
    services.users.end_session(ended)
    dead = services.users.add_token(gone, "gone"), services.users.begin_session(gone, "gone")
    services.users.deactivate("gone")
    link = services.users.add_login_link(admin)
    forged = app.test_client()
    forged.set_cookie("dam_session", "eyJzZWNyZXQiOiJ4In0.aaaaaa.AAAAAAAAAAAAAAAAAAAAAAAAAAA")
    return {
        "nothing": app.test_client(),
        "a made-up token": by_token(app, "damc_made-up"),
        "an empty token": by_token(app, ""),
        "an expired token": by_token(app, expired[0]),
        "a revoked token": by_token(app, revoked),
        "a token of a deactivated user": by_token(app, dead[0]),
        "a login link as a token": by_token(app, link),
        "a session as a token": by_token(app, services.users.begin_session(admin, "test")),
        "an expired session": by_session(app, expired[1]),
        "an ended session": by_session(app, ended),
        "a session of a deactivated user": by_session(app, dead[1]),
        "a token as a session": by_session(app, services.users.add_token(admin, "test")),
        "a forged cookie": forged,
    }


def test_dead_and_forged_credentials_are_those_of_a_stranger(
    app: Flask, services: Services, clock: TestClock
) -> None:
    wrong = [
        f"{name}: {method} {path}"
        for name, client in strangers(app, services, clock).items()
        for method, path, _ in requests_of_table()
        if is_refused(client, method, path) != 401
    ]
    assert wrong == []


@pytest.fixture(autouse=True)
def quiet(write_rules: Callable[..., None]) -> None:
    """Rules without a provider or PIM that a page could call."""
    write_rules(
        connections={"dam": {"library": {"adapter": "library"}}, "channel": {"viewer": {"adapter": "viewer"}}}
    )
