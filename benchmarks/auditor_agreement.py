"""Agreement of our audit with the Khronos gltf-asset-auditor, on the auditor's own models and schemas.

`python -m benchmarks.auditor_agreement --auditor DIR`, where DIR is a folder in which `npm install
@khronosgroup/gltf-asset-auditor` was run (docs/benchmarks.md says how, without a compiler). Node runs the
auditor on each of its models with each of its schemas, and with one that switches everything on. The verdict
on every report item (pass, fail, not tested) is compared with ours. Where they differ, the item and the
reason are printed. Then the slow checks are timed on a model of 100,000 triangles.
"""

import argparse
import io
import json
import subprocess
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from PIL import Image

from benchmarks.bench_folder import matching_files
from dam_connector.domain.ids import Sha256
from dam_connector.domain.issue import CheckOutcome
from dam_connector.domain.model_profiles import ModelLimit
from dam_connector.domain.version import Role, VersionFile
from worker.checks import CheckSubject
from worker.checks.model_limits import judge_limit
from worker.measuring.glb_measures import MeasuredValue, glb_measurements
from worker.modeling.glb_export import write_glb
from worker.modeling.textured_mesh import TexturedMesh, vertex_normals

PACKAGE = "node_modules/@khronosgroup/gltf-asset-auditor"
KNOWN_DIFFERENCES = {  # where the auditor's code and its documentation differ, or ours is stricter on purpose
    "pixelsPerMeterMax": (
        "its number is pixels per square metre, of the largest picture; ours is pixels per metre, "
        "of the material's own"
    ),
    "pixelsPerMeterMin": "the same; ours leaves out faces without area",
    "uvGutterWideEnough": "its `return false` is inside forEach, so that it never fails; ours measures",
    "fileSize": "it compares rounded kilobytes; ours bytes",
    "pbrColorMax": "it looks at every fourth pixel; ours at each",
    "pbrColorMin": "it looks at every fourth pixel; ours at each",
    "requireBeveledEdges": "it welds within a primitive; ours over the whole model",
    "rootNodeCleanTransform": "it looks at the first mesh; ours at each root node",
}
_SCRIPT = """
import fs from 'fs'; import path from 'path'; import {Auditor} from '@khronosgroup/gltf-asset-auditor';
const {schemas, models, product} = JSON.parse(fs.readFileSync(0)); const out = {};
console.log = () => {};
for (const schema of schemas) { out[schema] = {}; for (const model of models) { try {
  const a = new Auditor(); await a.schema.loadFromFileSystem(schema);
  await a.model.loadFromFileSystem([model]);
  await a.productInfo.loadFromFileSystem(product); a.generateReport(); const items = {};
  for (const [k, i] of Object.entries(a.report)) if (i && typeof i === 'object' && 'tested' in i)
    items[k] = i.tested ? (i.pass ? 'pass' : 'fail') : 'not_tested';
  out[schema][path.basename(model)] = items; } catch (e) { out[schema][path.basename(model)] = null; } } }
process.stdout.write(JSON.stringify(out));
"""
ALL_LIMITS_SCHEMA = {
    "version": "1.0.0",
    "fileSizeInKb": {"maximum": 5120, "minimum": 1},
    "materials": {"maximum": 5, "minimum": 1},
    "model": {
        "objectCount": {k: {"maximum": 5, "minimum": 1} for k in ("nodes", "meshes", "primitives")},
        "requireBeveledEdges": True,
        "requireCleanRootNodeTransform": True,
        "requireManifoldEdges": True,
        "triangles": {"maximum": 100_000, "minimum": 1},
    },
    "product": {
        "dimensions": {
            k: {"maximum": 100.0, "minimum": 0.01, "percentTolerance": 3}
            for k in ("height", "length", "width")
        }
    },
    "textures": {
        "height": {"maximum": 2048, "minimum": 512},
        "width": {"maximum": 2048, "minimum": 512},
        "pbrColorRange": {"maximum": 243, "minimum": 30},
        "requireDimensionsBePowersOfTwo": True,
        "requireDimensionsBeQuadratic": True,
    },
    "uvs": {
        "gutterWidth": {"resolution1024": 8},
        "pixelsPerMeter": {"maximum": 2000, "minimum": 100},
        "requireNotInverted": True,
        "requireNotOverlapping": True,
        "requireRangeZeroToOne": True,
    },
}
AXES = {"height": "height_m", "length": "width_m", "width": "depth_m"}  # as in its code: length is X, width Z


