"""Public GLBs through import, finishing, USDZ and web packing: what is lost, and what is named.

`python -m benchmarks.glb_corpus --folder DIR [--chromium] [--pictures DIR] [--sample N] [--json FILE]`. DIR
holds GLBs in any folders, e.g. checkouts of KhronosGroup/glTF-Sample-Assets. They are read for measuring and
never stored here. Each file goes through the steps of a provider's model, for a product half a metre high.
The finished GLB, the web GLB and the USDZ, read again, are compared with the original by SSIM in our
renderer; on request the GLBs also in Chromium with model-viewer, with pictures. Files whose rows are in FILE
already are not measured again. A sample is the first N files by their hashes: the same files each time, of
all folders.
"""

import argparse
import hashlib
import json
import statistics
import sys
import time
import traceback
from collections import Counter
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from benchmarks.bench_folder import matching_files
from dam_connector.domain.ids import RunId, Sha256, Sku
from dam_connector.domain.product import Dimensions, Product
from dam_connector.domain.rules import BROUGHT, Deliverable, WebBudget
from dam_connector.domain.run import RunKind
from dam_connector.domain.version import Role, VersionFile
from dam_connector.errors import InputError
from dam_connector.wiring import Services
from schemas.rules_loader import load_rules
from worker.adoption.conversion import convert_model
from worker.check_process import CheckProcess
from worker.check_request import CheckRequest
from worker.gltf.document import Document
from worker.gltf.features import features, undrawn
from worker.imaging.encode import MIME
from worker.measuring.look_comparison import LEAST_SSIM, compare_looks
from worker.modeling.glb_import import read_glb
from worker.steps.convert_to_usdz import convert_to_usdz
from worker.steps.fit_dimensions import fit_dimensions
from worker.steps.make_web_glb import make_web_glb
from worker.steps.optimise_model import optimise_model
from worker.work import Work

if TYPE_CHECKING:
    from benchmarks.corpus_viewer import Viewer

ROOT = Path(__file__).parent.parent
DIMENSIONS = Dimensions(height_m=0.5)
MAX_TRIANGLES = 100_000
LOSS_CODES = ("usdz.lost", "lod.lost", "model.over_budget")
WORST = 10  # files of each comparison in the summary


@dataclass(kw_only=True)
class CorpusRow:
    """What became of one file."""

    file: str
    sha256: str
    outcome: str = "finished"  # or "refused", with the issue code, or "crashed"
    detail: str = ""
    features: tuple[str, ...] = ()
    losses: dict[str, str] = field(default_factory=dict)  # by issue code
    codes: tuple[str, ...] = ()  # errors of the report
    sizes: dict[str, int] = field(default_factory=dict)  # bytes by format
    ssim: float | None = None  # of the finished GLB, the worst view
    web_ssim: float | None = None
    usdz_ssim: float | None = None  # of the USDZ, read as a brought model
    usdz_losses: tuple[str, ...] = ()  # of reading it, and of what our renderer does not draw
    viewer_ssim: float | None = None  # in Chromium
    viewer_web_ssim: float | None = None
    in_viewer: bool = False  # whether Chromium was asked
    seconds: float = 0.0


class MemoryBlobs:
    """Blobs in memory, which the steps store their files in."""

    def __init__(self) -> None:
        self._data: dict[str, bytes] = {}

    def put(self, data: bytes) -> Sha256:
        """Store bytes; return their hash."""
        sha256 = Sha256(hashlib.sha256(data).hexdigest())
        self._data[sha256] = data
        return sha256

    def get(self, sha256: Sha256) -> bytes:
        """Return stored bytes."""
        return self._data[sha256]


