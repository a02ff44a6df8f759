"""The public AR page of a product: /ar/SKU, with stable addresses of the latest approved files."""

import io
import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import segno
from flask import (
    Blueprint,
    Response,
    abort,
    make_response,
    redirect,
    render_template,
    request,
    send_from_directory,
    url_for,
)
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from dam_connector.domain.product import Product
from dam_connector.domain.shapes import part_colour
from dam_connector.domain.version import Role, Version, VersionFile, VersionState
from dam_connector.store.ar_counts import ArEvent
from dam_connector.store.products import ProductRecord
from dam_connector.usecases.shared_shapes import joined_model
from dam_connector.web.ar_languages import Reader, requested_reader
from dam_connector.web.rate_limit import limit_rate
from dam_connector.web.request_context import csrf, error_response, services

bp = Blueprint("viewer", __name__)
CHANNEL_ADAPTER = "viewer"
COUNTS_PER_MINUTE = 120  # of one address
EMBED_CACHE_S = 3600  # shops take a new release of the script within an hour
THEMES = ("light", "dark", "system")  # of the words of the page, by `?theme=`
SIDES = ("hero", "front", "right", "back", "left", "top")  # previews that shoppers see


@bp.get("/ar/<path:sku>")
def page(sku: str) -> ResponseReturnValue:
    """Show the product in 3D and, on a phone, in the room at its real size; 404 unless a model is live.

    Where one model has the colours of several products, it is shown in this product's.
    """
    record, versions = _live_versions(sku)
    joined, colour = _joined_model(record)
    own = next((v for v in versions if v.file("glb") and v != joined), None)
    model = joined or own
    if model is None:
        abort(404)
    shown = own or model
    address, web = _page_address(sku), model.file("web")
    product = record.product.in_locale(requested_reader().language)
    frames = next((v.spin_frames for v in versions if v.spin_frames), ())
    return _shop_page(
        "ar_page.html",
        product=product,
        glb=_url(web or model.file("glb")),
        plain_glb=_url(model.file("glb")),
        is_packed=web is not None,
        colour=colour,
        usdz=_url(shown.file("usdz")),
        model=model,
        poster=_url(_poster(shown, sku)),
        pictures=[_url(f) for f in frames or _previews(shown, sku)],
        is_spin=bool(frames),
        labels=_size_labels(record.product, requested_reader()),
        address=address,
        linked_data=json.dumps(_linked_data(product, shown, address)).replace("<", "\\u003c"),
    )


@bp.post("/ar/<path:sku>/count")
@csrf.exempt
def count(sku: str) -> ResponseReturnValue:
    """Count that the page showed a model or that a shopper pressed the AR button; nothing else is stored.

    Browsers that ask not to be tracked are not counted, although a sum tells of nobody.
    """
    limit_rate(COUNTS_PER_MINUTE)
    if not services().rules.current().viewer.count:
        abort(404)
    event = {"view": ArEvent.VIEW, "ar": ArEvent.START}.get(request.args.get("event", ""))
    _, versions = _live_versions(sku)
    version = next((v for v in versions if v.id == request.args.get("version")), None)
    if event is None or version is None:
        abort(404)
    if "1" not in (request.headers.get("DNT"), request.headers.get("Sec-GPC")):
        services().ar_counts.add(version, event)
    return "", 204


@bp.get("/embed/dam-viewer.js")
def embed_script() -> Response:
    """Send the script of the element `<dam-viewer sku="...">` to shops on other origins."""
    response = send_from_directory(Path(__file__).parent / "static", "dam-viewer.js")
    response.headers["Cache-Control"] = f"public, max-age={EMBED_CACHE_S}"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


@bp.errorhandler(404)
def missing(error: HTTPException) -> ResponseReturnValue:
    """Answer shoppers in their language when a product is not shown, and machines in JSON."""
    if request.endpoint != "viewer.page" or request.accept_mimetypes.best == "application/json":
        return error_response(404, "not_found", str(error.description))
    return _shop_page("ar_missing.html"), 404


def _shop_page(template: str, **values: object) -> Response:
    """Render a page for shoppers in the language of the request."""
    reader = requested_reader()
    is_embedded = "embed" in request.args
    theme = request.args.get("theme", "")
    if theme not in THEMES:  # a shop's page is mostly light, whatever the shopper's system is
        theme = "light" if is_embedded else "system"
    response = make_response(
        render_template(
            template,
            reader=reader,
            css=_page_css(),
            look=services().rules.current().viewer,
            embedded=is_embedded,
            theme=theme,
            **values,
        )
    )
    response.headers["Content-Language"] = reader.language
    response.vary.add("Accept-Language")
    return response


@cache
def _page_css() -> str:
    """Return the style of the page, which is sent within it: one journey less until the first picture."""
    return (Path(__file__).parent / "static" / "ar.css").read_text(encoding="utf-8")


def _joined_model(record: ProductRecord | None) -> tuple[Version | None, str]:
    """Return the live model with the colours of several products and this one's name there, or None."""
    rules = services().rules.current()
    if record is None or record.deleted:
        return None, ""
    owner, names = joined_model(services(), record.product, rules)
    for version in _live_of(services().products.get(owner)) if owner else ():
        colour = part_colour(version.provenance, record.product.sku)
        if version.asset.deliverable in names and colour:
            return version, colour
    return None, ""