class Schema:
    """A schema of the auditor, read as limits of ours."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._schema = schema

    def get(self, *path: str) -> Any:
        """Return the value at a path, or None where the schema has none."""
        here: Any = self._schema
        for key in path:
            here = here.get(key, {}) if isinstance(here, dict) else {}
        return here if here != {} else None

    def bound(self, *path: str) -> float | None:
        """Return a bound; None where it is missing or -1, which switches it off."""
        value = self.get(*path)
        return None if value in (None, -1) else value

    def minimum(self, measure: str, *path: str) -> list[ModelLimit]:
        """Return the limit that a minimum in the schema sets, if it is on."""
        bound = self.bound(*path)
        return [] if bound is None else [ModelLimit(measure=measure, at_least=bound, source="")]

    def maximum(self, measure: str, *path: str) -> list[ModelLimit]:
        """Return the limit that a maximum in the schema sets, if it is on."""
        bound = self.bound(*path)
        return [] if bound is None else [ModelLimit(measure=measure, at_most=bound, source="")]

    def span(self, measure: str, *path: str, scale: float = 1.0) -> list[ModelLimit]:
        """Return the limit that `minimum` and `maximum` at a path set, if one is on."""
        low, high = (self.bound(*path, key) for key in ("minimum", "maximum"))
        if low is high is None:
            return []
        at_least, at_most = (None if bound is None else bound * scale for bound in (low, high))
        return [ModelLimit(measure=measure, at_least=at_least, at_most=at_most, source="")]

    def none_of(self, measure: str, *path: str) -> list[ModelLimit]:
        """Return the limit that a requirement at a path sets, if it is on."""
        return [ModelLimit(measure=measure, at_most=0, source="")] if self.get(*path) else []


def limits(schema: dict[str, Any], product: dict[str, float]) -> Iterator[tuple[str, list[ModelLimit]]]:
    """Yield our limits for each report item of the auditor; no limit where the schema switches it off.

    Args:
        schema: The schema.
        product: The product's `height`, `length` and `width` in metres, as far as known.
    """
    yield from _model_limits(Schema(schema))
    yield from _dimension_limits(Schema(schema), product)
    yield from _texture_limits(Schema(schema))
    yield from _uv_limits(Schema(schema))


def _model_limits(schema: Schema) -> Iterator[tuple[str, list[ModelLimit]]]:
    yield "gltfValidator", [ModelLimit(measure="validator_errors", at_most=0, source="")]
    yield "fileSize", schema.span("file_bytes", "fileSizeInKb", scale=1024)
    yield "materialCount", schema.span("materials", "materials")
    for name, kind in (("nodeCount", "nodes"), ("meshCount", "meshes"), ("primitiveCount", "primitives")):
        yield name, schema.span(kind, "model", "objectCount", kind)
    yield "triangleCount", schema.span("triangles", "model", "triangles")
    yield "requireBeveledEdges", schema.none_of("hard_edges", "model", "requireBeveledEdges")
    yield "requireManifoldEdges", schema.none_of("crowded_edges", "model", "requireManifoldEdges")
    yield (
        "rootNodeCleanTransform",
        schema.none_of("root_transforms", "model", "requireCleanRootNodeTransform"),
    )


def _dimension_limits(schema: Schema, product: dict[str, float]) -> Iterator[tuple[str, list[ModelLimit]]]:
    yield (
        "overallDimensionsWithinTolerance",
        [
            limit
            for axis, measure in AXES.items()
            for limit in schema.span(measure, "product", "dimensions", axis)
        ],
    )
    near = []
    for axis, measure in AXES.items():
        if axis in product:
            percent = schema.get("product", "dimensions", axis, "percentTolerance") or 0
            off = percent / 100 * product[axis]
            near.append(
                ModelLimit(
                    measure=measure, at_least=product[axis] - off, at_most=product[axis] + off, source=""
                )
            )
    yield "productDimensionsWithinTolerance", near


def _texture_limits(schema: Schema) -> Iterator[tuple[str, list[ModelLimit]]]:
    for side in ("Height", "Width"):
        measure, key = f"texture_{side.lower()}_px", side.lower()
        yield f"textureDimensionsMax{side}", schema.maximum(measure, "textures", key, "maximum")
        yield f"textureDimensionsMin{side}", schema.minimum(measure, "textures", key, "minimum")
    yield (
        "texturesPowerOfTwo",
        schema.none_of("textures_not_power_of_two", "textures", "requireDimensionsBePowersOfTwo"),
    )
    yield (
        "texturesQuadratic",
        schema.none_of("textures_not_square", "textures", "requireDimensionsBeQuadratic"),
    )
    for name, measure, path in (
        ("pbrColor", "base_color", ("textures", "pbrColorRange")),
        ("pixelsPerMeter", "texel_density", ("uvs", "pixelsPerMeter")),
    ):
        yield f"{name}Max", schema.maximum(measure, *path, "maximum")
        yield f"{name}Min", schema.minimum(measure, *path, "minimum")


def _uv_limits(schema: Schema) -> Iterator[tuple[str, list[ModelLimit]]]:
    yield "uvsInverted", schema.none_of("uv_inverted", "uvs", "requireNotInverted")
    yield "uvsInZeroToOneRange", schema.none_of("uv_outside", "uvs", "requireRangeZeroToOne")
    yield "uvsOverlap", schema.none_of("uv_overlapping", "uvs", "requireNotOverlapping")
    gutters = {
        int(key.removeprefix("resolution")): pixels
        for key, pixels in (schema.get("uvs", "gutterWidth") or {}).items()
        if pixels and pixels > 0
    }
    needed = max((pixels / size * 1024 for size, pixels in gutters.items()), default=None)
    yield (
        "uvGutterWideEnough",
        [] if needed is None else [ModelLimit(measure="uv_gutter_px", at_least=needed, source="")],
    )


def verdict(limits: list[ModelLimit], values: dict[str, MeasuredValue]) -> CheckOutcome:
    """Return our verdict on a report item: the worst outcome of its limits."""
    outcomes = {judge_limit(limit, values.get(limit.measure))[0] for limit in limits}
    for outcome in (CheckOutcome.FAIL, CheckOutcome.PASS):
        if outcome in outcomes:
            return outcome
    return CheckOutcome.NOT_TESTED


def measure_glb(data: bytes) -> dict[str, MeasuredValue]:
    """Return our measures of a GLB, by name."""
    file = VersionFile(
        name="x.glb", format="glb", role=Role.PRIMARY, view="", mime="", sha256=Sha256(""), bytes=len(data)
    )
    return glb_measurements(
        CheckSubject(product=None, deliverable=None, slot=1, number=1, files=(file,), read=lambda _: data)
    )


def run_auditor(folder: Path, schemas: list[Path], models: list[Path], product: Path) -> dict[str, Any]:
    """Return the auditor's verdicts by schema, model and report item; None if it cannot open a model."""
    script = folder / "compare.mjs"
    script.write_text(_SCRIPT)
    names = {
        "schemas": [str(s) for s in schemas],
        "models": [str(m) for m in models],
        "product": str(product),
    }
    finished = subprocess.run(
        ["node", str(script)],
        input=json.dumps(names),
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
    )
    verdicts: dict[str, Any] = json.loads(finished.stdout)
    return verdicts


