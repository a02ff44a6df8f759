"""Our audit beside the Khronos gltf-asset-auditor, on its own test models and schemas: `python -m benchmarks.auditor_agreement --auditor DIR`.

DIR is a folder in which `npm install @khronosgroup/gltf-asset-auditor` was run (docs/benchmarks.md says how, without a compiler). Its code is run by
node on each of its models with each of its schemas, and one that switches everything on; every report item's verdict (pass, fail, not tested) is
compared with ours. Where they differ, the item and the reason are printed. Then the slow checks are timed on a model of 100,000 triangles.
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

from dam_connector.domain.ids import Sha256
from dam_connector.domain.issue import CheckOutcome
from dam_connector.domain.model_profiles import ModelLimit
from dam_connector.domain.version import Role, VersionFile
from worker.checks import CheckSubject
from worker.checks.model_limits import judge
from worker.measuring.glb_measures import Measured, measures
from worker.modeling.glb_export import write_glb
from worker.modeling.textured_mesh import TexturedMesh, vertex_normals

PACKAGE = "node_modules/@khronosgroup/gltf-asset-auditor"
POSITIONS = {  # where its code and its words part, or ours is stricter on purpose
    "pixelsPerMeterMax": "its number is pixels per square metre, of the largest picture; ours is pixels per metre, of the material's own",
    "pixelsPerMeterMin": "the same; ours leaves out faces without area",
    "uvGutterWideEnough": "its `return false` stands inside forEach, so that it never fails; ours measures",
    "fileSize": "it compares rounded kilobytes; ours bytes",
    "pbrColorMax": "it looks at every fourth pixel; ours at each",
    "pbrColorMin": "it looks at every fourth pixel; ours at each",
    "requireBeveledEdges": "it welds within a primitive; ours over the whole model",
    "rootNodeCleanTransform": "it looks at the first mesh; ours at each root node",
}
_RUN = """
import fs from 'fs'; import path from 'path'; import {Auditor} from '@khronosgroup/gltf-asset-auditor';
const {schemas, models, product} = JSON.parse(fs.readFileSync(0)); const out = {};
console.log = () => {};
for (const schema of schemas) { out[schema] = {}; for (const model of models) { try {
  const a = new Auditor(); await a.schema.loadFromFileSystem(schema); await a.model.loadFromFileSystem([model]);
  await a.productInfo.loadFromFileSystem(product); a.generateReport(); const items = {};
  for (const [k, i] of Object.entries(a.report)) if (i && typeof i === 'object' && 'tested' in i) items[k] = i.tested ? (i.pass ? 'pass' : 'fail') : 'not_tested';
  out[schema][path.basename(model)] = items; } catch (e) { out[schema][path.basename(model)] = null; } } }
