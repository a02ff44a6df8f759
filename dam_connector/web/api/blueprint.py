"""The blueprint of the API, with the CSRF check, the Idempotency-Key and the pagination of its endpoints."""

import hashlib
import json
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar, cast

from flask import Response, abort, current_app, g, make_response, request
from flask.typing import ResponseReturnValue
from flask_smorest import Blueprint
from werkzeug.exceptions import HTTPException

from dam_connector.errors import NotFound, Refused, StateConflict
from dam_connector.store.idempotency import StoredResponse
from dam_connector.web.request_context import csrf, current_user, error_response, services, signed_in_user

bp = Blueprint(
    "api", "api", url_prefix="/api/v1", description="Products, versions, decisions, runs, deliveries, rules."
)
View = TypeVar("View", bound=Callable[..., Any])
MAX_KEY_LENGTH = 100  # characters of an Idempotency-Key
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
        abort(401, "log in, or send an API token as Authorization: Bearer ...")
    csrf.protect()


def idempotent(view: View) -> View:
    """Carry out a write with an Idempotency-Key only once.

    The write and its response are one transaction. A repeat gets the first response, also a refusal by the
    use case (`FINAL_ERRORS`). What may go better at the next try is not kept: a request that is not valid, a
    missing right, a failure of ours. A repeat during the first request gets 409, and another request with the
    same key gets 422.
    """

    def call(view_of_request: Callable[[], Response], store: Callable[[Response], None]) -> Response:
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


def page_body(items: Sequence[Any], limit: int) -> dict[str, Any]:
    """Return the body of one page: its records, and the cursor of the next page, or None."""
    return {"items": items, "next": items[-1].id if len(items) == limit else None}
