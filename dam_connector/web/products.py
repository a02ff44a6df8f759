"""Products: what is known of each, what was made of it, and its facts changed by hand."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from dam_connector.domain.issue import Issue
from dam_connector.domain.version import Version, VersionState
from dam_connector.store.gallery import VersionCard
from dam_connector.store.products import ProductRecord
from dam_connector.store.users import UserRole
from dam_connector.usecases import bulk_review, intake
from dam_connector.web.request_context import PAGE_SIZE, requires, services, signed_in_user
from schemas.product import METRES_PER_UNIT
from schemas.sheet_row import COLUMNS, product_row, read_row

bp = Blueprint("products", __name__, url_prefix="/products")
EDITABLE_COLUMNS = (
    *(
        "product_name",
        "category",
        "brand",
        "color",
        "material",
        "style_tags",
        "width",
        "height",
        "depth",
        "unit",
    ),
    *(column for column in COLUMNS if column.startswith("image_url")),
    *("inspiration_image", "prompt", "number_of_images", "aspect_ratio", "request_type", "live_from"),
)


@bp.get("")
@requires(UserRole.VIEWER)
def index() -> ResponseReturnValue:
    text, flagged = request.args.get("q", "")[:200], request.args.get("flagged") == "1"
    found = services().products.page(
        text=text, flagged=True if flagged else None, before=request.args.get("cursor", ""), limit=PAGE_SIZE
    )
    made: dict[str, list[VersionCard]] = {}
    for card in services().gallery.product_cards([r.product.sku for r in found]):
        made.setdefault(card.asset.sku, []).append(card)
    return render_template(
        "products.html",
        records=found,
        made=made,
        q=text,
        flagged=flagged,
        total=services().products.counts()["all"],
        next=found[-1].id if len(found) == PAGE_SIZE else None,
    )


@bp.get("/<product_id>")
@requires(UserRole.VIEWER)
def product(product_id: str) -> ResponseReturnValue:
    record = services().products.by_id(product_id) or abort(404)
    return _product_page(record, product_row(record.product))


def _product_page(record: ProductRecord, cells: Mapping[str, str], wrong: Sequence[Issue] = ()) -> str:
    """The product's page. cells: of the form that changes its facts. wrong: what cannot be taken of it."""
    by_asset: dict[str, list[Version]] = {}
    for v in services().assets.of_product(record.product.sku):
        by_asset.setdefault(v.asset.id, []).append(v)
    live = any(
        v.state is VersionState.PUBLISHED and v.asset.kind == "model"
        for group in by_asset.values()
        for v in group
    )
    return render_template(
        "product.html",
        record=record,
        cells=cells,
        wrong=wrong,
        columns={name: COLUMNS[name] for name in EDITABLE_COLUMNS},
        units=METRES_PER_UNIT,
        assets=list(by_asset.values()),
        live=live,
        runs=services().runs.page(sku=record.product.sku, limit=30),
        history=services().history.entries(sku=record.product.sku, limit=40),
    )


@bp.post("/<product_id>/run")
@requires(UserRole.MERCHANDISER)
def run_product(product_id: str) -> ResponseReturnValue:
    record = services().products.by_id(product_id) or abort(404)
    count = intake.run_again(services(), record.product.sku)
    flash(
        f"{count} under way." if count else "Nothing to do: everything is made from these facts already.",
        "info",
    )
    return redirect(url_for("products.product", product_id=product_id))


@bp.post("/<product_id>/edit")
@requires(UserRole.MERCHANDISER)
def edit(product_id: str) -> ResponseReturnValue:
    """Change the facts, and make what that changes: next versions, nothing is overwritten."""
    record = services().products.by_id(product_id) or abort(404)
    cells = {
        **product_row(record.product),
        **{name: request.form.get(name, "").strip()[:2000] for name in EDITABLE_COLUMNS},
    }
    read, wrong = read_row(cells, {name: name for name in cells})
    if read is None:
        return _product_page(record, cells, wrong), 422
    was, before = record.product, product_row(record.product)
    resized = any(cells[name] != before[name] for name in ("width", "height", "depth", "unit"))
    changed = replace(
        read,
        dimensions=read.dimensions
        if resized
        else was.dimensions,  # what went through centimetres differs in the last digit
        attributes=was.attributes,
        description=request.form.get("description", "").strip()[:5000],
    )
    taken = intake.edit_product(services(), record, changed, by=signed_in_user().name)
    flash(
        f"Saved. {taken.planned} next versions are being made."
        if taken.planned
        else "Saved. Nothing has to be made again.",
        "info",
    )
    return redirect(url_for("products.product", product_id=product_id))


@bp.post("/<product_id>/again")
@requires(UserRole.MERCHANDISER)
def regenerate_all(product_id: str) -> ResponseReturnValue:
    """The next version of every asset, from the same facts."""
    record = services().products.by_id(product_id) or abort(404)
    newest = {
        m.card.asset.id: m.card.id
        for m in reversed(
            services().gallery.manifest_versions([record.product.sku]).get(record.product.sku, [])
        )
    }
    outcome = bulk_review.regenerate_all(services(), newest.values(), note="", by=signed_in_user().name)
    flash(
        f"{len(outcome.done)} next versions are being made."
        if outcome.done
        else "They were asked for before.",
        "info",
    )
    return redirect(url_for("products.product", product_id=product_id))
