"""Push the version to the DAM as "in review", unless its report blocks it."""

from dam_connector.domain.file_names import product_folder
from dam_connector.domain.version import Role, Version
from dam_connector.ports import PushRequest
from dam_connector.wiring import Services
from worker.imaging.decode import decode
from worker.imaging.encode import encode
from worker.work import Work

MAX_PIXELS = 4_000_000  # of a preview that we rendered


def push_to_dam(work: Work, services: Services) -> Work:
    """Upload the version once.

    Reads: version. Adds: nothing.

    Raises:
        Unavailable, RateLimited, Refused: The DAM failed.
    """
    version = work.version(services, "push")
    if version.report.blocked or version.dam_ref:
        return work
    rules = services.rules.current()
    dam = services.dam(rules.review.dam)
    request = PushRequest(
        external_id=f"{work.product.sku}:{work.deliverable.name}:{work.slot}:{version.number}",
        version=version,
        product=work.product,
        folder=product_folder(work.product, rules),
        review_url=f"{services.settings.base_url}/versions/{version.id}",
        preview=b"" if dam.capabilities.is_reviewed_here else _preview(version, services),
    )
    ref = dam.push(request, services.blobs)
    services.assets.set_dam_ref(version.id, rules.review.dam, ref)
    return work


def _preview(version: Version, services: Services) -> bytes:
    """Return a JPEG of a model, for DAMs that cannot show one. A picture needs none: its preview is empty."""
    hero = version.file(role=Role.PREVIEW, view="hero") if version.asset.kind == "model" else None
    if hero is None:
        return b""
    return encode(decode(services.blobs.get(hero.sha256), max_pixels=MAX_PIXELS).rgb, None, "jpeg")
