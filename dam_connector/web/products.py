"""The pages of products: the list, and one product with its assets and facts to edit."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from dam_connector.domain.brought_model import BROUGHT_MODEL, MAX_MODEL_BYTES
from dam_connector.domain.issue import Issue, Severity
from dam_connector.domain.issue_codes import CODES, known_code
from dam_connector.domain.product import INSPIRATION, SWATCH, Capture, Product, View
from dam_connector.domain.version import Version, VersionState
from dam_connector.errors import InputError, Refused
from dam_connector.store.ar_counts import ArCount
from dam_connector.store.gallery import VersionCard
from dam_connector.store.products import ProductRecord
from dam_connector.store.users import UserRole
from dam_connector.usecases import brought_models, bulk_review, intake, photo_uploads, retries
from dam_connector.usecases.shape_relatives import shared_shapes_of
from dam_connector.usecases.source_images import HELD_PREFIX
from dam_connector.web.request_context import PAGE_SIZE, requires, services, signed_in_user
from schemas.numbers_and_units import METRES_PER_UNIT
from schemas.sheet_headers import COLUMNS
from schemas.sheet_rows import product_row, read_row

bp = Blueprint("products", __name__, url_prefix="/products")
MAX_FORM_BYTES = 100_000  # around an uploaded file
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
    *(
        "inspiration_image",
        "model_url",
        "parent",
        "swatch",
        "prompt",
        "number_of_images",
        "aspect_ratio",
        "request_type",
        "live_from",
        "live_until",
    ),
)


# The fields of the form that hold an address, with the key of what was fetched from it.
FETCHED = {
    "image_url": View.FRONT.value,
    **{f"image_url_{view}": view.value for view in View if view is not View.FRONT},
    "inspiration_image": INSPIRATION,
    "model_url": BROUGHT_MODEL,
    "swatch": SWATCH,
}


@bp.url_value_preprocessor
def allow_large_uploads(endpoint: str | None, values: dict[str, object] | None) -> None:
    """Allow larger forms than elsewhere, for models and photos; runs before the CSRF check reads them."""
    limits = {
        "products.upload_model": MAX_MODEL_BYTES,
        "products.upload_photo": services().settings.max_picture_bytes,
    }
    if endpoint in limits:
        request.max_content_length = limits[endpoint] + MAX_FORM_BYTES


@bp.get("")
@requires(UserRole.VIEWER)
def index() -> ResponseReturnValue:
    """Show the products that a search finds, newest first; with `code`, those with an issue of it."""
    text, flagged = request.args.get("q", "")[:200], request.args.get("flagged") == "1"
    code = known_code(asked) if (asked := request.args.get("code", "")) in CODES else None
    found = services().products.page(
        text=text,
        flagged=True if flagged else None,
        code=code,
        before=request.args.get("cursor", ""),
        limit=PAGE_SIZE,
    )
    cards: dict[str, list[VersionCard]] = {}
    for card in services().gallery.product_cards([r.product.sku for r in found]):
        cards.setdefault(card.asset.sku, []).append(card)
    return render_template(
        "products.html",
        records=found,
        cards=cards,
        q=text,
        flagged=flagged,
        only=CODES[code].meaning if code else "",
        total=services().products.counts()["all"],
        next=found[-1].id if len(found) == PAGE_SIZE else None,
    )


@bp.get("/<product_id>")
@requires(UserRole.VIEWER)
def product(product_id: str) -> ResponseReturnValue:
    """Show one product."""
    record = services().products.by_id(product_id) or abort(404)
    return _product_page(record, product_row(record.product))


def _product_page(
    record: ProductRecord,
    cells: Mapping[str, str],
    issues: Sequence[Issue] = (),
    model_issues: Sequence[Issue] = (),
    photo_issues: Sequence[Issue] = (),
) -> str:
    """Render the page of a product.

    Args:
        record: the product.
        cells: the values in the form that edits its facts, by column.
        issues: the errors in these values.
        model_issues: the errors of an uploaded model.
        photo_issues: the errors of an uploaded photo.
    """
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
        form_issues=issues,
        model_issues=model_issues,
        photo_issues=photo_issues,
        photos=record.photos,
        views=list(View),
        fetched=FETCHED,
        uploaded=_uploaded_fields(record.product),
        brought_model=record.sources.get(BROUGHT_MODEL),
        columns={name: COLUMNS[name] for name in EDITABLE_COLUMNS},
        units=METRES_PER_UNIT,
        assets=list(by_asset.values()),
        shapes=shared_shapes_of(services(), record.product, services().rules.current()),
        live=live,
        ar_counts=_ar_counts(record.product.sku),
        base_url=services().settings.base_url,
        version_names={v.id: _version_name(v) for group in by_asset.values() for v in group},
        runs=services().runs.page(sku=record.product.sku, limit=30),
        missing=0 if record.flagged or record.deleted else retries.count_missing(services(), record),
        only_photos_fail=_only_photos_fail(record),
        history=services().history.entries(sku=record.product.sku, limit=40),
    )


def _uploaded_fields(product: Product) -> dict[str, str]:
    """Return the addresses of uploaded files among a product's fields, which mean nothing to people."""
    cells = product_row(product)
    return {name: cells[name] for name in FETCHED if cells[name].startswith(HELD_PREFIX)}


