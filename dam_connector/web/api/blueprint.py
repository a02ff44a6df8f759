"""The blueprint of the API, with the CSRF check, the Idempotency-Key and the pagination of its endpoints."""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any, NoReturn, TypeVar, cast

from flask import Response, abort, current_app, g, make_response, request
from flask.typing import ResponseReturnValue
from webargs.core import is_json
from werkzeug.exceptions import HTTPException

from dam_connector.errors import NotFound, Refused, StateConflict
from dam_connector.store.changes import SEPARATOR, Changes, cursor_of
from dam_connector.store.idempotency import StoredResponse
from dam_connector.web.api.openapi import MAX_KEY_LENGTH, ApiBlueprint
from dam_connector.web.request_context import (
    csrf,
    current_user,
    error_response,
    services,
    signed_in_user,
    unknown_user_text,
)

bp = ApiBlueprint("api", "api", url_prefix="/api/v1")
View = TypeVar("View", bound=Callable[..., Any])
# Answers of a use case that was tried: its repeat under the same key gets them again, whatever changed.
FINAL_ERRORS = (StateConflict, NotFound, Refused)
FINAL_STATUSES = (404, 409)


@bp.before_request
def require_csrf_token() -> None:
    """Check the CSRF token of writes by session; a bearer token needs none."""
    has_token = request.headers.get("Authorization", "").startswith("Bearer ")
    if has_token or request.method in ("GET", "HEAD", "OPTIONS"):
        return
    if current_user() is None:
        abort(401, unknown_user_text())
    csrf.protect()


def refuse(problems: Iterable[str]) -> NoReturn:
    """Abort with 422 and a line for each problem."""
    lines = list(problems)
    abort(make_response(error_response(422, "invalid", "the request is not valid; see problems", lines)))


@bp.before_request
def refuse_unread_input() -> None:
    """Refuse parameters, bodies and keys that the operation does not read, instead of ignoring them."""
    view = current_app.view_functions.get(request.endpoint or "")
    arguments = getattr(view, "_apidoc", {}).get("arguments", {}).get("parameters", [])
    locations = {argument["in"] for argument in arguments if isinstance(argument, dict)}
    _require_media_type(locations)
    problems = []
    if "query" not in locations:
        problems += [f"/query/{name}: unknown key; none is known here" for name in request.args]
    if not locations & {"json", "form", "files"} and _has_body():
        problems.append("/json: this operation takes no body")
    holds_secret = getattr(view, "holds_secret", False)
    if request.headers.get("Idempotency-Key") and not getattr(view, "takes_key", False):
        reason = "its answer holds a secret, which is not kept" if holds_secret else "it is safe to repeat"
        problems.append(f"/header/Idempotency-Key: this operation takes none; {reason}")
    if problems:
        refuse(problems)


def _require_media_type(locations: set[str]) -> None:
    """Abort with 415 when the body of an operation is of a type that it does not read."""
    if not _announces_body():
        return
    wanted = "application/json" if "json" in locations else ""
    if locations & {"form", "files"}:
        wanted = "multipart/form-data"
    is_right = is_json(request.mimetype) if wanted == "application/json" else request.mimetype == wanted
    if wanted and not is_right:
        sent = f"this one has {request.mimetype}" if request.mimetype else "this one has none"
        abort(415, f"send the body with Content-Type: {wanted}; {sent}")


def _announces_body() -> bool:
    return bool(request.content_length) or "Transfer-Encoding" in request.headers


def _has_body() -> bool:
    return _announces_body() and request.get_data().strip() not in (b"", b"{}", b"null")


def idempotent(view: View) -> View:
    """Carry out a write with an Idempotency-Key only once.

    The write and its response are one transaction. A repeat gets the first response, also a refusal by the
    use case (`FINAL_ERRORS`). What may go better at the next try is not kept: a request that is not valid, a
    missing right, a failure of ours. A repeat during the first request gets 409, and another request with the
    same key gets 422.
    """

    def call(view_of_request: Callable[[], Response], store: Callable[[Response], None]) -> Response:
        services().rules.current()  # within the transaction a changed plugin.json is not read
        with services().transaction():
            response = view_of_request()
            store(response)
        return response

    return _with_key(view, call)


