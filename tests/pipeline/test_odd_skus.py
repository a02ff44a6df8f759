"""SKUs as people have them: made, named, published and exported, each apart from all others."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dam_connector.adapters.common.envelopes import load_events
from dam_connector.adapters.folder import FolderChannel
from dam_connector.domain.file_names import product_folder
from dam_connector.domain.listing import Listing, Placement
from dam_connector.domain.sku_tokens import sku_of_token
from dam_connector.domain.version import ApprovedVersion, Role, VersionState
from dam_connector.ports import InboundWebhook
from dam_connector.store.gallery import GalleryFilter
from dam_connector.usecases import batch_exports, intake
from dam_connector.wiring import Services
from tests.pipeline.helpers import Drain, versions
from tests.support import PhotoServer, picture, product


@pytest.mark.parametrize("sku", ["A/1", "B & C 2", "Stühl-ß", "a~1", "-x_"])
def test_odd_skus_are_made_with_names_that_say_them(
    sku: str, services: Services, photos: PhotoServer, drain: Drain
) -> None:
    photos.files["a.jpg"] = picture()
    intake.add_product(services, product(sku, images={"front": photos.url("a.jpg")}), by="test")
    drain()
    made = versions(services, sku)["packshot"]
    assert made.state is VersionState.IN_REVIEW, made.report
    name = made.files[0].name
    assert name.isascii() and not set(name) & set('/\\ &:*?"<>|')
    assert sku_of_token(name.split("_ModernDiningChair_")[0]) == sku


def test_two_skus_that_differ_in_case_are_exported_apart(
    services: Services, photos: PhotoServer, drain: Drain
) -> None:
    photos.files["a.jpg"] = picture()
    for sku in ("AB1", "ab1"):
        intake.add_product(services, product(sku, images={"front": photos.url("a.jpg")}), by="test")
    drain()
    cards = services.gallery.page(GalleryFilter(), limit=20)
    paths: dict[str, set[str]] = {"AB1": set(), "ab1": set()}
    for path, file in batch_exports.exported_files(services, cards):
        paths[file.name[:3]].add(str(path).lower())
        assert file.role not in (Role.PREVIEW, Role.EVIDENCE)  # they are for our pages
    assert any(f.role is Role.PREVIEW for card in cards for f in card.files)
    assert paths["AB1"] and paths["ab1"] and not paths["AB1"] & paths["ab1"]


def listing_of(services: Services, sku: str, *, live: bool = True) -> Listing:
    """Return the listing with the packshot of a product, approved, or the empty one."""
    version = replace(versions(services, sku)["packshot"], state=VersionState.APPROVED)
    pinned = {f.name: f.sha256 for f in version.files}
    approved = ApprovedVersion(version=version, files_sha256=pinned, approved_by="ann")
    placement = Placement(approved=approved, alt_text="", links={})
    return Listing(
        product=product(sku),
        folder=product_folder(product(sku), services.rules.current()),
        page_url="",
        placements=(placement,) if live else (),
    )


class CaselessFolder(FolderChannel):
    """An export tree on a disk that does not distinguish case."""

    def _resolve(self, path: str) -> Path:
        return super()._resolve(path.lower())


def test_two_skus_that_differ_in_case_are_apart_on_a_disk_that_does_not_see_it(
    services: Services, photos: PhotoServer, drain: Drain, tmp_path: Path
) -> None:
    photos.files["a.jpg"] = picture()
    tree = CaselessFolder(tmp_path / "tree")
    listings = {}
    for sku in ("AB1", "ab1"):
        intake.add_product(services, product(sku, images={"front": photos.url("a.jpg")}), by="test")
        drain()
        listings[sku] = listing_of(services, sku)
        tree.sync(listings[sku], services.blobs)
    live = {sku: tree.live_files(listing) for sku, listing in listings.items()}
    assert live["AB1"] and live["ab1"]
    tree.sync(listing_of(services, "ab1", live=False), services.blobs)
    assert tree.live_files(listings["AB1"]) == live["AB1"] and not tree.live_files(listings["ab1"])


def test_the_index_is_named_like_the_files_and_takes_the_place_of_an_earlier_release_s(
    services: Services, photos: PhotoServer, drain: Drain, tmp_path: Path
) -> None:
    photos.files["a.jpg"] = picture()
    for sku in ("Ö/1", "~C3~96~2F1"):
        intake.add_product(services, product(sku, images={"front": photos.url("a.jpg")}), by="test")
    drain()
    tree = FolderChannel(tmp_path / "tree")
    listing = replace(listing_of(services, "Ö/1"), folder="all")
    tree.sync(listing, services.blobs)
    index, former = tmp_path / "tree/all/~C3~96~2F1.index.json", tmp_path / "tree/all/%C3%96%2F1.index.json"
    files = set(tree.live_files(listing))
    index.rename(former)
    assert files and set(tree.live_files(listing)) == files
    tree.sync(listing, services.blobs)
    assert index.exists() and not former.exists()
    other = replace(listing_of(services, "~C3~96~2F1"), folder="all")  # earlier, it had this path
    assert tree.live_files(other) == ()
    tree.sync(other, services.blobs)
    tree.sync(replace(listing, placements=()), services.blobs)
    assert tree.live_files(listing) == () and tree.live_files(other)


@pytest.mark.parametrize(("sku", "wanted"), [("10023.0", "10023"), ("10023", "10023"), ('"1.0"', "1.0")])
def test_a_number_as_sku_is_the_same_in_product_and_reference(sku: str, wanted: str) -> None:
    body = f'{{"type": "product.updated", "timestamp": "2026-11-20T12:00:00Z", "data": {{"sku": {sku}}}}}'
    at = datetime(2026, 11, 20, 12, tzinfo=UTC)
    headers = {"content-type": "application/json"}
    inbound = InboundWebhook(headers=headers, body=body.encode(), received_at=at)
    (event,) = load_events(inbound, "standard")
    assert event.product and event.ref == event.product.sku == wanted