def _poster(model: Version, sku: str) -> VersionFile | None:
    """Return the picture that is shown until a model is there; None for one in another product's colour."""
    if model.asset.sku != sku:
        return None
    return model.file(role=Role.PREVIEW, view="hero") or model.list_picture


def _previews(model: Version, sku: str) -> list[VersionFile]:
    """Return the pictures of a model from its named sides; none of one in another product's colour."""
    if model.asset.sku != sku:
        return []
    return [f for view in SIDES if (f := model.file(role=Role.PREVIEW, view=view))]


def _size_labels(product: Product, reader: Reader) -> list[dict[str, str]]:
    """Return the known sizes of a product as words by axis, in the reader's units and in the other ones."""
    other = replace(reader, imperial=not reader.imperial)
    return [
        {
            "axis": axis,
            "text": f"{reader.texts[axis]} {reader.length(value)}",
            "other": f"{reader.texts[axis]} {other.length(value)}",
        }
        for axis in ("width", "height", "depth")
        if (value := getattr(product.dimensions, f"{axis}_m"))
    ]


@bp.get("/ar/<path:sku>/latest/<deliverable>.<extension>")
def latest(sku: str, deliverable: str, extension: str) -> ResponseReturnValue:
    """Redirect from an address that never changes to the newest live file of a deliverable's first slot.

    With `?w=400`, to its file in that size, where plugin.json names it.
    """
    _, versions = _live_versions(sku)
    size = request.args.get("w", "")
    file_format = "jpeg" if extension == "jpg" else extension
    files = [
        f
        for v in versions
        if v.asset.deliverable == deliverable
        for f in v.files
        if f.role not in (Role.PREVIEW, Role.EVIDENCE) and (f.view if f.role is Role.SIZE else "") == size
    ]
    found = next((f for f in files if f.format == file_format), None)
    if found is None:
        abort(404)
    response = redirect(url_for("files.file", sha256=found.sha256, name=found.name))
    response.headers["Cache-Control"] = "no-cache"
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response


@bp.get("/ar/<path:sku>/qr.svg")
def qr(sku: str) -> ResponseReturnValue:
    """Send the address of the page as a QR code."""
    _live_versions(sku)
    out = io.BytesIO()
    code = segno.make(_page_address(sku), error="m")
    code.save(out, kind="svg", scale=4, border=2, dark="#111", light="#fff")
    return Response(
        out.getvalue(), mimetype="image/svg+xml", headers={"Cache-Control": "public, max-age=3600"}
    )


def _page_address(sku: str) -> str:
    return f"{services().settings.base_url}{url_for('viewer.page', sku=sku)}"


def _live_versions(sku: str) -> tuple[ProductRecord, list[Version]]:
    """Return the product and its versions that are live in a viewer channel, or abort with 404.

    A model of another product that has its colour is among them.
    """
    record = services().products.get(sku)
    live = _live_of(record)
    joined, _ = _joined_model(record)
    if record is None or not (live or joined):
        abort(404)
    return record, live if joined is None or joined in live else [*live, joined]


def _live_of(record: ProductRecord | None) -> list[Version]:
    """Return the versions of a product that are live in a viewer channel; none of a deleted product."""
    if record is None or record.deleted:
        return []
    sku = record.product.sku
    viewers = {
        name
        for name, channel in services().rules.current().channel.items()
        if channel.adapter == CHANNEL_ADAPTER
    }
    published_ids = {
        p.version_id: p.channel for p in services().publications.of_product(sku) if p.channel in viewers
    }
    return [
        v.for_channel(published_ids[v.id])
        for v in services().assets.of_product(sku)
        if v.id in published_ids and v.state is not VersionState.WITHDRAWN
    ]


def _url(file: VersionFile | None) -> str:
    return url_for("files.file", sha256=file.sha256, name=file.name) if file else ""


def _linked_data(product: Product, model: Version, address: str) -> dict[str, object]:
    """Return the product and its model as JSON-LD of schema.org."""
    base = services().settings.base_url
    media = [
        {"@type": "MediaObject", "contentUrl": base + _url(f), "encodingFormat": f.mime}
        for f in model.files
        if f.format in ("glb", "usdz")
    ]
    data: dict[str, object] = {
        "@context": "https://schema.org",
        "@type": "Product",
        "sku": product.sku,
        "name": product.name,
        "url": address,
        "subjectOf": {"@type": "3DModel", "encoding": media},
    }
    poster = model.list_picture
    if poster:
        data["image"] = base + _url(poster)
    if product.brand:
        data["brand"] = {"@type": "Brand", "name": product.brand}
    if product.description:
        data["description"] = product.description
    for axis in ("width", "height", "depth"):
        value = getattr(product.dimensions, f"{axis}_m")
        if value:
            data[axis] = {"@type": "QuantitativeValue", "value": value, "unitCode": "MTR"}
    return data
