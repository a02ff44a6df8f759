"""Accounts: sessions end when they should, logins are throttled, and the audit log says who did what."""

import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from click.testing import CliRunner
from flask import Flask
from flask.testing import FlaskClient

from dam_connector.app import create_app
from dam_connector.cli import main
from dam_connector.domain.passwords import password_problem
from dam_connector.store.rules_archive import changed_keys
from dam_connector.store.users import UserRole, Users
from dam_connector.web import auth
from dam_connector.wiring import Services
from tests.support import TestClock

Visitor = Callable[[str], FlaskClient]
PASSWORD = "a long enough password"
ENDINGS: dict[str, Callable[[Services], object]] = {
    "a new password": lambda s: s.users.add("reviewer", UserRole.REVIEWER, "another good long one"),
    "no password": lambda s: s.users.add("reviewer", UserRole.REVIEWER, ""),
    "deactivated": lambda s: s.users.deactivate("reviewer"),
    "removed": lambda s: s.users.remove("reviewer"),
    "logged out everywhere": lambda s: s.users.end_sessions(s.users.all()[0]),
}


def another(app: Flask, name: str) -> FlaskClient:
    """Another device on which a user logs in, too."""
    client = app.test_client()
    assert client.post("/login", data={"name": name, "password": PASSWORD}).status_code == 302
    return client


def copied(app: Flask, client: FlaskClient) -> FlaskClient:
    """Another browser with a copy of the session cookie."""
    cookie = client.get_cookie("dam_session")
    assert cookie
    other = app.test_client()
    other.set_cookie("dam_session", cookie.value)
    return other


def is_logged_in(client: FlaskClient) -> bool:
    return client.get("/review").status_code == 200


def test_a_session_ends_after_the_hours_of_the_settings(services: Services, clock: TestClock) -> None:
    services.users.add("ann", UserRole.REVIEWER, PASSWORD)
    users = Users(services.db, clock, session_hours=2)
    user = users.authenticate("ann", PASSWORD)
    session = users.begin_session(user, "password")
    clock.forward(2 * 3600 - 1)
    assert users.by_session(session) is not None
    clock.forward(2)
    assert users.by_session(session) is None


def test_a_token_counts_as_long_as_the_settings_say_unless_days_are_given(
    services: Services, clock: TestClock
) -> None:
    users = Users(services.db, clock, token_days=3)
    ann = users.add("ann", UserRole.REVIEWER, PASSWORD)
    usual, short = users.add_token(ann, "usual"), users.add_token(ann, "short", days=1)
    clock.forward(2 * 86400)
    assert users.by_token(usual) is not None and users.by_token(short) is None
    clock.forward(86400)
    assert users.by_token(usual) is None


def test_logout_ends_the_session_and_not_those_of_other_devices(app: Flask, browser_like: Visitor) -> None:
    client, elsewhere = browser_like("reviewer"), another(app, "reviewer")
    thief = copied(app, client)
    assert is_logged_in(thief)
    client.post("/logout")
    assert not is_logged_in(client) and not is_logged_in(thief) and is_logged_in(elsewhere)


@pytest.mark.parametrize("ending", ENDINGS)
def test_sessions_end_with(ending: str, browser_like: Visitor, services: Services) -> None:
    services.users.add("reviewer", UserRole.REVIEWER, PASSWORD)
    client = browser_like("reviewer")
    assert is_logged_in(client)
    ENDINGS[ending](services)
    assert not is_logged_in(client)


def test_a_session_ends_by_itself(browser_like: Visitor, clock: TestClock) -> None:
    client = browser_like("reviewer")
    clock.forward(12 * 3600 + 1)
    assert not is_logged_in(client)


def test_log_out_everywhere_on_the_page_of_the_account(app: Flask, browser_like: Visitor) -> None:
    client, elsewhere = browser_like("reviewer"), another(app, "reviewer")
    assert "logged in 2 times" in client.get("/account").text
    assert client.post("/account/logout").status_code == 302
    assert not is_logged_in(client) and not is_logged_in(elsewhere)


