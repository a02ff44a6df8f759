"""What the tests of the flow share: a signed delivery, a chair with its photo, the versions made of it."""

import json
from collections.abc import Callable
from datetime import timedelta

from flask.testing import FlaskClient

from dam_connector.app import create_app
from dam_connector.domain.event import Decision, Verdict
from dam_connector.domain.version import Version
from dam_connector.store.users import UserRole
from dam_connector.usecases import intake, maintenance, review
from dam_connector.wiring import Services
from tests.support import PhotoServer, event_body, inbound, picture, record, signed

Drain = Callable[[], int]
Rules = Callable[..., None]
APPROVED = Decision(verdict=Verdict.APPROVED, by="ann")
PACKSHOT = {
    "name": "packshot",
    "kind": "rendition",
    "size_px": 320,
    "formats": ["jpeg"],
    "channels": ["viewer", "shop"],
}


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


def newest(services: Services, deliverable: str = "packshot", sku: str = "CH123") -> Version:
    return next(v for v in services.assets.of_product(sku) if v.asset.deliverable == deliverable)


def live(services: Services) -> list[str]:
    return [
        name.split("_")[-3] + name.split("_")[-2]
        for name in services.channel("shop").files_by_sku.get("CH123", {})
        if name.endswith(".jpg")
    ]


def states(services: Services) -> list[str]:
    return [
        f"V{v.number} {v.state.value}"
        for v in services.assets.of_product("CH123")
        if v.asset.deliverable == "packshot"
    ]


def made(services: Services, photos: PhotoServer, drain: Drain, *, color: str = "red") -> Version:
    """The packshot's next version, in review."""
    services.clock.forward(5)
    send(services, chair(photos, color=color), message=f"msg_{color}", kind="product.updated")
    drain()
    return newest(services)


def work(services: Services, drain: Drain, *, rounds: int = 12) -> None:
    """Let minutes pass until nothing is open."""
    for _ in range(rounds):
        drain()
        services.clock.forward(60)  # type: ignore[attr-defined]
        maintenance.sweep(services, "me")
    drain()


def approve(services: Services, version: Version) -> None:
    review.decide(services, version, APPROVED, source="page")


def with_two_channels(shop: Services, write_rules: Rules) -> None:
    rules = json.loads(shop.settings.plugin_json.read_text())
    rules["connections"]["channel"]["feed"] = {"adapter": "memory"}
    rules["deliverables"] = [{**PACKSHOT, "channels": ["shop", "feed"]}]
    write_rules(**rules)


def in_channel(services: Services, name: str) -> list[str]:
    files = services.channel(name).files_by_sku.get("CH123", {})  # type: ignore[attr-defined]
    return [n.split("_")[-2] for n in files if n.endswith(".jpg")]


def is_public(services: Services, version: Version) -> bool:
    return services.assets.find_file(version.files[0].sha256, public=True) is not None


def client_of(services: Services, role: str) -> FlaskClient:
    """A client of pages and API with the token of a new user of a role."""
    app = create_app(services)
    app.config["WTF_CSRF_ENABLED"] = False
    client = app.test_client()
    token = services.users.add_token(services.users.add(role, UserRole(role)), "test")
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client
