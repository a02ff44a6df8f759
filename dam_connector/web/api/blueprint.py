"""The blueprint of the API, with the CSRF check, the Idempotency-Key and the pagination of its endpoints."""

import hashlib
import json
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar, cast

from flask import Response, abort, make_response, request
from flask.typing import ResponseReturnValue
from flask_smorest import Blueprint

from dam_connector.store.idempotency import StoredResponse
from dam_connector.web.request_context import csrf, current_user, error_response, services, signed_in_user

bp = Blueprint(
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

    A repeat gets the first response. A repeat during the first request gets 409, and another request with the
    same key gets 422.
    """

    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> ResponseReturnValue:
        key_header = request.headers.get("Idempotency-Key", "")
        if not key_header:
            return cast(ResponseReturnValue, view(*args, **kwargs))
        if len(key_header) > MAX_KEY_LENGTH or not key_header.isprintable():
            abort(400, f"an Idempotency-Key may have at most {MAX_KEY_LENGTH} printable characters")
        key = f"{signed_in_user().id}:{key_header}"
        with services().locks.lock(f"answer {key}"):
            return _first_response(key, lambda: make_response(view(*args, **kwargs)))

    return cast(View, guarded)


def _first_response(key: str, view: Callable[[], Response]) -> Response:
    """Return the stored response for a key; without one, call the view and store its response."""
    digest = hashlib.sha256(f"{request.method} {request.path}\n".encode() + request.get_data()).hexdigest()
    stored = services().idempotency.get(key)
    if stored and stored.request_sha256 != digest:
        return make_response(
            error_response(
                422,
                "idempotency_key_reused",
                "this Idempotency-Key was used for another request; choose a new key",
            )
        )
    if stored:
        return make_response(stored.body, stored.status)
    response = view()
    if response.status_code < 500:
        body = json.loads(response.get_data(as_text=True) or "null")
        services().idempotency.add(key, StoredResponse(response.status_code, digest, body))
    return response


def page_body(items: Sequence[Any], limit: int) -> dict[str, Any]:
    """Return the body of one page: its records, and the cursor of the next page, or None."""
    return {"items": items, "next": items[-1].id if len(items) == limit else None}