process.stdout.write(JSON.stringify(out));
"""
EVERYTHING = {
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
AXES = {
    "height": "height_m",
    "length": "width_m",
    "width": "depth_m",
}  # as its code has it: length is X, width Z


def limits(schema: dict[str, Any], product: dict[str, float]) -> Iterator[tuple[str, list[ModelLimit]]]:
    """For each of its report items our limits; none where the schema switches it off."""

    def at(*path: str) -> Any:
        here: Any = schema
        for key in path:
            here = here.get(key, {}) if isinstance(here, dict) else {}
        return here if here != {} else None

    def span(measure: str, *path: str, scale: float = 1.0) -> list[ModelLimit]:
        low, high = (None if (b := at(*path, k)) in (None, -1) else b * scale for k in ("minimum", "maximum"))
        return [] if low is high is None else [ModelLimit(measure=measure, at_least=low, at_most=high, source="")]

    def none_of(measure: str, *path: str) -> list[ModelLimit]:
        return [ModelLimit(measure=measure, at_most=0, source="")] if at(*path) else []

    yield "gltfValidator", [ModelLimit(measure="validator_errors", at_most=0, source="")]
    yield "fileSize", span("file_bytes", "fileSizeInKb", scale=1024)
    yield "materialCount", span("materials", "materials")
    for kind in ("nodes", "meshes", "primitives"):
        yield (
            {"nodes": "nodeCount", "meshes": "meshCount", "primitives": "primitiveCount"}[kind],
            span(kind, "model", "objectCount", kind),
        )
    yield "triangleCount", span("triangles", "model", "triangles")
    yield "requireBeveledEdges", none_of("hard_edges", "model", "requireBeveledEdges")
    yield "requireManifoldEdges", none_of("crowded_edges", "model", "requireManifoldEdges")
    yield "rootNodeCleanTransform", none_of("root_transforms", "model", "requireCleanRootNodeTransform")
    yield (
        "overallDimensionsWithinTolerance",
        [limit for axis, m in AXES.items() for limit in span(m, "product", "dimensions", axis)],
    )
    near = []
    for axis, measure in AXES.items():
        if axis in product:
            off = (at("product", "dimensions", axis, "percentTolerance") or 0) / 100 * product[axis]
            near.append(
                ModelLimit(measure=measure, at_least=product[axis] - off, at_most=product[axis] + off, source="")
            )
    yield "productDimensionsWithinTolerance", near
    for side in ("Height", "Width"):
        for end, key in (("Max", "maximum"), ("Min", "minimum")):
            bound = at("textures", side.lower(), key)
            bounds = {"at_most" if end == "Max" else "at_least": bound}
            yield (
                f"textureDimensions{end}{side}",
                []
                if bound in (None, -1)
                else [ModelLimit(measure=f"texture_{side.lower()}_px", source="", **bounds)],
            )
    yield (
        "texturesPowerOfTwo",
        none_of("textures_not_power_of_two", "textures", "requireDimensionsBePowersOfTwo"),
    )
    yield "texturesQuadratic", none_of("textures_not_square", "textures", "requireDimensionsBeQuadratic")
    for item, measure, path in (
        ("pbrColor", "base_color", ("textures", "pbrColorRange")),
        ("pixelsPerMeter", "texel_density", ("uvs", "pixelsPerMeter")),
    ):
        for end, key, bound_of in (("Max", "maximum", "at_most"), ("Min", "minimum", "at_least")):
            bound = at(*path, key)
            yield (
                f"{item}{end}",
                [] if bound in (None, -1) else [ModelLimit(measure=measure, source="", **{bound_of: bound})],
            )
    yield "uvsInverted", none_of("uv_inverted", "uvs", "requireNotInverted")
    yield "uvsInZeroToOneRange", none_of("uv_outside", "uvs", "requireRangeZeroToOne")
    yield "uvsOverlap", none_of("uv_overlapping", "uvs", "requireNotOverlapping")
    gutters = {
        int(k.removeprefix("resolution")): v
        for k, v in (at("uvs", "gutterWidth") or {}).items()
        if v and v > 0
    }
    needed = max((v / k * 1024 for k, v in gutters.items()), default=None)
    yield (
        "uvGutterWideEnough",
        [] if needed is None else [ModelLimit(measure="uv_gutter_px", at_least=needed, source="")],
    )


def verdict(wanted: list[ModelLimit], found: dict[str, Measured]) -> CheckOutcome:
    outcomes = {judge(limit, found.get(limit.measure))[0] for limit in wanted}
    return (
        CheckOutcome.FAIL
        if CheckOutcome.FAIL in outcomes
        else CheckOutcome.PASS
        if CheckOutcome.PASS in outcomes
        else CheckOutcome.NOT_TESTED
    )


def measured(data: bytes) -> dict[str, Measured]:
    made = VersionFile(
        name="x.glb", format="glb", role=Role.PRIMARY, view="", mime="", sha256=Sha256(""), bytes=len(data)
    )
    return measures(
        CheckSubject(product=None, deliverable=None, slot=1, number=1, files=(made,), read=lambda _: data)
    )


def compare(folder: Path) -> None:
    """Print how many verdicts are equal, and where they are not."""
    package = folder / PACKAGE
    models = sorted((package / "tests/models").glob("*.glb"))
    product = package / "tests/products/blender-default-cube-passing.json"
    with tempfile.TemporaryDirectory() as scratch:
        everything = Path(scratch) / "everything.json"
        everything.write_text(json.dumps(EVERYTHING))
        schemas = [everything, *sorted((package / "tests/schemas").rglob("*.json"))]
        asked = json.dumps(
            {
                "schemas": [str(s) for s in schemas],
                "models": [str(m) for m in models],
                "product": str(product),
            }
        )
        script = folder / "compare.mjs"
        script.write_text(_RUN)
        ran = subprocess.run(
            ["node", str(script)], input=asked, capture_output=True, text=True, check=True, cwd=folder
        )
        theirs = json.loads(ran.stdout)
        ours = {m.name: measured(m.read_bytes()) for m in models}
        sizes = json.loads(product.read_text())["dimensions"]
        counts: Counter[str] = Counter()
        other: dict[str, list[str]] = defaultdict(list)
        for path in schemas:
            wanted = dict(limits(json.loads(path.read_text()), sizes))
            for name, items in theirs[str(path)].items():
                if items is None:
                    counts["models that it cannot open"] += 1
                    continue
                for item, said in items.items():
                    own = verdict(wanted[item], ours[name])
                    counts["equal" if own == said else "other"] += 1
                    counts["tested by either"] += (own, said) != ("not_tested", "not_tested")
                    counts["tested and equal"] += own == said != "not_tested"
                    if own != said:
                        other[item].append(
                            f"{name.removeprefix('blender-').removesuffix('.glb')} ({path.stem}): it {said}, ours {own.value}"
                        )
    total = counts["equal"] + counts["other"]
    print(
        f"{len(models)} models, {len(schemas)} schemas: {counts['equal']} of {total} verdicts equal ({counts['equal'] / total * 100:.2f} %);"
    )
    print(
        f"of those tested by either {counts['tested and equal']} of {counts['tested by either']} ({counts['tested and equal'] / counts['tested by either'] * 100:.2f} %);"
    )
    print(
        f"it could not open a model {counts['models that it cannot open']} times (Draco), ours opened every one"
    )
    for item, cases in sorted(other.items()):
        print(f"  {item}: {POSITIONS.get(item, 'no position: look into it')}")
        for case in cases:
            print(f"    {case}")


def slow(triangles: int = 100_000) -> None:
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
    measured(data)
    began = time.process_time()
    found = measured(data)
    print(f"all measures of {found['triangles']:,} triangles: {time.process_time() - began:.2f} CPU-s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--auditor", type=Path, required=True)
    compare(parser.parse_args().auditor)
    slow()
