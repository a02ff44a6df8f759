"""The API under /api/v1: the same uses as the pages, for machines. Bearer token, or a session with its CSRF token."""

import hashlib
import json
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar, cast

from flask import Response, abort, make_response, request
from flask.typing import ResponseReturnValue
from flask_smorest import Blueprint

from dam_connector.domain.event import Decision, Verdict
from dam_connector.domain.issue import Waiver
from dam_connector.domain.product import Product
from dam_connector.domain.version import Version, VersionState
from dam_connector.store.idempotency import StoredResponse
from dam_connector.store.users import UserRole
from dam_connector.usecases import intake, publish, review
from dam_connector.web.request_context import csrf, current_user, problem, requires, services, signed_in
from schemas import api as s
from schemas.product import ProductSchema

bp = Blueprint(
    "api", "api", url_prefix="/api/v1", description="Products, versions, decisions, runs, deliveries, rules."
)
View = TypeVar("View", bound=Callable[..., Any])
MAX_KEY = 100


@bp.before_request
def guard() -> None:
    """A session's writes need its CSRF token; a bearer token is proof enough."""
    if request.method not in ("GET", "HEAD", "OPTIONS") and not request.headers.get(
        "Authorization", ""
    ).startswith("Bearer "):
        if current_user() is None:
            abort(401, "log in, or send an API token as Authorization: Bearer ...")
        csrf.protect()


def once(view: View) -> View:
    """A write with an Idempotency-Key is carried out once; a repeat gets the first answer, one that comes while the first is under way 409,
    another request 422."""

    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> ResponseReturnValue:
        given = request.headers.get("Idempotency-Key", "")
        if not given:
            return cast(ResponseReturnValue, view(*args, **kwargs))
        if len(given) > MAX_KEY or not given.isprintable():
            abort(400, f"an Idempotency-Key has at most {MAX_KEY} printable characters")
        key = f"{signed_in().id}:{given}"
        with services().locks.lock(f"answer {key}"):
            return _answered_once(key, lambda: make_response(view(*args, **kwargs)))

    return cast(View, guarded)


def _answered_once(key: str, view: Callable[[], Response]) -> Response:
    digest = hashlib.sha256(f"{request.method} {request.path}\n".encode() + request.get_data()).hexdigest()
    before = services().idempotency.get(key)
    if before and before.request_sha256 != digest:
        return make_response(
            problem(422, "idempotency_key_reused", "this Idempotency-Key came with another request before")
        )
    if before:
        return make_response(before.body, before.status)
    answer = view()
    if answer.status_code < 500:
        body = json.loads(answer.get_data(as_text=True) or "null")
        services().idempotency.add(key, StoredResponse(answer.status_code, digest, body))
    return answer


def _page(items: Sequence[Any], limit: int) -> dict[str, Any]:
    return {"items": items, "next": items[-1].id if len(items) == limit else None}


def _version(version_id: str) -> Version:
    return services().assets.get(version_id) or abort(404, "there is no such version")


@bp.get("/products")
@requires(UserRole.VIEWER)
@bp.arguments(s.ProductArgs, location="query")
@bp.response(200, s.page_of(s.ProductOut))
def products(args: dict[str, Any]) -> dict[str, Any]:
    """Products, newest first."""
    found = services().products.page(
        text=args["q"],
        category=args["category"],
        flagged=args["flagged"],
        before=args["cursor"],
        limit=args["limit"],
    )
    return _page(found, args["limit"])


@bp.post("/products")
@requires(UserRole.MERCHANDISER)
@once
@bp.arguments(ProductSchema)
@bp.response(202, s.TakenOut)
def add_product(product: Product) -> dict[str, Any]:
    """Take a product in, as if its PIM had sent it: what it needs is made."""
    taken = intake.add_product(services(), product, by=signed_in().name)
    return {"sku": product.sku, "outcome": taken.words, "planned": taken.planned}


@bp.get("/products/<sku>")
@requires(UserRole.VIEWER)
@bp.response(200, s.ProductOut)
def product(sku: str) -> Any:
    """One product. SKUs that are not safe in an address are found with `GET /products?q=`."""
    return services().products.get(sku) or abort(404, "there is no such product")


@bp.post("/products/<sku>/runs")
@requires(UserRole.MERCHANDISER)
@once
@bp.response(202, s.TakenOut)
def run_product(sku: str) -> dict[str, Any]:
    """Plan what is missing for a product and retry what failed."""
    count = intake.run_again(services(), sku)
    return {"sku": sku, "outcome": f"{count} under way", "planned": count}


@bp.get("/assets")
@requires(UserRole.VIEWER)
@bp.arguments(s.AssetArgs, location="query")
@bp.response(200, s.AssetOut(many=True))
def assets(args: dict[str, Any]) -> list[dict[str, Any]]:
    """A product's assets with their versions, newest first."""
    grouped: dict[str, list[Version]] = {}
    for version in services().assets.of_product(args["sku"]):
        grouped.setdefault(version.asset.id, []).append(version)
    return [
        {
            "sku": v[0].asset.sku,
            "deliverable": v[0].asset.deliverable,
            "slot": v[0].asset.slot,
            "kind": v[0].asset.kind,
            "latest": v[0].number,
            "published": next((x.number for x in v if x.state is VersionState.PUBLISHED), None),
            "versions": v,
        }
        for v in grouped.values()
    ]


@bp.get("/versions")
@requires(UserRole.VIEWER)
@bp.arguments(s.VersionArgs, location="query")
@bp.response(200, s.page_of(s.VersionOut))
def versions(args: dict[str, Any]) -> dict[str, Any]:
    """Versions, newest first."""
    found = services().assets.page(
        state=args["state"], deliverable=args["deliverable"], before=args["cursor"], limit=args["limit"]
    )
    return _page(found, args["limit"])