def compare(folder: Path) -> None:
    """Print how many verdicts are equal, and each that differs.

    Raises:
        SystemExit: The folder has no models or schemas of the auditor, or no verdict was compared.
    """
    tests = folder / PACKAGE / "tests"
    models = matching_files(tests / "models", "*.glb")
    product = tests / "products/blender-default-cube-passing.json"
    with tempfile.TemporaryDirectory() as scratch:
        all_limits = Path(scratch) / "everything.json"
        all_limits.write_text(json.dumps(ALL_LIMITS_SCHEMA))
        schemas = [all_limits, *matching_files(tests / "schemas", "**/*.json")]
        theirs = run_auditor(folder, schemas, models, product)
        ours = {model.name: measure_glb(model.read_bytes()) for model in models}
        sizes = json.loads(product.read_text())["dimensions"]
        counts: Counter[str] = Counter()
        different: dict[str, list[str]] = defaultdict(list)
        for path in schemas:
            limits_by_name = dict(limits(json.loads(path.read_text()), sizes))
            for model, verdicts in theirs[str(path)].items():
                if verdicts is None:
                    counts["not opened"] += 1
                    continue
                for name, their_verdict in verdicts.items():
                    own = verdict(limits_by_name[name], ours[model])
                    counts["all"] += 1
                    counts["equal"] += own == their_verdict
                    counts["tested"] += (own, their_verdict) != ("not_tested", "not_tested")
                    counts["tested and equal"] += own == their_verdict != "not_tested"
                    if own != their_verdict:
                        label = model.removeprefix("blender-").removesuffix(".glb")
                        different[name].append(f"{label} ({path.stem}): it {their_verdict}, ours {own.value}")
    if not counts["all"]:
        raise SystemExit(f"nothing measured: the auditor in {folder} opened none of its models")
    print(f"{len(models)} models, {len(schemas)} schemas:")
    for equal, total in (("equal", "all"), ("tested and equal", "tested")):
        share = counts[equal] / max(1, counts[total]) * 100
        print(f"{counts[equal]} of {counts[total]} verdicts ({total}) equal ({share:.2f} %)")
    print(f"it could not open a model {counts['not opened']} times (Draco), ours opened every one")
    for name, cases in sorted(different.items()):
        print(f"  {name}: {KNOWN_DIFFERENCES.get(name, 'not a known difference: find the reason')}")
        for case in cases:
            print(f"    {case}")


