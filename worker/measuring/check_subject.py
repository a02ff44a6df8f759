"""The subject of the checks: the files of one version, and measurements of them that several checks share."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from dam_connector.domain.file_names import LODS
from dam_connector.domain.issue import ReportRow
from dam_connector.domain.product import Product
from dam_connector.domain.rules import LOCAL, Deliverable
from dam_connector.domain.version import Role, VersionFile
from dam_connector.errors import InputError
from worker.gltf.container import without_padding
from worker.gltf.document import Document
from worker.gltf.embedded_textures import Texture, read_textures
from worker.imaging.cutout import Cutout
from worker.measuring.khronos_validator import validate_gltf
from worker.measuring.uv_layout import UvLayout, measure_uv_layouts
from worker.measuring.welded_surface import WeldedSurface, weld_surface

T = TypeVar("T")
OUR_GENERATOR = "dam-connector"  # how `asset.generator` of our files begins
MAX_PARALLEL_INDICES = 600_000  # of the models that are measured in several threads
PICTURE_FORMATS = ("jpeg", "webp", "avif", "png")


@dataclass(kw_only=True)
class CheckSubject:
    """The files of one version, with what they are compared with. Each measurement is made once."""

    product: Product | None  # None for a file that is checked by hand
    deliverable: Deliverable | None
    slot: int
    number: int  # the version's
    files: tuple[VersionFile, ...]
    read: Callable[[VersionFile], bytes]
    photos: Mapping[str, bytes] = field(default_factory=dict)  # to compare a model with: encoded, by view
    cutouts: Mapping[str, Cutout] = field(default_factory=dict)  # of those photos that were cut out before
    profiles: tuple[str, ...] = ()  # that a file checked by hand must satisfy
    origin: bool | None = None  # whether our own code made the model; None: as the GLB says
    original: bytes = b""  # the GLB as its maker sent it, before our finishing
    # The checks add to these:
    facts: dict[str, str | int | float | bool | None] = field(default_factory=dict)  # for the report
    rows: list[ReportRow] = field(default_factory=list)  # for the report: one for each limit
    evidence: dict[str, bytes] = field(default_factory=dict)  # pictures for the report, WebP, by name
    _futures: dict[str, Future[Any]] = field(default_factory=dict, repr=False)

    def has(self, file_kind: str) -> bool:
        """Return whether there is a file for a check.

        Args:
            file_kind: A format, e.g. `glb`; or `picture` for any rendition, `lod` for a level of detail,
                `photo` for a GLB with a photo to compare it with, `original` for a GLB that was made
                elsewhere, `any` for any file.
        """
        if file_kind == "picture":
            return bool(self.pictures)
        if file_kind == "photo":
            return bool(self.photos) and self.has("glb")
        if file_kind == "original":
            return bool(self.original) and self.has("glb")
        if file_kind == "lod":
            return any(f.format in LODS for f in self.files)
        return bool(self.files) if file_kind == "any" else any(f.format == file_kind for f in self.files)

    @property
    def required_profiles(self) -> tuple[str, ...]:
        """Return the profiles that the files must satisfy."""
        return self.profiles or (self.deliverable.profiles if self.deliverable else ())

    @property
    def pictures(self) -> tuple[VersionFile, ...]:
        """Return the renditions, without a model's previews."""
        return tuple(f for f in self.files if f.format in PICTURE_FORMATS and f.role is Role.PRIMARY)

    @cached_property
    def stored_glb(self) -> bytes:
        """Return the bytes of the GLB as they are stored, with any behind its end."""
        return self.read(next(f for f in self.files if f.format == "glb"))

    @cached_property
    def glb(self) -> bytes:
        """Return the bytes of the GLB up to the end that its header states, as viewers read them."""
        return without_padding(self.stored_glb)

    @cached_property
    def is_made_here(self) -> bool:
        """Return whether our own code made the model: then it has to be a solid."""
        if self.origin is not None:
            return self.origin
        try:
            asset = self.document.json.get("asset")
        except InputError:
            return False
        asset = asset if isinstance(asset, dict) else {}
        extras = asset.get("extras")
        generator = extras.get("generator", LOCAL) if isinstance(extras, dict) else LOCAL
        return str(asset.get("generator", "")).startswith(OUR_GENERATOR) and generator == LOCAL

    def start_slow_measurements(self) -> None:
        """Start the measurements that mostly work without Python's lock, in threads beside the checks.

        They are the validator in V8, the UV layouts and the textures' pixels. A large model is measured one
        after the other: together they would need too much memory.
        """
        if self.has("glb") and self._index_count() <= MAX_PARALLEL_INDICES:
            pool = ThreadPoolExecutor(3)
            self._futures = {
                "validation": pool.submit(self._validate),
                "uv_layouts": pool.submit(lambda: measure_uv_layouts(self.document.primitives)),
                "textures": pool.submit(self._read_textures),
            }
            pool.shutdown(wait=False)

    def _index_count(self) -> int:
        """Return about how many indices the GLB has, as its accessors state."""
        try:
            rows = self.document.rows("accessors")
        except InputError:
            return 0
        counts = [r["count"] for r in rows if r.get("type") == "SCALAR" and isinstance(r.get("count"), int)]
        return sum(counts)

    def _result(self, name: str, measure: Callable[[], T]) -> T:
        """Wait for a measurement that was started; else make it now."""
        return self._futures[name].result() if name in self._futures else measure()

    @cached_property
    def document(self) -> Document:
        """Return the GLB, read without trust.

        Raises:
            InputError: file.unreadable.
        """
        return Document(self.glb)

    @cached_property
    def surface(self) -> WeldedSurface:
        """Return all triangles in world space, their seams welded.

        Raises:
            InputError: file.*, geometry.empty.
        """
        return weld_surface(self.document.primitives)

    @cached_property
    def uv_layouts(self) -> list[UvLayout]:
        """Return the UV layout of each material.

        Raises:
            InputError: file.*
        """
        return self._result("uv_layouts", lambda: measure_uv_layouts(self.document.primitives))

    @cached_property
    def textures(self) -> list[Texture]:
        """Return the images in the GLB.

        Raises:
            InputError: file.*
        """
        return self._result("textures", self._read_textures)

    def _read_textures(self) -> list[Texture]:
        textures = read_textures(self.document)
        for texture in textures:
            if texture.materials:
                _ = texture.brightness_range  # cached: decoding takes long
        return textures

    @cached_property
    def validator_report(self) -> dict[str, Any]:
        """Return the Khronos validator's report on the GLB; see `validate_gltf`."""
        return self._result("validation", self._validate)

    def _validate(self) -> dict[str, Any]:
        try:
            _ = self.document
        except InputError as error:
            if isinstance(error.__cause__, RecursionError):
                return {"failed": "its JSON is nested too deeply"}
        return validate_gltf(self.glb)
