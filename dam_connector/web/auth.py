"""Login by password or one-time link, and logout."""

from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, abort, flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from dam_connector.store.users import User, UserRole
from dam_connector.web.rate_limit import limit_rate, may_happen
from dam_connector.web.request_context import current_user, requires, services, signed_in_user

bp = Blueprint("auth", __name__)
TOKEN_DAYS = (7, 30, 90, 365)  # that a token of the user's own may be valid
DEFAULT_DAYS = "90"
MAX_LABEL = 80  # characters
MAX_RECORDED_FAILURES = 60  # failed logins that the audit log gets in a minute


@bp.get("/login")
def login_page() -> ResponseReturnValue:
    """Show the login form."""
    if current_user():
        return redirect(url_for("versions.queue"))
    return render_template("login.html", **login_context(request.args.get("next", "")))


@bp.post("/login")
def log_in() -> ResponseReturnValue:
    """Log in by name and password."""
    limit_rate(services().settings.logins_per_minute)
    if not login_context("")["passwords"]:
        abort(403, "passwords are switched off here; log in by single sign-on")
    name = request.form.get("name", "").strip()
    limit_rate(services().settings.logins_per_minute, account=name)
    user = services().users.authenticate(name, request.form.get("password", ""))
    if user is None:
        record_failure(name)
        problem = "The name or the password is wrong. Try again, or ask an admin for a login link."
        return render_template(
            "login.html", **login_context(request.form.get("next", "")), name=name[:80], problem=problem
        ), 401
    _start_session(user, "password")
    return redirect(safe_target(request.form.get("next", "")))


@bp.get("/login/link/<secret>")
def follow_link(secret: str) -> ResponseReturnValue:
    """Show one button, so that link previews and virus scanners do not use up the link."""
    limit_rate(services().settings.logins_per_minute)
    return render_template("link.html", secret=secret, welcome=request.args.get("welcome"))


@bp.post("/login/link/<secret>")
def use_link(secret: str) -> ResponseReturnValue:
    """Log in by a one-time link."""
    limit_rate(services().settings.logins_per_minute)
    user = services().users.use_login_link(secret)
    if user is None:
        problem = (
            "This link was used before or has expired. Ask an admin for another one, who makes it with "
            "`dam-connector user link NAME`."
        )
        return render_template("login.html", **login_context(""), problem=problem), 401
    _start_session(user, "link")
    if "welcome" in request.args and services().notes.get(f"welcome:{user.id}") is None:
        services().notes.set(f"welcome:{user.id}", "open")  # until the user dismisses it
    return redirect(url_for("versions.queue"))


@bp.post("/logout")
def logout() -> ResponseReturnValue:
    """Log out: the session ends, and with it all copies of its cookie."""
    services().users.end_session(session.get("secret", ""))
    session.clear()
    return redirect(url_for("auth.login_page"))


@bp.get("/account")
@requires(UserRole.VIEWER)
def account() -> ResponseReturnValue:
    """Show the user's own account: role, open sessions, tokens."""
    user = signed_in_user()
    return render_template("account.html", **_account_values(user))


def _account_values(user: User) -> dict[str, Any]:
    """Return the values that the page of an account shows."""
    return {
        "sessions": services().users.session_count(user),
        "tokens": [token for token in services().users.tokens() if token.user_name == user.name],
        "days": TOKEN_DAYS,
        "may_add": "secret" in session,
        "form": {"label": "", "days": DEFAULT_DAYS},
    }


@bp.post("/account/tokens")
@requires(UserRole.VIEWER)
def add_token() -> ResponseReturnValue:
    """Make a token of the user's own, and show it this once.

    Only a person who is logged in may: a token that was stolen must not make itself a longer life.
    """
    user, label, days = signed_in_user(), request.form.get("label", "").strip(), request.form.get("days", "")
    if "secret" not in session:
        abort(400, "Log in to make a token: a token makes none.")
    limit_rate(services().settings.logins_per_minute, account=user.name)
    problem = _token_problem(label, days)
    if problem:
        flash(problem, "error")
        form = {"label": label[:MAX_LABEL], "days": days}
        return render_template("account.html", **{**_account_values(user), "form": form}), 422
    token = services().users.add_token(user, label, int(days), by=user.name)
    base_url = services().settings.base_url
    return render_template("token_created.html", label=label, token=token, days=int(days), base_url=base_url)


def _token_problem(label: str, days: str) -> str:
    """Return why no token is made of a form, for the user; empty: nothing is wrong."""
    if not label or len(label) > MAX_LABEL or not label.isprintable():
        return f"No token was made: say in 1 to {MAX_LABEL} characters what it is for."
    if days not in {str(each) for each in TOKEN_DAYS}:
        return "No token was made: choose for how many days it is valid."
    return ""


@bp.post("/account/logout")
@requires(UserRole.VIEWER)
def log_out_everywhere() -> ResponseReturnValue:
    """End all sessions of the user."""
    user = signed_in_user()
    services().users.end_sessions(user, by=user.name)
    session.clear()
    flash("You are logged out everywhere.", "info")
    return redirect(url_for("auth.login_page"))


@bp.post("/account/tokens/<token_id>/revoke")
@requires(UserRole.VIEWER)
def revoke_token(token_id: str) -> ResponseReturnValue:
    """Revoke a token of the user's own."""
    user = signed_in_user()
    own = {t.id for t in services().users.tokens() if t.user_name == user.name}
    if token_id in own and services().users.revoke_token(token_id, by=user.name):
        flash("The token is revoked.", "info")
    else:
        flash("You have no such token: it was revoked before, or has expired.", "info")
    return redirect(url_for("auth.account"))


def login_context(target: str) -> dict[str, Any]:
    """Return the variables of the login page: the ways to log in, and the path to open afterwards."""
    sign_on = services().rules.current().sign_on
    return {"next": target, "sign_on": sign_on, "passwords": sign_on is None or sign_on.passwords}


def record_failure(name: str, reason: str = "") -> None:
    """Record a failed login, unless there were many in this minute."""
    if may_happen("failed logins", MAX_RECORDED_FAILURES):  # strangers must not fill the audit log
        services().users.refuse_login(name, reason)


def _start_session(user: User, how: str) -> None:
    session.clear()  # against session fixation
    session["secret"] = services().users.begin_session(user, how)
    session.permanent = True


def safe_target(target: str) -> str:
    """Return the path to open after the login; the review queue when the target is on another site."""
    parts = urlsplit(target)
    is_own_path = (
        target.startswith("/")
        and target.isprintable()  # a line break in a header is a 500
        and not target.startswith(("//", "/\\"))
        and not parts.netloc
        and not parts.scheme
    )
    return target if is_own_path else url_for("versions.queue")
