"""The 3D viewer's colours against the photos of the samples: `python -m benchmarks.viewer_against_photos`.

A model is built from each sample's photos. With `--bench DIR` the true models of a bench are shown instead,
each in the view of its two photos in a studio (`front_photo.jpg`, `hero_photo.jpg`). The likeness check finds
the camera of each photo; model-viewer, in Chromium and in the light of the pages, draws the model from there.
Printed is the mean CIEDE2000 over the pixels that both show: as they are, and with the photo's exposure as
the report of a version has it; beside it, both for our own renderer, and the viewer against the renderer.
`--out FOLDER` writes photo and viewer beside each other.
"""

import argparse
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page
from scipy import ndimage
from skimage.color import deltaE_ciede2000, rgb2lab

from benchmarks.bench_folder import matching_files
from benchmarks.model_sheet import build_from_photos
from dam_connector.domain.product import View
from dam_connector.settings import Settings, ensure_secrets
from dam_connector.wiring import build_services
from samples.make_photos import OUTPUT_FOLDER, VIEWS, painted_model
from samples.product_meshes import PRODUCTS
from tests.browser.conftest import WITH_3D, served, started
from tests.browser.viewer_stage import BACKDROP, open_stage, shown
from worker.imaging.cutout import cut_out
from worker.imaging.decode import decode
from worker.imaging.linear_light import to_srgb
from worker.modeling.glb_export import write_glb
from worker.modeling.glb_import import read_glb
from worker.modeling.photo_comparison import (
    CanvasPicture,
    ModelComparer,
    blurred_linear,
    lay_out,
    mean_ciede2000,
)
from worker.modeling.textured_mesh import TexturedMesh

PX = 320  # side of the viewer's pictures
SAMPLES = [name for name in VIEWS if name != "bottle"]  # its photo is truncated on purpose
BENCH_PHOTOS = {View.FRONT: "front_photo.jpg", View.HERO: "hero_photo.jpg"}
Row = tuple[str, float, float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A model and the photos of its product."""

    name: str
    model: TexturedMesh
    glb: bytes
    photos: Mapping[View, Path]


def samples() -> Iterator[Case]:
    """Yield the samples, with the models that are built from their photos."""
    for name in SAMPLES:
        model = build_from_photos(name, painted_model(PRODUCTS[name]())[0]).model
        photos = {View(view): OUTPUT_FOLDER / f"{name}-{view}.jpg" for view in VIEWS[name]}
        yield Case(name=name, model=model, glb=write_glb(model, name), photos=photos)


def bench(folder: Path) -> Iterator[Case]:
    """Yield the true models of a bench."""
    for file in matching_files(folder, "*/model.glb"):
        data = file.read_bytes()
        photos = {view: file.parent / name for view, name in BENCH_PHOTOS.items()}
        yield Case(name=file.parent.name, model=read_glb(data), glb=data, photos=photos)


def main() -> None:
    """Measure all samples and print a row for each photo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bench", type=Path, help="a folder with a folder for each model")
    parser.add_argument("--out", type=Path, help="a folder for pictures of each pair")
    arguments = parser.parse_args()
    cases = list(bench(arguments.bench) if arguments.bench else samples())
    with tempfile.TemporaryDirectory(prefix="viewer-") as data:
        services = build_services(ensure_secrets(Settings.from_env(data_dir=Path(data))))
        for chromium in started(*WITH_3D):
            for site in served(services):
                page = open_stage(chromium, services, site, {case.name: case.glb for case in cases}, PX)
                rows = [row for case in cases for row in measure(page, case, arguments.out)]
                page.close()
    print(f"{'photo':18} viewer  exposed  renderer  exposed  viewer to renderer")
    for name, *values in rows:
        print(f"{name:18} " + "  ".join(f"{value:6.2f}" for value in values))
    table = np.array([row[1:] for row in rows])
    for words, values in (("mean", table.mean(0)), ("highest", table.max(0))):
        print(f"{words:18} " + "  ".join(f"{value:6.2f}" for value in values))


def measure(page: Page, case: Case, out: Path | None) -> Iterator[Row]:
    """Yield the differences of each photo of a case: of the viewer and of the renderer, each twice."""
    comparer = ModelComparer(case.model)
    for view, photo in case.photos.items():
        cutout = cut_out(decode(photo.read_bytes(), max_pixels=10**8))
        found = comparer.compare(cutout.alpha, cutout.rgb, view)
        if found is None:
            continue
        picture = shown(page, case.name, found.camera)
        drawn = (picture != BACKDROP).any(-1)
        viewer = lay_out(drawn.astype(np.uint8) * np.uint8(255), unmixed(picture, drawn), found.photo.size)
        if viewer is None:
            continue
        if out:
            out.mkdir(parents=True, exist_ok=True)
            sides = [np.where(p.mask[..., None], p.rgb, np.uint8(246)) for p in (found.photo, viewer)]
            Image.fromarray(np.hstack(sides).astype(np.uint8)).save(out / f"{case.name}-{view}.png")
        ours = found.render
        yield (
            f"{case.name} {view}",
            as_they_are(found.photo, viewer),
            mean_ciede2000(found.photo, viewer),
            as_they_are(found.photo, ours),
            mean_ciede2000(found.photo, ours),
            as_they_are(ours, viewer),
        )


def unmixed(picture: NDArray[np.uint8], drawn: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return a picture whose rim, which the backdrop shines through, has the colours beside it."""
    inside = ndimage.binary_erosion(drawn, iterations=2)
    rows, columns = ndimage.distance_transform_edt(~inside, return_distances=False, return_indices=True)
    return np.asarray(picture[rows, columns])


def as_they_are(photo: CanvasPicture, render: CanvasPicture) -> float:
    """Return the mean CIEDE2000 over common pixels without any correction of the light."""
    both = ndimage.binary_erosion(photo.mask & render.mask, iterations=3)
    labs = (_lab(picture, both) for picture in (photo, render))
    return float(deltaE_ciede2000(*labs).mean())


def _lab(picture: CanvasPicture, mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.asarray(rgb2lab(to_srgb(blurred_linear(picture))[mask]))


if __name__ == "__main__":
    main()