def finish(
    data: bytes,
    *,
    dimensions: Dimensions = DIMENSIONS,
    max_triangles: int = MAX_TRIANGLES,
    web_budget: WebBudget | None = None,
    budgets: Mapping[str, WebBudget] | None = None,
) -> tuple[Work, Services]:
    """Return the work of a provider's model after its steps, and the services with its files."""
    services = cast(Services, SimpleNamespace(blobs=MemoryBlobs()))
    work = Work(
        run_id=RunId("corpus"),
        product=Product(sku=Sku("A1"), name="", category="", dimensions=dimensions),
        deliverable=Deliverable(
            name="model",
            kind=RunKind.MODEL,
            formats=("glb", "usdz", "web"),
            max_triangles=max_triangles,
            web_budget=web_budget,
            budgets=budgets or {},
        ),
        slot=1,
        rules_fingerprint="",
        raw_model=services.blobs.put(data),
        provenance={"generator": BROUGHT},
    )
    for step in (fit_dimensions, optimise_model, convert_to_usdz, make_web_glb):
        work = step(work, services)
    return work, services


def measure_file(
    path: Path,
    name: str,
    checker: CheckProcess,
    viewer: "Viewer | None" = None,
    pictures: Path | None = None,
) -> CorpusRow:
    """Return what becomes of a file. pictures: a folder for those of the viewer."""
    data, started = path.read_bytes(), time.perf_counter()
    row = CorpusRow(file=name, sha256=hashlib.sha256(data).hexdigest()[:12])
    try:
        row.features = features(Document(data))
        work, services = finish(data)
        made = {f.format: services.blobs.get(f.sha256) for f in work.files}
        row.sizes = {"original": len(data), **{kind: len(file) for kind, file in made.items()}}
        row.losses = {i.code: i.message for i in work.issues if i.code in LOSS_CODES}
        row.codes = check_codes(made, data, checker)
        row.ssim = _worst(data, made["glb"])
        row.web_ssim = _worst(data, made["web"])
        again = convert_model(made["usdz"])
        row.usdz_ssim = _worst(data, again.glb)
        row.usdz_losses = (*again.losses, *undrawn(row.features))
        if viewer is not None:
            row.in_viewer, picture = True, pictures / f"{row.sha256}.png" if pictures else None
            found = viewer.compare(data, (made["glb"], made["web"]), picture)
            row.viewer_ssim, row.viewer_web_ssim = found
    except InputError as error:
        row.outcome, row.detail = "refused", f"{error.issue_code}: {error}"
    except Exception:
        row.outcome, row.detail = "crashed", traceback.format_exc()[-2000:]
    row.seconds = round(time.perf_counter() - started, 1)
    return row


def check_codes(made: Mapping[str, bytes], original: bytes, checker: CheckProcess) -> tuple[str, ...]:
    """Return the codes of the report's errors on the files of a version."""
    files = tuple(
        VersionFile(
            name=f"a1.{kind}",
            format=kind,
            role=Role.USDZ if kind == "usdz" else Role.PRIMARY,
            view="",
            mime=MIME[kind],
            sha256=Sha256(""),
            bytes=len(data),
        )
        for kind, data in made.items()
    )
    report = checker.check(
        CheckRequest(
            product=None,
            deliverable=None,
            slot=1,
            number=1,
            files=files,
            contents={f"a1.{kind}": data for kind, data in made.items()},
            rules=load_rules((ROOT / "plugin.json").read_text()),
            made_here=False,
            original=original,
        )
    ).report
    return tuple(sorted({i.code for i in report.issues if i.severity == "error"}))


def _worst(before: bytes, after: bytes) -> float:
    return round(min(compare_looks(read_glb(before), read_glb(after)).values()), 4)


def summary(rows: list[CorpusRow]) -> dict[str, Any]:
    """Return the counts and the SSIM of all files."""
    done = [r for r in rows if r.outcome == "finished"]
    return {
        "files": len(rows),
        "outcomes": dict(Counter(r.outcome for r in rows)),
        "kept_as_they_are": sum(bool(r.features) for r in done),
        "harmful": sum("file.harmful" in r.codes for r in done),
        "too_slow": sum("file.too_slow" in r.codes for r in done),
        "with_a_named_loss": sum(bool(r.losses) for r in done),
        "errors": dict(Counter(code for r in done for code in r.codes)),
        "features": dict(Counter(f for r in done for f in r.features).most_common()),
        **{name: _spread([getattr(r, name) for r in done]) for name in SSIM_NAMES},
        "refused_by_the_viewer": sum(r.in_viewer and r.viewer_ssim is None for r in done),
        "not_named": [r.file for r in done if loss_without_a_name(r)],
        "worst": {name: _worst_files(done, name) for name in SSIM_NAMES},
        "web_bytes_share": round(
            sum(r.sizes["web"] for r in done) / max(1, sum(r.sizes["original"] for r in done)), 3
        ),
        "larger_than_they_came": sum(r.sizes["glb"] > 1.02 * r.sizes["original"] + 2000 for r in done),
    }


