"""Listings: the files that are to be live for one product in one channel, in order."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from dam_connector.domain.ids import Sha256
from dam_connector.domain.product import Product
from dam_connector.domain.version import ApprovedVersion, Role, VersionFile

SHOP_PICTURE_FORMATS = ("jpeg", "png", "webp")  # the most preferred first
SHOP_MODEL_FORMATS = ("glb", "usdz")
SHOP_VIDEO_FORMATS = ("mp4",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """One approved version in a listing."""

    approved: ApprovedVersion
    alt_text: str
    links: Mapping[str, str]  # our public URL of each file, by the file's name
    alt_texts: Mapping[str, str] = field(default_factory=dict)  # in further languages, by locale


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """All versions that are to be live for a product in a channel."""

    product: Product
    folder: str  # the product's folder by the rules, e.g. `chairs/CH123`
    page_url: str  # of the product's AR page
    placements: tuple[Placement, ...]
    sequence: int = 0  # it rises when the content changes; a repeat of the same content keeps it
    former_folders: tuple[str, ...] = ()  # in which the channel may still have files of the product
    # The product in the further languages that the channel wants and that it has texts in, by locale.
    translated: Mapping[str, Product] = field(default_factory=dict)

    @property
    def file_names(self) -> tuple[str, ...]:
        """Return the names of all files that channels get."""
        return tuple(f.name for p in self.placements for f in p.approved.version.channel_files)


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaFile:
    """One file as shops take it."""

    file: VersionFile
    alt_text: str
    link: str  # our public URL of it
    deliverable: str
    alt_texts: Mapping[str, str] = field(default_factory=dict)  # in further languages, by locale

    @property
    def name(self) -> str:
        return self.file.name

    @property
    def sha256(self) -> Sha256:
        return self.file.sha256

    @property
    def is_model(self) -> bool:
        return self.file.mime.startswith("model/")

    @property
    def is_video(self) -> bool:
        return self.file.mime.startswith("video/")


def media_files(
    listing: Listing,
    *,
    picture_formats: Sequence[str] = SHOP_PICTURE_FORMATS,
    model_formats: Sequence[str] = SHOP_MODEL_FORMATS,
    video_formats: Sequence[str] = (),
) -> Iterator[MediaFile]:
    """Yield the files that a shop takes, in order. Spin frames are left out: they need a viewer of their own.

    Args:
        listing: What is to be live.
        picture_formats: Formats that the shop takes, the most preferred first: one file for each picture.
        model_formats: Formats that the shop takes: one file of each for each model.
        video_formats: Formats that the shop takes: a turntable goes there as a video in place of its picture.
    """
    for placement in listing.placements:
        version = placement.approved.version
        primary = {f.format: f for f in version.files if f.role in (Role.PRIMARY, Role.USDZ) and not f.view}
        if version.asset.kind == "model":
            files = [primary[format] for format in model_formats if format in primary]
        else:
            formats = (*video_formats, *picture_formats)
            files = [primary[format] for format in formats if format in primary][:1]
        for file in files:
            yield MediaFile(
                file=file,
                alt_text=placement.alt_text,
                link=placement.links.get(file.name, ""),
                deliverable=version.asset.deliverable,
                alt_texts=placement.alt_texts,
            )