def test_a_user_without_a_password_cannot_log_in_by_one(client: FlaskClient, services: Services) -> None:
    services.users.add("ann", UserRole.VIEWER, PASSWORD)
    services.users.add("ann", UserRole.VIEWER, "")
    assert services.users.authenticate("ann", PASSWORD) is None
    assert services.users.authenticate("ann", "") is None


def test_a_deactivated_user_has_no_token_when_active_again(services: Services) -> None:
    ann = services.users.add("ann", UserRole.VIEWER)
    token = services.users.add_token(ann, "api")
    assert services.users.deactivate("ann") and not services.users.deactivate("ann")
    services.users.add("ann", UserRole.VIEWER)
    assert services.users.by_token(token) is None


def test_tokens_expire_and_are_revoked_by_their_owner_only(
    browser_like: Visitor, services: Services, clock: TestClock
) -> None:
    client = browser_like("viewer")
    own = services.users.add_token(services.users.add("viewer", UserRole.VIEWER), "script")
    other = services.users.add_token(services.users.add("ann", UserRole.VIEWER), "other")
    ids = {token.label: token.id for token in services.users.tokens()}
    assert "script" in client.get("/account").text and "other" not in client.get("/account").text
    refused = client.post(f"/account/tokens/{ids['other']}/revoke", follow_redirects=True)
    assert "You have no such token" in refused.text
    assert ids["other"] in {token.id for token in services.users.tokens()}
    assert client.post(f"/account/tokens/{ids['script']}/revoke").status_code == 302
    assert services.users.by_token(own) is None and services.users.by_token(other)
    clock.forward(91 * 86_400)
    assert services.users.by_token(other) is None


def test_a_token_is_made_on_the_page_shown_once_and_says_when_it_was_used(
    app: Flask, browser_like: Visitor, services: Services, clock: TestClock
) -> None:
    client = browser_like("viewer")
    page = client.post("/account/tokens", data={"label": "nightly <import>", "days": "30"})
    token = re.search(r'value="(damc_[^"]+)"', page.text)
    assert page.status_code == 200 and token and page.headers["Cache-Control"] == "no-store"
    assert "nightly &lt;import&gt;" in page.text and token[1] not in client.get("/account").text
    (made,) = services.users.tokens()
    assert made.user_name == "viewer" and (made.expires_at - made.created_at).days == 30
    (entry,) = [e for e in services.audit.page() if e.action == "token_added"]
    assert (entry.by, entry.subject, entry.detail) == (
        "viewer",
        "viewer",
        "nightly <import>, valid for 30 days",
    )
    assert made.last_used_at is None
    machine = {"Authorization": f"Bearer {token[1]}"}
    uses = []
    for seconds in (0, 60, 3600):  # a minute later nothing is written
        clock.forward(seconds)
        account = app.test_client().get("/api/v1/account", headers=machine).json
        assert account["tokens"][0]["last_used_at"]
        uses.append(services.users.tokens()[0].last_used_at)
    assert uses[0] == uses[1] < uses[2]
    assert services.users.delete_expired_credentials() == 0
    assert services.users.by_token(token[1])


def test_no_token_is_made_of_a_bad_form_or_by_a_token(
    app: Flask, browser_like: Visitor, services: Services
) -> None:
    client = browser_like("viewer")
    for label, days in (("", "30"), ("x" * 81, "30"), ("a\nb", "30"), ("x", "3651"), ("x", ""), ("x", "-1")):
        answer = client.post("/account/tokens", data={"label": label, "days": days})
        assert answer.status_code == 422 and "No token was made" in answer.text, (label, days)
    stolen = services.users.add_token(services.users.get(services.users.all()[0].id), "stolen", days=1)
    headers = {"Authorization": f"Bearer {stolen}"}
    longer = {"label": "longer", "days": "365"}
    assert app.test_client().post("/account/tokens", data=longer, headers=headers).status_code == 400
    assert [t.label for t in services.users.tokens()] == ["stolen"]


