"""Endpoints of the API for users, their tokens, and the user's own account."""

from typing import Any

from flask import abort

from dam_connector.store.users import Token, User, UserRole
from dam_connector.web.api.blueprint import answers_with_secret, bp
from dam_connector.web.request_context import requires, services, signed_in_user
from schemas import api as common
from schemas import api_admin as s


@bp.get("/users")
@requires(UserRole.ADMIN)
@bp.response(200, s.UserOut(many=True))
def list_users() -> list[dict[str, Any]]:
    """List the people who may log in, and those who were deactivated."""
    users = services().users
    active = [{"name": user.name, "role": user.role.value, "active": True} for user in users.all()]
    return active + [{"name": name, "role": None, "active": False} for name in users.inactive_names()]


@bp.post("/users")
@requires(UserRole.ADMIN)
@bp.arguments(s.UserIn)
@bp.response(200, s.UserOut)
def put_user(data: dict[str, Any]) -> dict[str, Any]:
    """Add a user, or change role and password of the user of this name. Safe to repeat."""
    me = signed_in_user()
    if data["name"] == me.name and data["role"] != me.role.value:
        abort(409, "this would take your own rights; let another admin do it")
    try:
        added = services().users.add(data["name"], UserRole(data["role"]), data.get("password"), by=me.name)
    except ValueError as error:
        abort(422, str(error))
    return {"name": added.name, "role": added.role.value, "active": True}


@bp.post("/users/<name>/link")
@requires(UserRole.ADMIN)
@answers_with_secret
@bp.response(201, s.LinkOut)
def add_login_link(name: str) -> dict[str, Any]:
    """Make a link that logs a user in, once, within a day. A repeat makes another one."""
    secret = services().users.add_login_link(_user(name), by=signed_in_user().name)
    return {"url": f"{services().settings.base_url}/login/link/{secret}"}


@bp.post("/users/<name>/logout")
@requires(UserRole.ADMIN)
@bp.response(200, common.CountOut)
def log_out_user(name: str) -> dict[str, Any]:
    """End all sessions of a user."""
    return {"count": services().users.end_sessions(_user(name), by=signed_in_user().name)}


@bp.post("/users/<name>/deactivate")
@requires(UserRole.ADMIN)
@bp.response(200, s.UserOut)
def deactivate_user(name: str) -> dict[str, Any]:
    """Log a user out everywhere, delete the tokens and refuse further logins."""
    _refuse_self(name)
    if not services().users.deactivate(name, by=signed_in_user().name):
        abort(404, "there is no active user of this name")
    return {"name": name, "role": None, "active": False}


@bp.delete("/users/<name>")
@requires(UserRole.ADMIN)
@bp.response(204)
def remove_user(name: str) -> None:
    """Delete a user. The name stays in the history and in the audit log."""
    _refuse_self(name)
    if not services().users.remove(name, by=signed_in_user().name):
        abort(404, "there is no user of this name")


@bp.get("/tokens")
@requires(UserRole.ADMIN)
@bp.response(200, s.TokenOut(many=True))
def list_tokens() -> list[Token]:
    """List the valid tokens of all users, newest first, without their secrets."""
    return services().users.tokens()


@bp.post("/users/<name>/tokens")
@requires(UserRole.ADMIN)
@answers_with_secret
@bp.arguments(s.TokenIn, required=False)
@bp.response(201, s.NewTokenOut)
def add_token(data: dict[str, Any], name: str) -> dict[str, Any]:
    """Make a token of a user. It is shown only now.

    A repeat makes another one. If the answer was lost, revoke the token by its label.
    """
    user, me = _user(name), signed_in_user()
    return {"token": services().users.add_token(user, data["label"], data["days"], by=me.name)}


@bp.delete("/tokens/<token_id>")
@requires(UserRole.ADMIN)
@bp.response(204)
def revoke_token(token_id: str) -> None:
    """Revoke a token."""
    if not services().users.revoke_token(token_id, by=signed_in_user().name):
        abort(404, "there is no such token")


@bp.get("/account")
@requires(UserRole.VIEWER)
@bp.response(200, s.AccountOut)
def account() -> dict[str, Any]:
    """Return your own account: role, open sessions, tokens."""
    user, users = signed_in_user(), services().users
    tokens = [token for token in users.tokens() if token.user_name == user.name]
    sessions = users.session_count(user)
    return {"name": user.name, "role": user.role.value, "sessions": sessions, "tokens": tokens}


@bp.post("/account/logout")
@requires(UserRole.VIEWER)
@bp.response(200, common.CountOut)
def log_out_everywhere() -> dict[str, Any]:
    """End all your sessions; tokens stay valid."""
    user = signed_in_user()
    return {"count": services().users.end_sessions(user, by=user.name)}


@bp.delete("/account/tokens/<token_id>")
@requires(UserRole.VIEWER)
@bp.response(204)
def revoke_own_token(token_id: str) -> None:
    """Revoke a token of your own."""
    user, users = signed_in_user(), services().users
    if not any(t.id == token_id and t.user_name == user.name for t in users.tokens()):
        abort(404, "you have no such token")
    users.revoke_token(token_id, by=user.name)


def _user(name: str) -> User:
    """Return an active user, or abort with 404."""
    found = next((user for user in services().users.all() if user.name == name), None)
    return found or abort(404, "there is no active user of this name")


def _refuse_self(name: str) -> None:
    if name == signed_in_user().name:
        abort(409, "this would end your own access; let another admin do it")