def _only_photos_fail(record: ProductRecord) -> bool:
    """Return whether fetching the photos again may mend all errors of a flagged product."""
    errors = [i for i in record.issues if i.severity is Severity.ERROR]
    return bool(errors) and all(i.code.startswith("source.") for i in errors)


def _ar_counts(sku: str) -> list[ArCount]:
    """Return what shoppers did with a product's models, for admins, if it is counted."""
    is_admin = signed_in_user().role.includes(UserRole.ADMIN)
    return services().ar_counts.of(sku) if is_admin and services().rules.current().viewer.count else []


def _version_name(version: Version) -> str:
    """Return the name of a version on the page of its product, e.g. `lifestyle 2 V3`."""
    slot = f" {version.asset.slot}" if version.asset.slot > 1 else ""
    return f"{version.asset.deliverable}{slot} V{version.number}"


@bp.post("/<product_id>/run")
@requires(UserRole.MERCHANDISER)
def run_product(product_id: str) -> ResponseReturnValue:
    """Make the missing assets of a product and retry its failed runs."""
    record = services().products.by_id(product_id) or abort(404)
    count = retries.rerun_product(services(), record.product.sku)
    again = services().products.by_id(product_id)
    if count:
        flash(f"{count} runs under way.", "info")
    elif again and again.flagged:
        flash("Nothing can be made before the errors are corrected.", "error")
    else:
        flash("Nothing to do: all assets are made from these facts.", "info")
    return redirect(url_for("products.product", product_id=product_id))


@bp.post("/<product_id>/edit")
@requires(UserRole.MERCHANDISER)
def edit(product_id: str) -> ResponseReturnValue:
    """Change the facts of a product and make next versions of the assets that this changes."""
    record = services().products.by_id(product_id) or abort(404)
    uploaded, removed = _uploaded_fields(record.product), request.form.getlist("remove")
    staying = {name: address for name, address in uploaded.items() if name not in removed}
    cells = {
        **product_row(record.product),
        **{
            name: request.form.get(name, "").strip()[:2000] or staying.get(name, "")
            for name in EDITABLE_COLUMNS
        },
    }
    edited, issues = read_row(cells, {name: name for name in cells})
    if edited is None:
        return _product_page(record, cells, issues), 422
    before, cells_before = record.product, product_row(record.product)
    resized = any(cells[name] != cells_before[name] for name in ("width", "height", "depth", "unit"))
    changed = replace(
        edited,
        # the form shows centimetres, which would change the last digit of sizes that nobody edited
        dimensions=edited.dimensions if resized else before.dimensions,
        attributes=before.attributes,
        spin_images=() if Capture.SPIN.field_name in removed else before.spin_images,
        walk_images=() if Capture.WALK.field_name in removed else before.walk_images,
        translations=before.translations,
        description=request.form.get("description", "").strip()[:5000],
    )
    taken = intake.edit_product(services(), record, changed, by=signed_in_user().name)
    flash(
        f"Saved. {taken.planned} next versions are being made."
        if taken.planned
        else "Saved. No asset needs a new version.",
        "info",
    )
    return redirect(url_for("products.product", product_id=product_id))


@bp.post("/<product_id>/photos")
@requires(UserRole.MERCHANDISER)
def upload_photo(product_id: str) -> ResponseReturnValue:
    """Take a photo as the product's photo of a view, and make what this changes."""
    record = services().products.by_id(product_id) or abort(404)
    file, view = request.files.get("file"), request.form.get("view", "")
    if view not in list(View):
        abort(400, "choose which side of the product the photo shows")
    try:
        data, by = file.read() if file else b"", signed_in_user().name
        taken = photo_uploads.upload_photo(services(), record, View(view), data, by=by)
    except InputError as error:
        found = error.to_issue()
        return _product_page(record, product_row(record.product), photo_issues=[found]), 422
    except Refused as error:
        flash(f"{error.reason[:1].upper()}{error.reason[1:]}.", "error")
        return redirect(url_for("products.product", product_id=product_id))
    flash(f"The photo is stored. {taken.summary}.", "info")
    return redirect(url_for("products.product", product_id=product_id))


@bp.post("/<product_id>/model")
@requires(UserRole.MERCHANDISER)
def upload_model(product_id: str) -> ResponseReturnValue:
    """Take a model that was made elsewhere for the product, and make its models from it."""
    record = services().products.by_id(product_id) or abort(404)
    file = request.files.get("file")
    try:
        data = file.read() if file else b""
        taken = brought_models.upload_model(services(), record, data, by=signed_in_user().name)
    except InputError as error:
        found = error.to_issue()
        return _product_page(record, product_row(record.product), model_issues=[found]), 422
    flash(f"The model is stored. {taken.summary}.", "info")
    return redirect(url_for("products.product", product_id=product_id))


@bp.post("/<product_id>/again")
@requires(UserRole.MERCHANDISER)
def regenerate_all(product_id: str) -> ResponseReturnValue:
    """Make the next version of every asset from the same facts."""
    record = services().products.by_id(product_id) or abort(404)
    outcome = bulk_review.regenerate_product(
        services(), record.product.sku, note="", by=signed_in_user().name
    )
    flash(
        f"{len(outcome.done)} next versions are being made."
        if outcome.done
        else "The next versions are being made already.",
        "info",
    )
    return redirect(url_for("products.product", product_id=product_id))