def test_logins_for_one_account_are_throttled_from_all_addresses(services: Services) -> None:
    app = create_app(replace(services, settings=replace(services.settings, logins_per_minute=3)))
    app.config["WTF_CSRF_ENABLED"] = False

    def log_in(name: str, number: int) -> int:
        address = {"REMOTE_ADDR": f"192.0.2.{number}"}
        form = {"name": name, "password": "guess"}
        return app.test_client().post("/login", data=form, environ_base=address).status_code

    assert [log_in(name, n) for n, name in enumerate(("ann", "Ann", "ann", "ann"))] == [401, 401, 401, 429]
    assert log_in("bob", 9) == 401


@pytest.mark.parametrize(
    ("password", "is_good"),
    [
        ("short", False),
        ("fourteen chars", False),
        ("aaaaaaaaaaaaaaaaaaaa", False),
        ("123456789012345", False),
        ("abcabcabcabcabcabc", False),
        ("passwordpassword", False),
        ("Password123456789", False),
        ("qwertyuiopasdfghjkl", False),
        ("annannannann2026", False),
        ("damconnectoradmin", False),
        ("x" * 257, False),
        ("correct horse battery", True),
        ("a long enough password", True),
        ("四つの言葉でできた長い合言葉です", True),
        ("nine small dogs 9", True),
    ],
)
def test_passwords(password: str, is_good: bool) -> None:
    assert (password_problem(password, "ann") == "") is is_good


def test_a_password_typed_on_another_keyboard_is_the_same(services: Services) -> None:
    services.users.add("ann", UserRole.VIEWER, "Caf\u00e9 with a long menu")
    assert services.users.authenticate("ann", "Cafe\u0301 with a long menu")


def entries(services: Services) -> list[tuple[str, str, str, str]]:
    return [(e.by, e.address, e.action, e.subject) for e in services.audit.page(limit=200)]


def test_the_audit_log_has_who_did_what_from_where(browser_like: Visitor, services: Services) -> None:
    client = browser_like("admin")
    client.post("/logout")
    wrong = {"name": "admin", "password": "wrong"}
    client.post("/login", data=wrong, environ_base={"REMOTE_ADDR": "192.0.2.7"})
    found = entries(services)
    assert ("command line", "", "user_added", "admin") in found
    assert ("admin", "127.0.0.1", "login", "admin") in found
    assert ("admin", "127.0.0.1", "logout", "admin") in found
    assert ("", "192.0.2.7", "login_failed", "admin") in found
    assert "password" not in json.dumps(found).replace("user_", "")


