"""What every view needs: the services of this app, who is asking, and errors in one shape."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from flask import abort, current_app, g, jsonify, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import CSRFProtect

from dam_connector.store.users import User, UserRole
from dam_connector.wiring import Services

View = TypeVar("View", bound=Callable[..., Any])

csrf = CSRFProtect()
# blueprints of pages: a stranger is sent to the login
PAGE_BLUEPRINTS = ("versions", "version_actions", "admin", "products", "gallery", "batches")
PAGE_SIZE = 60  # things on a page


def services() -> Services:
    return cast(Services, current_app.extensions["services"])


def current_user() -> User | None:
    """Who is asking: by session, or by bearer token on the API."""
    if "user" not in g:
        g.user = (
            _user_by_token()
            if request.headers.get("Authorization", "").startswith("Bearer ")
            else _user_by_session()
        )
    return cast(User | None, g.user)


def signed_in_user() -> User:
    """The user of a view that requires one."""
    user = current_user()
    return user if user is not None else abort(401)


def _user_by_session() -> User | None:
    return services().users.get(session["user"]) if "user" in session else None


def _user_by_token() -> User | None:
    return services().users.by_token(request.headers["Authorization"].removeprefix("Bearer ").strip())


def requires(role: UserRole) -> Callable[[View], View]:
    """Only for users who may do what this role does; pages send strangers to the login."""

    def wrap(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> ResponseReturnValue:
            user = current_user()
            if user is None:
                if request.blueprint in PAGE_BLUEPRINTS and request.method == "GET":
                    return redirect(url_for("auth.login_page", next=request.full_path.rstrip("?")))
                abort(401, "log in, or send an API token as Authorization: Bearer ...")
            if not user.role.includes(role):
                abort(403, f"this needs the role {role.value}; yours is {user.role.value}")
            return cast(ResponseReturnValue, view(*args, **kwargs))

        return cast(View, guarded)

    return wrap


def error_response(
    code: int, name: str, message: str, problems: list[str] | None = None
) -> ResponseReturnValue:
    """An error as JSON, in the one shape."""
    return jsonify(
        {"error": {"code": code, "name": name, "message": message, "problems": problems or []}}
    ), code
