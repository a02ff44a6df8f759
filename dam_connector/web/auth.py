"""Login by password or one-time link, and logout."""

from urllib.parse import urlsplit

from flask import Blueprint, flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from dam_connector.store.users import User
from dam_connector.web.rate_limit import limit_rate
from dam_connector.web.request_context import current_user, services

bp = Blueprint("auth", __name__)


@bp.get("/login")
def login_page() -> ResponseReturnValue:
    """Show the login form."""
    if current_user():
        return redirect(url_for("versions.queue"))
    return render_template("login.html", next=request.args.get("next", ""))


@bp.post("/login")
def log_in() -> ResponseReturnValue:
    """Log in by name and password."""
    limit_rate(services().settings.logins_per_minute)
    user = services().users.authenticate(
        request.form.get("name", "").strip(), request.form.get("password", "")
    )
    if user is None:
        flash("The name or the password is wrong.", "error")
        return render_template("login.html", next=request.form.get("next", "")), 401
    _start_session(user)
    return redirect(_safe_target(request.form.get("next", "")))


@bp.get("/login/link/<secret>")
def follow_link(secret: str) -> ResponseReturnValue:
    """Show one button, so that link previews and virus scanners do not use up the link."""
    limit_rate(services().settings.logins_per_minute)
    return render_template("link.html", secret=secret)


@bp.post("/login/link/<secret>")
def use_link(secret: str) -> ResponseReturnValue:
    """Log in by a one-time link."""
    limit_rate(services().settings.logins_per_minute)
    user = services().users.use_login_link(secret)
    if user is None:
        flash(
            "This link was used before or has expired. Get a new one: dam-connector user link NAME",
            "error",
        )
        return render_template("login.html", next=""), 401
    _start_session(user)
    return redirect(url_for("versions.queue"))


@bp.post("/logout")
def logout() -> ResponseReturnValue:
    """Log out."""
    session.clear()
    return redirect(url_for("auth.login_page"))


def _start_session(user: User) -> None:
    session.clear()  # against session fixation
    session["user"] = user.id
    session.permanent = True


def _safe_target(target: str) -> str:
    """Return the path to open after the login; the review queue when the target is on another site."""
    parts = urlsplit(target)
    is_own_path = (
        target.startswith("/")
        and not target.startswith(("//", "/\\"))
        and not parts.netloc
        and not parts.scheme
    )
    return target if is_own_path else url_for("versions.queue")