def test_strangers_cannot_fill_the_audit_log(
    app: Flask, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    monkeypatch.setattr(auth, "MAX_RECORDED_FAILURES", 2)
    for number in range(4):
        form = {"name": f"u{number}", "password": "x"}
        assert app.test_client().post("/login", data=form).status_code == 401
    assert [e.action for e in services.audit.page()].count("login_failed") == 2


def test_what_the_history_says_is_in_the_audit_log(
    api: Visitor, services: Services, write_rules: Callable[..., None]
) -> None:
    body = {
        "sku": "A1",
        "name": "Chair",
        "category": "seating",
        "images": {"front": "http://127.0.0.1:9/a.jpg"},
    }
    assert api("merchandiser").post("/api/v1/products", json=body).status_code in (200, 201, 202)
    assert ("merchandiser", "127.0.0.1", "product_added", "A1") in entries(services)
    services.history.add("sent", sku="A1")
    assert "sent" not in {action for _, _, action, _ in entries(services)}


def test_a_change_of_the_rules_is_in_the_audit_log_with_its_place(
    services: Services, write_rules: Callable[..., None]
) -> None:
    services.rules.current()
    write_rules(connections={"pim": {}})
    services.rules.current()
    details = [e.detail for e in services.audit.page() if e.action == "rules_in_force"]
    assert details and "/connections" in details[0]
    assert changed_keys('{"a": {"b": 1, "c": 2}}', '{"a": {"b": 1}, "d": 1}') == ["/a/c", "/d"]


def test_the_audit_log_is_for_admins_by_page_api_and_file(api: Visitor, services: Services) -> None:
    admin, reviewer = api("admin"), api("reviewer")
    for url in ("/audit", "/audit.csv", "/audit.jsonl", "/api/v1/audit"):
        assert (admin.get(url).status_code, reviewer.get(url).status_code) == (200, 403), url
    assert admin.get("/audit.doc").status_code == 404
    for bad in ("x", "2026-01-01T00:00:00|x", "|"):
        assert admin.get("/api/v1/audit", query_string={"cursor": bad}).status_code == 400
    services.users.refuse_login("=HYPERLINK(1)")
    rows = list(csv.DictReader(io.StringIO(admin.get("/audit.csv").text)))
    assert rows[0]["subject"] == "'=HYPERLINK(1)" and rows[0]["action"] == "login_failed"
    assert json.loads(admin.get("/audit.jsonl").text.splitlines()[0])["subject"] == "=HYPERLINK(1)"


def test_pages_of_the_audit_log_cover_everything_once(api: Visitor, services: Services) -> None:
    for number in range(7):
        services.users.refuse_login(f"u{number}")
        services.history.add("edited", sku=f"S{number}", by="ann")
    admin, cursor, seen = api("admin"), "", []
    while cursor is not None:
        page = admin.get("/api/v1/audit", query_string={"cursor": cursor, "limit": 4}).get_json()
        seen += [entry["id"] for entry in page["items"]]
        cursor = page["next"]
    assert len(seen) == len(set(seen)) == len(services.audit.page(limit=200)) == 14 + 2


def run(services: Services, *arguments: str) -> str:
    environ = {name: value for name, value in services.settings.child_environ().items()}
    result = CliRunner().invoke(
        main, [*arguments, "--data-dir", str(services.settings.data_dir)], env=environ
    )
    return f"{result.output}{result.exit_code}"


def test_commands_for_users_and_tokens(services: Services) -> None:
    assert "ann is reviewer" in run(services, "user", "add", "ann", "--no-password")
    assert run(services, "token", "add", "ann", "--label", "script").startswith("damc_")
    token = services.users.tokens()[0]
    assert f"{token.id}\tann\tscript\t" in run(services, "token", "list")
    assert run(services, "token", "revoke", token.id).endswith("revoked\n0")
    assert "there is no token" in run(services, "token", "revoke", token.id)
    assert run(services, "user", "logout", "ann") == "0 sessions ended\n0"
    assert run(services, "user", "deactivate", "ann") == "ann is deactivated\n0"
    assert "ann\tdeactivated" in run(services, "user", "list")
    assert "there is no active user" in run(services, "user", "deactivate", "ann")
    assert run(services, "user", "remove", "ann") == "ann is removed\n0"
    assert "there is no user" in run(services, "user", "remove", "ann")
    log = run(services, "audit", "--format", "csv")
    assert log.index("user_removed") < log.index("token_revoked") < log.index("user_added")
    assert "command line (" in log


def test_a_command_that_takes_the_role_of_the_only_admin_says_so(services: Services) -> None:
    assert run(services, "user", "add", "ann", "--role", "admin", "--no-password").startswith("ann is admin")
    said = run(services, "user", "add", "ann", "--no-password")
    assert "ann was admin, is now reviewer" in said and "no admin is left" in said
    run(services, "user", "add", "bob", "--role", "admin", "--no-password")
    assert "no admin is left" not in run(services, "user", "add", "ann", "--role", "viewer", "--no-password")


def test_the_link_of_the_demo_shows_the_keys_once(
    client: FlaskClient, app: Flask, services: Services
) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    secret = services.users.add_login_link(services.users.add("demo", UserRole.ADMIN))
    form = client.get(f"/login/link/{secret}?welcome=1").text
    assert f'action="/login/link/{secret}?welcome=1"' in form
    answer = client.post(f"/login/link/{secret}?welcome=1", follow_redirects=True)
    assert "Your first review" in answer.text
    assert "Your first review" in client.get("/review").text  # until it is dismissed
    assert "Your first review" not in client.post("/review/welcome", follow_redirects=True).text
    again = services.users.add_login_link(services.users.add("demo", UserRole.ADMIN))
    answer = client.post(f"/login/link/{again}?welcome=1", follow_redirects=True)
    assert "Your first review" not in answer.text
