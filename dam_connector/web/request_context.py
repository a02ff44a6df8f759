"""The services, the user and the roles of a request, and errors as JSON."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from flask import abort, current_app, g, jsonify, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import CSRFProtect

from dam_connector.domain.comment import MAX_COMMENT_CHARS
from dam_connector.store.request_origin import request_address
from dam_connector.store.users import User, UserRole
from dam_connector.wiring import Services

View = TypeVar("View", bound=Callable[..., Any])

csrf = CSRFProtect()
# pages for people: without a login, a GET is redirected to the login page
PAGE_BLUEPRINTS = (
    *(
        "versions",
        "version_actions",
        "comments",
        "touch_ups",
        "admin",
        "adoption",
        "products",
        "captures",
        "gallery",
        "batches",
        "guests",
        "auth",
    ),
    *("sign_on", "audit", "api_page", "help_pages", "needs"),
)
MAX_BYTES_OF_STRANGERS = 65_536  # of a body without a login, e.g. the login form
PAGE_SIZE = 60  # rows or cards on a page


def services() -> Services:
    """Return the services of the current application."""
    return cast(Services, current_app.extensions["services"])


def current_user() -> User | None:
    """Return the user of this request, by bearer token or by session; None without a login."""
    if "user" not in g:
        g.user = (
            _user_by_token()
            if request.headers.get("Authorization", "").startswith("Bearer ")
            else _user_by_session()
        )
    return cast(User | None, g.user)


def signed_in_user() -> User:
    """Return the user of this request, or abort with 401."""
    user = current_user()
    return user if user is not None else abort(401)


def _user_by_session() -> User | None:
    return services().users.by_session(session["secret"]) if "secret" in session else None


def _user_by_token() -> User | None:
    return services().users.by_token(request.headers["Authorization"].removeprefix("Bearer ").strip())


def unknown_user_text() -> str:
    """Return the reason why a request has no user, with its remedy."""
    if "Authorization" in request.headers:
        return (
            "this API token is unknown, was revoked or has expired; make another on the page of your account"
        )
    return "log in, or send an API token as Authorization: Bearer ..."


def requires(role: UserRole) -> Callable[[View], View]:
    """Allow a view only to users with this role or a higher one.

    Without a login, a page redirects to the login page and anything else answers 401. Without the role, the
    answer is 403. `check_identity` does so before anything of the body is read; the wrapper is for views that
    are called in another way.
    """

    def wrap(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> ResponseReturnValue:
            refusal = _refuse_without(role)
            return refusal if refusal is not None else cast(ResponseReturnValue, view(*args, **kwargs))

        guarded.required_role = role  # type: ignore[attr-defined]
        return cast(View, guarded)

    return wrap


def requested_text(field: str, limit: int = MAX_COMMENT_CHARS) -> str:
    """Return a text of the request's form; abort with 422 when it is longer than `limit` characters."""
    text = request.form.get(field, "").replace("\r\n", "\n").strip()
    if len(text) > limit:
        abort(422, f"At most {limit:,} characters fit; yours has {len(text):,}. Go back and shorten it.")
    return text


def check_identity() -> ResponseReturnValue | None:
    """Check the user of a request before its body is read; return the response that refuses it, or None.

    A stranger may send only as much as a login form needs.
    """
    request_address.set(request.remote_addr or "")
    view = current_app.view_functions.get(request.endpoint or "")
    if role := getattr(view, "required_role", None):
        return _refuse_without(role)
    if check_guest := getattr(view, "check_guest", None):
        return cast(ResponseReturnValue | None, check_guest())
    if request.method not in ("GET", "HEAD", "OPTIONS") and current_user() is None:
        request.max_content_length = MAX_BYTES_OF_STRANGERS
    return None


def forget_address() -> None:
    """Forget from where the request came, when it is over."""
    request_address.set("")


def _refuse_without(role: UserRole) -> ResponseReturnValue | None:
    """Return a redirect to the login page, or None if the user has the role; abort with 401 or 403."""
    user = current_user()
    if user is None:
        if request.blueprint in PAGE_BLUEPRINTS and request.method == "GET":
            return redirect(url_for("auth.login_page", next=request.full_path.rstrip("?")))
        abort(401, unknown_user_text())
    if not user.role.includes(role):
        abort(
            403,
            f"this needs the role {role.value}; your role is {user.role.value}. Ask an admin for that role",
        )
    return None


def error_response(
    code: int, name: str, message: str, problems: list[str] | None = None
) -> ResponseReturnValue:
    """Return an error as JSON: `{"error": {"code", "name", "message", "problems"}}`."""
    return jsonify(
        {"error": {"code": code, "name": name, "message": message, "problems": problems or []}}
    ), code
