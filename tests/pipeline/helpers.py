"""What the tests of the flow share: a signed delivery, a chair with its photo, the versions made of it."""

from collections.abc import Callable
from datetime import timedelta

from dam_connector.domain.version import Version
from dam_connector.usecases import intake
from dam_connector.wiring import Services
from tests.support import PhotoServer, event_body, inbound, picture, record, signed

Drain = Callable[[], int]


def send(
    services: Services, data: dict, *, message: str = "msg_1", kind: str = "product.created", age_s: float = 0
) -> tuple[str, bool]:
    now = services.clock.now()
    body = event_body(data, kind=kind, at=now - timedelta(seconds=age_s))
    return intake.receive_webhook(services, "main", inbound(body, signed(body, at=now, message=message), now))


def chair(photos: PhotoServer, **changes: object) -> dict:
    photos.files.setdefault("front.jpg", picture())
    return record(**{"images": {"front": photos.url("front.jpg")}, **changes})


def versions(services: Services, sku: str = "CH123") -> dict[str, Version]:
    return {v.asset.deliverable: v for v in reversed(services.assets.of_product(sku))}
