"""The AR page of a product: /ar/SKU, with stable addresses of the latest approved files. Unpublished is 404."""

import io
import json

import segno
from flask import Blueprint, Response, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from dam_connector.domain.product import Product
from dam_connector.domain.version import Role, Version, VersionFile, VersionState
from dam_connector.store.products import ProductRecord
from dam_connector.web.request_context import services

bp = Blueprint("viewer", __name__)
CHANNEL_ADAPTER = "viewer"


@bp.get("/ar/<sku>")
def page(sku: str) -> ResponseReturnValue:
    """The product in 3D, in the room, at its real size."""
    record, versions = _live_versions(sku)
    model = next((v for v in versions if v.file("glb")), None)
    if model is None:
        abort(404)
    picture = next((v for v in versions if v.asset.kind == "image"), None)
    rules, address = (
        services().rules.current(),
        f"{services().settings.public}{url_for('viewer.page', sku=sku)}",
    )
    return render_template(
        "ar.html",
        product=record.product,
        model=model,
        glb=_url(model.file("glb")),
        usdz=_url(model.file("usdz")),
        poster=_url(model.file(role=Role.PREVIEW, view="hero")),
        picture=picture,
        look=rules.viewer,
        address=address,
        linked_data=json.dumps(_linked_data(record.product, model, address)).replace("<", "\\u003c"),
        embedded="embed" in request.args,
    )


@bp.get("/ar/<sku>/latest/<deliverable>.<extension>")
def latest(sku: str, deliverable: str, extension: str) -> ResponseReturnValue:
    """The latest approved file of a deliverable's first slot, under an address that never changes."""
    _, versions = _live_versions(sku)
    wanted = "jpeg" if extension == "jpg" else extension
    files = [
        f
        for v in versions
        if v.asset.deliverable == deliverable
        for f in v.files
        if f.role not in (Role.PREVIEW, Role.EVIDENCE)
    ]
    found = next((f for f in files if f.format == wanted), None)
    if found is None:
        abort(404)
    answer = redirect(url_for("files.file", sha256=found.sha256, name=found.name))
    answer.headers["Cache-Control"] = "no-cache"
    answer.headers["Access-Control-Allow-Origin"] = "*"
    return answer


@bp.get("/ar/<sku>/qr.svg")
def qr(sku: str) -> ResponseReturnValue:
    """The page's address as a QR code."""
    _live_versions(sku)
    out = io.BytesIO()
    segno.make(f"{services().settings.public}{url_for('viewer.page', sku=sku)}", error="m").save(
        out, kind="svg", scale=4, border=2, dark="#111", light="#fff"
    )
    return Response(
        out.getvalue(), mimetype="image/svg+xml", headers={"Cache-Control": "public, max-age=3600"}
    )


def _live_versions(sku: str) -> tuple[ProductRecord, list[Version]]:
    """The product and its versions that are live in the viewer; 404 when there are none."""
    record = services().products.get(sku)
    viewers = {
        name
        for name, channel in services().rules.current().channel.items()
        if channel.adapter == CHANNEL_ADAPTER
    }
    shown = {p.version_id for p in services().publications.of_product(sku) if p.channel in viewers}
    live = [
        v
        for v in services().assets.of_product(sku)
        if v.id in shown and v.state is not VersionState.WITHDRAWN
    ]
    if record is None or record.deleted or not live:
        abort(404)
    return record, live


def _url(file: VersionFile | None) -> str:
    return url_for("files.file", sha256=file.sha256, name=file.name) if file else ""


def _linked_data(product: Product, model: Version, address: str) -> dict[str, object]:
    """schema.org Product with its 3DModel."""
    base = services().settings.public
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
