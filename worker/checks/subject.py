"""Subject: what a check looks at."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import trimesh

from dam_connector.catalog.issue import Row
from dam_connector.catalog.product import Product
from dam_connector.catalog.rules import Deliverable
from dam_connector.catalog.version import Role, VersionFile
from worker.modeling.glb import glb_json, load_scene

PICTURES = ("jpeg", "webp", "avif", "png")


@dataclass(kw_only=True)
class Subject:
    """The files of one version, with what they should be. Files are read once.

    product and deliverable are None when a file is checked by hand and nothing is known about it; `measured` gathers
    facts for the report, `rows` what a check says limit by limit.
    """

    product: Product | None
    deliverable: Deliverable | None
    slot: int
    number: int
    files: tuple[VersionFile, ...]
    read: Callable[[VersionFile], bytes]
    measured: dict[str, str | int | float | bool | None] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)

    def has(self, wants: str) -> bool:
        """Whether there is a file of a format; "picture" is any rendition, "any" any file."""
        if wants == "picture":
            return bool(self.pictures)
        return bool(self.files) if wants == "any" else any(f.format == wants for f in self.files)

    @property
    def pictures(self) -> tuple[VersionFile, ...]:
        """The renditions; a model's previews are none."""
        return tuple(f for f in self.files if f.format in PICTURES and f.role is Role.PRIMARY)

    @cached_property
    def glb(self) -> bytes:
        return self.read(next(f for f in self.files if f.format == "glb"))

    @cached_property
    def document(self) -> dict[str, object]:
        """The GLB's JSON. Raises: InputError file.unreadable."""
        return glb_json(self.glb)

    @cached_property
    def mesh(self) -> trimesh.Trimesh:
        """All triangles in world space, UV seams welded. Raises: InputError file.unreadable, geometry.empty."""
        mesh = load_scene(self.glb).to_geometry()
        mesh.merge_vertices(merge_tex=True, merge_norm=True)
        return mesh
