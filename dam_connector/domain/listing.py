"""Listing: what of ours is to be live for one product in one channel, in order."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dam_connector.domain.ids import Sha256
from dam_connector.domain.product import Product
from dam_connector.domain.version import ApprovedVersion, Role, VersionFile

PICTURES = ("jpeg", "png", "webp")
MODELS = ("glb", "usdz")


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """One approved version in a listing. alt_text: what it shows. links: our public address of each of its files, by name."""

    approved: ApprovedVersion
    alt_text: str
    links: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Everything of ours that is to be live for a product. folder: that the rules give it. page_url: of its AR page."""

    product: Product
    folder: str
    page_url: str
    placements: tuple[Placement, ...]

    @property
    def file_names(self) -> tuple[str, ...]:
        """Of everything that channels get."""
        return tuple(f.name for p in self.placements for f in p.approved.version.shipped)


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaFile:
    """One file as a shop takes it. link: our public address of it."""

    file: VersionFile
    alt_text: str
    link: str
    deliverable: str

    @property
    def name(self) -> str:
        return self.file.name

    @property
    def sha256(self) -> Sha256:
        return self.file.sha256

    @property
    def is_model(self) -> bool:
        return self.file.mime.startswith("model/")


def media_of(
    listing: Listing, *, pictures: Sequence[str] = PICTURES, models: Sequence[str] = MODELS
) -> Iterator[MediaFile]:
    """The files that a shop takes, in order: of each picture its best format by `pictures`, of each model those of `models`.

    The single pictures of a full turn are for viewers of their own, and left out.
    """
    for placement in listing.placements:
        version = placement.approved.version
        primary = {f.format: f for f in version.files if f.role in (Role.PRIMARY, Role.USDZ) and not f.view}
        if version.asset.kind == "model":
            wanted = [primary[format] for format in models if format in primary]
        else:
            wanted = [primary[format] for format in pictures if format in primary][:1]
        for file in wanted:
            yield MediaFile(
                file=file,
                alt_text=placement.alt_text,
                link=placement.links.get(file.name, ""),
                deliverable=version.asset.deliverable,
            )
