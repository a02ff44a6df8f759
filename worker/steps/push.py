"""Push the version into the DAM as "in review", unless its report blocks it."""

from dam_connector.catalog.file_names import product_folder
from dam_connector.errors import NotFound
from dam_connector.ports import PushRequest
from dam_connector.wiring import Services
from worker.work import Work


def push(work: Work, services: Services) -> Work:
    """The same work, in the DAM. Reads: version. Raises: Unavailable, RateLimited, Refused."""
    version = services.assets.get(work.draft)
    if version is None:
        raise NotFound("store", "push", work.draft)
    if version.report.blocked or version.dam_ref:
        return work
    rules = services.rules.current()
    request = PushRequest(
        external_id=f"{work.product.sku}:{work.deliverable.name}:{work.slot}:{version.number}",
        version=version,
        product=work.product,
        folder=product_folder(work.product, rules),
        review_url=f"{services.settings.public}/versions/{version.id}",
    )
    ref = services.dam(rules.review.dam).push(request, services.blobs)
    services.assets.set_dam_ref(version.id, rules.review.dam, ref)
    return work
