"""The blueprint of the API and what its endpoints share: the CSRF guard, the Idempotency-Key, pages by cursor."""

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
MAX_KEY_LENGTH = 100


@bp.before_request
def require_csrf_token() -> None:
    """A session's writes need its CSRF token; a bearer token is proof enough."""
    if request.method not in ("GET", "HEAD", "OPTIONS") and not request.headers.get(
        "Authorization", ""
    ).startswith("Bearer "):
        if current_user() is None:
            abort(401, "log in, or send an API token as Authorization: Bearer ...")
        csrf.protect()


def idempotent(view: View) -> View:
    """A write with an Idempotency-Key is carried out once; a repeat gets the first answer, one that comes while the first is under way 409,
    another request 422."""

    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> ResponseReturnValue:
        given = request.headers.get("Idempotency-Key", "")
        if not given:
            return cast(ResponseReturnValue, view(*args, **kwargs))
        if len(given) > MAX_KEY_LENGTH or not given.isprintable():
            abort(400, f"an Idempotency-Key has at most {MAX_KEY_LENGTH} printable characters")
        key = f"{signed_in_user().id}:{given}"
        with services().locks.lock(f"answer {key}"):
            return _first_response(key, lambda: make_response(view(*args, **kwargs)))

    return cast(View, guarded)


def _first_response(key: str, view: Callable[[], Response]) -> Response:
    digest = hashlib.sha256(f"{request.method} {request.path}\n".encode() + request.get_data()).hexdigest()
    before = services().idempotency.get(key)
    if before and before.request_sha256 != digest:
        return make_response(
            error_response(
                422, "idempotency_key_reused", "this Idempotency-Key came with another request before"
            )
        )
    if before:
        return make_response(before.body, before.status)
    answer = view()
    if answer.status_code < 500:
        body = json.loads(answer.get_data(as_text=True) or "null")
        services().idempotency.add(key, StoredResponse(answer.status_code, digest, body))
    return answer


def page_body(items: Sequence[Any], limit: int) -> dict[str, Any]:
    return {"items": items, "next": items[-1].id if len(items) == limit else None}
