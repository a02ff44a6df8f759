"""Endpoints of the API for products and their assets."""

from collections.abc import Callable
from typing import Any

from flask import abort, request
from flask_smorest.fields import Upload
from marshmallow import Schema, ValidationError

from dam_connector.domain.brought_model import MAX_MODEL_BYTES
from dam_connector.domain.product import Product
from dam_connector.domain.version import Version, VersionState
from dam_connector.store.users import UserRole
from dam_connector.usecases import brought_models, bulk_review, intake, retries
from dam_connector.usecases.product_intake import IntakeResult
from dam_connector.web.api.blueprint import (
    bp,
    idempotent,
    idempotent_with_fetches,
    page_body,
    record_response,
    refuse,
    requested_changes,
)
from dam_connector.web.request_context import requires, services, signed_in_user
from schemas import api as s
from schemas import api_versions as v
from schemas.common import problem_lines
from schemas.product import ProductSchema, dump_product, load_product, unknown_keys

MAX_FORM_BYTES = 100_000  # around an uploaded file


@bp.get("/products")
@requires(UserRole.VIEWER)
@bp.arguments(s.ProductArgs, location="query")
@bp.response(200, s.page_of(s.ProductOut))
def products(args: dict[str, Any]) -> dict[str, Any]:
    """List products, newest first."""
    changes = requested_changes(args)
    found = services().products.page(
        text=args["q"],
        category=args["category"],
        flagged=args["flagged"],
        sku=args["sku"],
        changes=changes,
        before="" if changes else args["cursor"],
        limit=args["limit"],
    )
    return page_body(found, args["limit"], changes)


@bp.post("/products")
@requires(UserRole.MERCHANDISER)
@idempotent_with_fetches
@bp.arguments(ProductSchema)
@bp.response(202, s.TakenOut)
def add_product(product: Product) -> dict[str, Any]:
    """Add a product, as if its PIM had sent it, and make its assets.

    Keys that are none of ours are named in `ignored`. One that looks like a mistyped key of ours is refused.
    """
    body, record = _taken(product.sku, _ignored_keys())
    intake.add_product(services(), product, by=signed_in_user().name, record=record)
    return body


def _ignored_keys() -> list[str]:
    """Return the keys of the sent record that are none of ours; abort with 422 on mistyped ones."""
    mistyped, ignored = unknown_keys(request.get_json())
    if mistyped:
        refuse(f"/json{line}" for line in mistyped)
    return ignored


def _taken(sku: str, ignored: list[str]) -> tuple[dict[str, Any], Callable[[IntakeResult], None]]:
    """Return the body of an answer, and the function that fills and stores it with the result."""
    body: dict[str, Any] = {}

    def record(result: IntakeResult) -> None:
        body.update(sku=sku, outcome=result.summary, planned=result.planned, ignored=ignored)
        record_response(body, 202)

    return body, record


@bp.patch("/products/<path:sku>")
@requires(UserRole.MERCHANDISER)
@idempotent_with_fetches
@bp.arguments(s.ProductPatch)
@bp.response(202, s.TakenOut)
def edit_product(data: dict[str, Any], sku: str) -> dict[str, Any]:
    """Change facts of a product and make next versions of the assets that this changes.

    Send only the keys of the record to be changed; objects are replaced whole. A later change in its PIM
    replaces them.
    """
    stored = services().products.get(sku) or abort(404, "there is no such product")
    if data.get("sku", sku) != sku:
        abort(422, "a product keeps its SKU")
    ignored = _ignored_keys()
    try:
        changed = load_product({**dump_product(stored.product), **request.get_json()})
    except ValidationError as error:
        refuse(problem_lines(error.messages, ProductSchema(), ("json",)))
    body, record = _taken(sku, ignored)
    intake.edit_product(services(), stored, changed, by=signed_in_user().name, record=record)
    return body


class ModelIn(Schema):
    """A model that was made elsewhere."""

    file = Upload(required=True)


@bp.url_value_preprocessor
def allow_large_models(endpoint: str | None, values: dict[str, object] | None) -> None:
    """Allow larger bodies for models than elsewhere."""
    if endpoint == "api.upload_model":
        request.max_content_length = MAX_MODEL_BYTES + MAX_FORM_BYTES


@bp.post("/products/<path:sku>/model")
@requires(UserRole.MERCHANDISER)
@bp.arguments(ModelIn, location="files")
@bp.response(202, s.TakenOut)
def upload_model(files: dict[str, Any], sku: str) -> dict[str, Any]:
    """Take a model that was made elsewhere, and make the product's models from it.

    GLB, glTF, USDZ, OBJ, STEP, or a ZIP with its files. The same file again makes nothing new. Set
    `model_url` to an empty text to make models from photos again.
    """
    stored = services().products.get(sku) or abort(404, "there is no such product")
    taken = brought_models.upload_model(services(), stored, files["file"].read(), by=signed_in_user().name)
    return {"sku": sku, "outcome": taken.summary, "planned": taken.planned, "ignored": []}


@bp.post("/products/<path:sku>/regenerate")
@requires(UserRole.MERCHANDISER)
@idempotent
@bp.arguments(v.BulkNoteIn, required=False)
@bp.response(202, v.BulkOut)
def regenerate_product(data: dict[str, Any], sku: str) -> dict[str, Any]:
    """Make the next version of every asset of a product, from the same facts."""
    if services().products.get(sku) is None:
        abort(404, "there is no such product")
    by = signed_in_user().name
    result = bulk_review.regenerate_product(services(), sku, note=data["note"], by=by)
    return {"done": result.done, "refused": result.refused, "more": False}


@bp.get("/products/<path:sku>")
@requires(UserRole.VIEWER)
@bp.response(200, s.ProductOut)
def product(sku: str) -> Any:
    """Return one product. Find a SKU that is not safe in a URL with `GET /products?q=`."""
    return services().products.get(sku) or abort(404, "there is no such product")


@bp.post("/products/<path:sku>/runs")
@requires(UserRole.MERCHANDISER)
@idempotent_with_fetches
@bp.response(202, s.TakenOut)
def run_product(sku: str) -> dict[str, Any]:
    """Make the missing assets of a product and retry its failed runs."""
    body: dict[str, Any] = {}

    def record(count: int) -> None:
        body.update(sku=sku, outcome=f"{count} under way", planned=count, ignored=[])
        record_response(body, 202)

    retries.rerun_product(services(), sku, record_count=record)
    return body


@bp.get("/assets")
@requires(UserRole.VIEWER)
@bp.arguments(v.AssetArgs, location="query")
@bp.response(200, v.AssetOut(many=True))
def assets(args: dict[str, Any]) -> list[dict[str, Any]]:
    """List the assets of a product with their versions, newest first."""
    grouped: dict[str, list[Version]] = {}
    for version in services().assets.of_product(args["sku"]):
        grouped.setdefault(version.asset.id, []).append(version)
    return [
        {
            "sku": versions[0].asset.sku,
            "deliverable": versions[0].asset.deliverable,
            "slot": versions[0].asset.slot,
            "kind": versions[0].asset.kind,
            "latest": versions[0].number,
            "published": next((x.number for x in versions if x.state is VersionState.PUBLISHED), None),
            "versions": versions,
        }
        for versions in grouped.values()
    ]
