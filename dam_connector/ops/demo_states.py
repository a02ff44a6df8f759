"""Versions of every state, for a first look at the demo's pages."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta

from dam_connector.domain.comment import PictureAnchor
from dam_connector.domain.event import Decision, Verdict
from dam_connector.domain.version import Version, VersionState
from dam_connector.errors import ConnectorError
from dam_connector.usecases import comments, review
from dam_connector.wiring import Services

COLLEAGUE = "colleague"  # who has decided before the first visitor comes
LIVE_IN_DAYS = 7
# White on white: its cut-out is uncertain, so that its versions are blocked.
BLOCKED_PRODUCT = {
    "sku": "WV900",
    "name": "White Vase on White",
    "category": "decor",
    "brand": "Tarn",
    "color": "white",
    "material": "ceramic",
    "description": "Its photo hardly shows where the vase ends.",
    "dimensions": {"width": 18, "height": 30, "depth": 18, "unit": "cm"},
    "images": {"hero": "white-vase-hero.jpg"},
}


def show_states(services: Services, *, visitors_sku: str) -> None:
    """Decide about some pictures in review, so that each state of a version has one.

    One is approved and goes live, one is approved for a later day, one is rejected, one is made again, and
    one gets a pinned comment. The others stay for the visitor. Without enough pictures, some states are left
    out.

    Args:
        services: of the demo.
        visitors_sku: the product of which the visitor decides about everything.
    """
    waiting = services.assets.page(state=VersionState.IN_REVIEW, limit=200, oldest_first=True)
    found = iter(_one_of_each_product(v for v in waiting if v.asset.sku != visitors_sku))
    reason = services.rules.current().review.reasons[0]
    for action in (_approve, _approve_for_later, _reject, _make_again, _comment):
        version = next(found, None)
        if version is None:
            return
        with suppress(ConnectorError):
            action(services, version, reason)


def _one_of_each_product(versions: Iterable[Version]) -> list[Version]:
    """Return one picture of each product, the first one of its versions."""
    by_sku: dict[str, Version] = {}
    for version in versions:
        if version.asset.kind == "image":
            by_sku.setdefault(version.asset.sku, version)
    return list(by_sku.values())


def _approve(services: Services, version: Version, _: str) -> None:
    review.decide(services, version, Decision(verdict=Verdict.APPROVED, by=COLLEAGUE), source="page")


def _approve_for_later(services: Services, version: Version, _: str) -> None:
    day = services.clock.now() + timedelta(days=LIVE_IN_DAYS)
    decision = Decision(verdict=Verdict.APPROVED, by=COLLEAGUE)
    review.decide(services, version, decision, source="page", go_live_at=day)


def _reject(services: Services, version: Version, reason: str) -> None:
    note = "The whole product is a bit too small in the picture."
    decision = Decision(verdict=Verdict.REJECTED, by=COLLEAGUE, reasons=(reason,), note=note)
    review.decide(services, version, decision, source="page")


def _make_again(services: Services, version: Version, _: str) -> None:
    review.regenerate(services, version, note="more room around the product", by=COLLEAGUE)


def _comment(services: Services, version: Version, _: str) -> None:
    comments.add(
        services,
        version,
        text="Is this the right shade? The sample on my desk is warmer.",
        by=COLLEAGUE,
        anchor=PictureAnchor(x=0.5, y=0.4),
    )
