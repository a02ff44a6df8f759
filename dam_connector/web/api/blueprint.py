"""The blueprint of the API, with the CSRF check, the Idempotency-Key and the pagination of its endpoints."""

import hashlib
import json
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar, cast

import flask
from flask import Response, abort, g, make_response, request
from flask.typing import ResponseReturnValue
from flask_smorest import Blueprint
from webargs.flaskparser import FlaskParser

from dam_connector.domain.outside_values import decode_json
from dam_connector.store.idempotency import StoredResponse
from dam_connector.web.request_context import csrf, current_user, error_response, services, signed_in_user


class _JsonParser(FlaskParser):
    """Reads bodies; JSON that cannot be worked with is answered like what is no JSON."""

    def _raw_load_json(self, req: flask.Request) -> Any:
        if not req.is_json or not req.get_data(cache=True):
            return super()._raw_load_json(req)
        try:
            return decode_json(req.get_data(cache=True))
        except (json.JSONDecodeError, UnicodeDecodeError):
            raise
        except ValueError as error:
            raise json.JSONDecodeError(str(error), "x", 0) from error


class _ApiBlueprint(Blueprint):
    ARGUMENTS_PARSER = _JsonParser()


bp = _ApiBlueprint(
    "api", "api", url_prefix="/api/v1", description="Products, versions, decisions, runs, deliveries, rules."
)
View = TypeVar("View", bound=Callable[..., Any])
MAX_KEY_LENGTH = 100  # characters of an Idempotency-Key


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

    The write and its response are one transaction. A repeat gets the first response. A repeat during the
    first request gets 409, and another request with the same key gets 422.
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
            return _stored_response(key) or call(view_of_request, _store_under(key))

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