def time_measures(triangles: int = 100_000) -> None:
    """Time the measures on a large model."""
    mesh = trimesh.creation.uv_sphere(0.5, [int(np.sqrt(triangles / 2)) + 1, int(np.sqrt(triangles / 2)) + 1])
    positions, faces = mesh.vertices.astype(np.float32), mesh.faces[:triangles].astype(np.uint32)
    side = int(np.ceil(np.sqrt(len(faces))))
    cell = np.stack(np.divmod(np.arange(len(faces)), side), 1)
    uvs = (
        ((cell[:, None] + np.array([[0.2, 0.8], [0.8, 0.8], [0.2, 0.2]])) / side)
        .reshape(-1, 2)
        .astype(np.float32)
    )
    corners = positions[faces].reshape(-1, 3)
    order = np.arange(len(corners), dtype=np.uint32).reshape(-1, 3)
    out = io.BytesIO()
    Image.effect_noise((2048, 2048), 40).convert("RGB").save(out, "JPEG", quality=90)
    data = write_glb(
        TexturedMesh(
            positions=corners,
            normals=vertex_normals(corners, order),
            uvs=uvs,
            faces=order,
            texture=out.getvalue(),
        ),
        "large",
    )
    measure_glb(data)  # warm-up
    started = time.process_time()
    values = measure_glb(data)
    print(f"all measures of {values['triangles']:,} triangles: {time.process_time() - started:.2f} CPU-s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--auditor", type=Path, required=True)
    compare(parser.parse_args().auditor)
    time_measures()