SSIM_NAMES = ("ssim", "web_ssim", "usdz_ssim", "viewer_ssim", "viewer_web_ssim")
NAMED_BY = {"usdz_ssim": "usdz.lost"}  # the others: model.over_budget


def loss_without_a_name(row: CorpusRow) -> tuple[str, ...]:
    """Return the comparisons in which a file looks different, and no issue says so."""
    return tuple(
        name
        for name in SSIM_NAMES
        if (value := getattr(row, name)) is not None
        and value < LEAST_SSIM
        and NAMED_BY.get(name, "model.over_budget") not in row.losses
        and not (name == "usdz_ssim" and row.usdz_losses)
    )


def _worst_files(rows: list[CorpusRow], name: str) -> dict[str, float]:
    measured = [r for r in rows if getattr(r, name) is not None]
    return {
        f"{r.sha256} {r.file}": getattr(r, name)
        for r in sorted(measured, key=lambda r: float(getattr(r, name)))[:WORST]
    }


def _spread(values: list[float | None]) -> dict[str, float] | None:
    found = sorted(v for v in values if v is not None)
    if not found:
        return None
    return {
        "files": len(found),
        "median": round(statistics.median(found), 4),
        "tenth": round(found[len(found) // 10], 4),
        "least": found[0],
        "below_limit": sum(v < LEAST_SSIM for v in found),
    }


def _rows_before(path: Path | None) -> list[CorpusRow]:
    return [CorpusRow(**row) for row in json.loads(path.read_text())] if path and path.exists() else []


def _viewer() -> "Viewer":
    """Return Chromium; who measures without it needs no playwright."""
    from benchmarks.corpus_viewer import Viewer

    return Viewer()


def main() -> None:
    """Measure all files of a folder and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--chromium", action="store_true", help="compare in model-viewer too")
    parser.add_argument("--pictures", type=Path, help="a folder for pictures of model-viewer")
    parser.add_argument("--sample", type=int, help="measure so many files")
    parser.add_argument("--json", type=Path, help="a file for the rows")
    options = parser.parse_args()
    paths = {hashlib.sha256(p.read_bytes()).digest(): p for p in matching_files(options.folder, "**/*.glb")}
    rows, checker = _rows_before(options.json), CheckProcess()
    if options.pictures:
        options.pictures.mkdir(parents=True, exist_ok=True)
    if options.chromium:
        rows = [r for r in rows if r.in_viewer or r.outcome != "finished"]
    known = {r.sha256 for r in rows}
    with _viewer() if options.chromium else nullcontext() as viewer:
        for digest, path in sorted(paths.items())[: options.sample]:
            if digest.hex()[:12] in known:
                continue
            row = measure_file(path, str(path.relative_to(options.folder)), checker, viewer, options.pictures)
            rows.append(row)
            ssims = " ".join(f"{getattr(row, name)}" for name in SSIM_NAMES)
            print(f"{row.outcome} {row.seconds}s {ssims} {row.file} {row.detail[-300:]}", file=sys.stderr)
            if options.json:
                options.json.write_text(json.dumps([asdict(r) for r in rows], indent=1))
    checker.stop()
    if not any(r.outcome == "finished" for r in rows):
        raise SystemExit(f"nothing measured: no GLB in {options.folder} could be finished")
    print(json.dumps(summary(rows), indent=2))


if __name__ == "__main__":
    main()