def idempotent_with_fetches(view: View) -> View:
    """Do the same for a view that asks outside systems: no transaction may be open meanwhile.

    The view calls `record_response` in the transaction that stores what it promises.
    """
    return _with_key(view, lambda view_of_request, store: view_of_request())


def answers_with_secret(view: View) -> View:
    """Mark a view whose answer holds a secret. It takes no Idempotency-Key: a stored answer would keep it.

    The document says so; what a repeat does, the docstring of the view says.
    """
    view.holds_secret = True  # type: ignore[attr-defined]
    return view


def record_response(body: Any, status: int) -> None:
    """Store the response to the current request under its Idempotency-Key, if it has one."""
    if store := g.get("store_response"):
        store(body, status)


def _with_key(
    view: View, call: Callable[[Callable[[], Response], Callable[[Response], None]], Response]
) -> View:
    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> ResponseReturnValue:
        def view_of_request() -> Response:
            return make_response(view(*args, **kwargs))

        key_header = request.headers.get("Idempotency-Key", "")
        if not key_header:
            return call(view_of_request, lambda response: None)
        if len(key_header) > MAX_KEY_LENGTH or not key_header.isprintable():
            abort(400, f"an Idempotency-Key may have at most {MAX_KEY_LENGTH} printable characters")
        key = f"{signed_in_user().id}:{key_header}"
        with services().locks.lock(f"answer {key}"):
            if stored := _stored_response(key):
                return stored
            store = _store_under(key)
            try:
                return call(view_of_request, store)
            except (*FINAL_ERRORS, HTTPException) as error:
                response = make_response(current_app.handle_user_exception(error))
                if isinstance(error, FINAL_ERRORS) or error.code in FINAL_STATUSES:
                    store(response)
                return response

    guarded.takes_key = True  # type: ignore[attr-defined]
    return cast(View, guarded)


def _stored_response(key: str) -> Response | None:
    """Return the stored response for a key, 422 if it is for another request, or None without one."""
    stored = services().idempotency.get(key)
    if stored and stored.request_sha256 != _request_sha256():
        return make_response(
            error_response(
                422,
                "idempotency_key_reused",
                "this Idempotency-Key was used for another request; choose a new key",
            )
        )
    return make_response(stored.body, stored.status) if stored else None


def _store_under(key: str) -> Callable[[Response], None]:
    """Return a function that stores a response under a key; `record_response` uses the same."""

    def store_body(body: Any, status: int) -> None:
        services().idempotency.add(key, StoredResponse(status, _request_sha256(), body))

    def store(response: Response) -> None:
        if response.status_code < 500:
            store_body(json.loads(response.get_data(as_text=True) or "null"), response.status_code)

    g.store_response = store_body
    return store


def _request_sha256() -> str:
    return hashlib.sha256(f"{request.method} {request.path}\n".encode() + request.get_data()).hexdigest()


def page_body(items: Sequence[Any], limit: int, changes: Changes | None = None) -> dict[str, Any]:
    """Return the body of one page: its records, and the cursor of the next page, or None."""
    if len(items) < limit:
        return {"items": items, "next": None}
    last = items[-1]
    return {"items": items, "next": cursor_of(last.updated_at, last.id) if changes else last.id}


def requested_changes(args: dict[str, Any]) -> Changes | None:
    """Return the changes that a request asks for; abort with 422 when its cursor is none of them."""
    if args["updated_since"] is None:
        if SEPARATOR in args["cursor"]:
            abort(422, "this cursor belongs to a list with updated_since; pass both")
        return None
    try:
        return Changes.from_cursor(args["cursor"], args["updated_since"])
    except ValueError:
        abort(422, "this cursor is not one of a list with updated_since")
