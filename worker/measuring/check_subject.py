"""Subject: what a check looks at."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from dam_connector.domain.file_names import LODS
from dam_connector.domain.issue import ReportRow
from dam_connector.domain.product import Product
from dam_connector.domain.rules import Deliverable
from dam_connector.domain.version import Role, VersionFile
from dam_connector.errors import InputError
from worker.gltf.document import Document
from worker.gltf.embedded_textures import Texture, read_textures
from worker.imaging.cutout import Cutout
from worker.measuring.khronos_validator import validate
from worker.measuring.uv_layout import Unwrap, unwraps
from worker.measuring.welded_surface import Surface, surface_of

T = TypeVar("T")
PICTURES = ("jpeg", "webp", "avif", "png")


@dataclass(kw_only=True)
class CheckSubject:
    """The files of one version, with what they should be. What is found out about them is found out once.

    product and deliverable are None when a file is checked by hand and nothing is known about it. photos: the product's, encoded, by
    view, to hold a model against; cutouts: of those that were cut out before. profiles: those a file checked by hand must satisfy. `measured` gathers facts for the
    report, `rows` what a check says limit by limit, `pictures_made` what it shows, by name.
    """

    product: Product | None
    deliverable: Deliverable | None
    slot: int
    number: int
    files: tuple[VersionFile, ...]
    read: Callable[[VersionFile], bytes]
    photos: Mapping[str, bytes] = field(default_factory=dict)
    cutouts: Mapping[str, Cutout] = field(default_factory=dict)
    profiles: tuple[str, ...] = ()
    measured: dict[str, str | int | float | bool | None] = field(default_factory=dict)
    rows: list[ReportRow] = field(default_factory=list)
    pictures_made: dict[str, bytes] = field(default_factory=dict)
    _ahead: dict[str, Future[Any]] = field(default_factory=dict, repr=False)

    def has(self, wants: str) -> bool:
        """Whether there is a file of a format; "picture" is any rendition, "any" any file, "photo" a GLB and a photo beside it, "lod" a level of detail."""
        if wants == "picture":
            return bool(self.pictures)
        if wants == "photo":
            return bool(self.photos) and self.has("glb")
        if wants == "lod":
            return any(f.format in LODS for f in self.files)
        return bool(self.files) if wants == "any" else any(f.format == wants for f in self.files)

    @property
    def held_to(self) -> tuple[str, ...]:
        """The profiles that must be satisfied."""
        return self.profiles or (self.deliverable.profiles if self.deliverable else ())

    @property
    def pictures(self) -> tuple[VersionFile, ...]:
        """The renditions; a model's previews are none."""
        return tuple(f for f in self.files if f.format in PICTURES and f.role is Role.PRIMARY)

    @cached_property
    def glb(self) -> bytes:
        return self.read(next(f for f in self.files if f.format == "glb"))

    def look_ahead(self) -> None:
        """Begin, beside the checks that need Python's lock, what mostly does not: the validator in V8, the unwraps, the textures' pixels."""
        if self.has("glb"):
            pool = ThreadPoolExecutor(3)
            self._ahead = {
                "validation": pool.submit(self._validated),
                "unwraps": pool.submit(lambda: unwraps(self.document.primitives)),
                "textures": pool.submit(self._pictured),
            }
            pool.shutdown(wait=False)

    def _found(self, name: str, find: Callable[[], T]) -> T:
        """What was begun ahead, waited for; or found now."""
        return self._ahead[name].result() if name in self._ahead else find()

    @cached_property
    def document(self) -> Document:
        """The GLB, read without trust. Raises: InputError file.unreadable."""
        return Document(self.glb)

    @cached_property
    def surface(self) -> Surface:
        """All triangles in world space, seams welded. Raises: InputError file.*, geometry.empty."""
        return surface_of(self.document.primitives)

    @cached_property
    def unwraps(self) -> list[Unwrap]:
        """How textures lie on it, by material. Raises: InputError file.*"""
        return self._found("unwraps", lambda: unwraps(self.document.primitives))

    @cached_property
    def textures(self) -> list[Texture]:
        """The pictures in it. Raises: InputError file.*"""
        return self._found("textures", self._pictured)

    def _pictured(self) -> list[Texture]:
        found = read_textures(self.document)
        for texture in found:
            if texture.materials:
                _ = texture.brightness_range
        return found

    @cached_property
    def validation(self) -> dict[str, Any]:
        """The Khronos validator's report on the GLB, or `{"failed": why}`; empty where the validator is not installed."""
        return self._found("validation", self._validated)

    def _validated(self) -> dict[str, Any]:
        try:
            _ = self.document
        except InputError as error:
            if isinstance(error.__cause__, RecursionError):
                return {"failed": "its JSON is nested too deep"}
        return validate(self.glb)
