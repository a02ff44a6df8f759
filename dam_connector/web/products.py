"""Products: what is known of each, what was made of it, and its facts changed by hand."""

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from dam_connector.catalog.version import Version, VersionState
from dam_connector.flow import intake
from dam_connector.store.users import UserRole
from dam_connector.web.context import PAGE, requires, services

bp = Blueprint("products", __name__, url_prefix="/products")


@bp.get("")
@requires(UserRole.VIEWER)
def index() -> ResponseReturnValue:
    text, flagged = request.args.get("q", "")[:200], request.args.get("flagged") == "1"
    found = services().products.page(text=text, flagged=True if flagged else None, before=request.args.get("cursor", ""), limit=PAGE)
    made: dict[str, list[Version]] = {}
    for v in services().assets.of_products([r.product.sku for r in found]):
        made.setdefault(v.asset.sku, []).append(v)
    return render_template(
        "products.html",
        records=found,
        made=made,
        q=text,
        flagged=flagged,
        total=services().products.counts()["all"],
        next=found[-1].id if len(found) == PAGE else None,
    )


@bp.get("/<product_id>")
@requires(UserRole.VIEWER)
def product(product_id: str) -> ResponseReturnValue:
    record = services().products.by_id(product_id) or abort(404)
    by_asset: dict[str, list[Version]] = {}
    for v in services().assets.of_product(record.product.sku):
        by_asset.setdefault(v.asset.id, []).append(v)
    live = any(v.state is VersionState.PUBLISHED and v.asset.kind == "model" for group in by_asset.values() for v in group)
    return render_template(
        "product.html",
        record=record,
        assets=list(by_asset.values()),
        live=live,
        runs=services().runs.page(sku=record.product.sku, limit=30),
        history=services().ledger.history(sku=record.product.sku, limit=40),
    )


@bp.post("/<product_id>/run")
@requires(UserRole.MERCHANDISER)
def run_product(product_id: str) -> ResponseReturnValue:
    record = services().products.by_id(product_id) or abort(404)
    count = intake.run_again(services(), record.product.sku)
    flash(f"{count} under way." if count else "Nothing to do: everything is made from these facts already.", "info")
    return redirect(url_for("products.product", product_id=product_id))
