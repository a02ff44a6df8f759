"""Endpoints of the API for products and their assets."""

from typing import Any

from flask import abort

from dam_connector.domain.product import Product
from dam_connector.domain.version import Version, VersionState
from dam_connector.store.users import UserRole
from dam_connector.usecases import intake, retries
from dam_connector.web.api.blueprint import bp, idempotent_with_fetches, page_body, record_response
from dam_connector.web.request_context import requires, services, signed_in_user
from schemas import api as s
from schemas.product import ProductSchema


@bp.get("/products")
@requires(UserRole.VIEWER)
@bp.arguments(s.ProductArgs, location="query")
@bp.response(200, s.page_of(s.ProductOut))
def products(args: dict[str, Any]) -> dict[str, Any]:
    """List products, newest first."""
    found = services().products.page(
        text=args["q"],
        category=args["category"],
        flagged=args["flagged"],
        before=args["cursor"],
        limit=args["limit"],
    )
    return page_body(found, args["limit"])


@bp.post("/products")
@requires(UserRole.MERCHANDISER)
@idempotent_with_fetches
@bp.arguments(ProductSchema)
@bp.response(202, s.TakenOut)
def add_product(product: Product) -> dict[str, Any]:
    """Add a product, as if its PIM had sent it, and make its assets."""
    body: dict[str, Any] = {}

    def record(result: intake.IntakeResult) -> None:
        body.update(sku=product.sku, outcome=result.summary, planned=result.planned)
        record_response(body, 202)

    intake.add_product(services(), product, by=signed_in_user().name, record=record)
    return body


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
        body.update(sku=sku, outcome=f"{count} under way", planned=count)
        record_response(body, 202)

    retries.rerun_product(services(), sku, record_count=record)
    return body


@bp.get("/assets")
@requires(UserRole.VIEWER)
@bp.arguments(s.AssetArgs, location="query")
@bp.response(200, s.AssetOut(many=True))
def assets(args: dict[str, Any]) -> list[dict[str, Any]]:
    """List the assets of a product with their versions, newest first."""
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