@bp.get("/versions/<version_id>")
@requires(UserRole.VIEWER)
@bp.response(200, s.VersionOut)
def version(version_id: str) -> Version:
    """One version with files, report and provenance."""
    return _version(version_id)


@bp.post("/versions/<version_id>/decision")
@requires(UserRole.REVIEWER)
@once
@bp.arguments(s.DecisionIn)
@bp.response(200, s.VersionOut)
def decide(data: dict[str, Any], version_id: str) -> Any:
    """Approve or reject a version in review. 409 when somebody else decided first."""
    decision = Decision(
        verdict=Verdict(data["verdict"]),
        by=signed_in().name,
        reasons=tuple(data["reasons"]),
        note=data["note"],
    )
    review.decide(services(), _version(version_id), decision, source="api", go_live_at=data["go_live_at"])
    return _version(version_id)


@bp.post("/versions/<version_id>/rollback")
@requires(UserRole.REVIEWER)
@once
@bp.response(202, s.VersionOut)
def rollback(version_id: str) -> Any:
    """Make an earlier approved version the live one again, in every channel. 409 when nobody approved it, or it is live."""
    publish.rollback(services(), _version(version_id), by=signed_in().name)
    return _version(version_id)


@bp.post("/versions/<version_id>/withdraw")
@requires(UserRole.REVIEWER)
@once
@bp.arguments(s.WithdrawIn)
@bp.response(202, s.VersionOut)
def withdraw(data: dict[str, Any], version_id: str) -> Any:
    """Take a live version off every channel. 409 when it is not live."""
    publish.withdraw(services(), _version(version_id), by=signed_in().name, reason=data["reason"])
    return _version(version_id)


@bp.post("/versions/<version_id>/regenerate")
@requires(UserRole.REVIEWER)
@once
@bp.arguments(s.RegenerateIn)
@bp.response(202, s.TakenOut)
def regenerate(data: dict[str, Any], version_id: str) -> dict[str, Any]:
    """Make the next version, with a word to whoever makes it; an admin may say who that is."""
    found, user = _version(version_id), signed_in()
    if data["generator"] and not user.role.may(UserRole.ADMIN):
        abort(403, "only admins choose who makes it")
    run = review.regenerate(services(), found, note=data["note"], by=user.name, generator=data["generator"])
    return {
        "sku": found.asset.sku,
        "outcome": "under way" if run else "asked for before",
        "planned": int(run is not None),
    }


@bp.post("/versions/<version_id>/waivers")
@requires(UserRole.ADMIN)
@once
@bp.arguments(s.WaiverIn)
@bp.response(200, s.VersionOut)
def waive(data: dict[str, Any], version_id: str) -> Any:
    """Accept an error of a blocked version, with a reason; recorded."""
    review.waive(
        services(),
        _version(version_id),
        Waiver(code=data["code"], by=signed_in().name, reason=data["reason"], until=data["until"]),
    )
    return _version(version_id)


@bp.get("/runs")
@requires(UserRole.VIEWER)
@bp.arguments(s.RunArgs, location="query")
@bp.response(200, s.page_of(s.RunOut))
def runs(args: dict[str, Any]) -> dict[str, Any]:
    """Runs, newest first."""
    return _page(
        services().runs.page(
            state=args["state"], sku=args["sku"], before=args["cursor"], limit=args["limit"]
        ),
        args["limit"],
    )


@bp.get("/runs/<run_id>")
@requires(UserRole.VIEWER)
@bp.response(200, s.RunOut)
def run(run_id: str) -> Any:
    """One run."""
    return services().runs.get(run_id) or abort(404, "there is no such run")


@bp.post("/runs/<run_id>/retry")
@requires(UserRole.MERCHANDISER)
@once
@bp.response(202, s.RunOut)
def retry(run_id: str) -> Any:
    """Open a failed or cancelled run again, from its last checkpoint."""
    found = services().runs.get(run_id) or abort(404, "there is no such run")
    if not intake.retry(services(), found):
        abort(409, f"the run is {found.state.value}; only failed and cancelled ones are retried")
    return services().runs.get(run_id)


@bp.get("/deliveries")
@requires(UserRole.VIEWER)
@bp.arguments(s.DeliveryArgs, location="query")
@bp.response(200, s.page_of(s.DeliveryOut))
def deliveries(args: dict[str, Any]) -> dict[str, Any]:
    """Webhook deliveries, newest first."""
    return _page(
        services().inbox.page(state=args["state"], before=args["cursor"], limit=args["limit"]), args["limit"]
    )


@bp.get("/deliveries/<delivery_id>")
@requires(UserRole.VIEWER)
@bp.response(200, s.DeliveryOut)
def delivery(delivery_id: str) -> Any:
    """One delivery."""
    return services().inbox.get(delivery_id) or abort(404, "there is no such delivery")


@bp.post("/deliveries/<delivery_id>/replay")
@requires(UserRole.MERCHANDISER)
@once
@bp.response(202, s.DeliveryOut)
def replay(delivery_id: str) -> Any:
    """Handle a delivery once more."""
    intake.replay(services(), delivery_id)
    return services().inbox.get(delivery_id)


@bp.get("/rules")
@requires(UserRole.VIEWER)
@bp.response(200, s.RulesOut)
def rules() -> dict[str, Any]:
    """The rules in force, and what is wrong with plugin.json when it was changed to something that is refused."""
    current = services().rules.current()
    refused = services().rules.problem
    text = services().rules_archive.get(current.fingerprint) or "{}"
    return {
        "fingerprint": current.fingerprint,
        "text": json.loads(text),
        "problem": list(refused.problems) if refused else [],
    }
