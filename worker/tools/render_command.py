"""`dam-worker render`: render pictures of a GLB."""

from pathlib import Path

import click

from worker.imaging.encode import encode
from worker.modeling.camera import NAMED_VIEWS, named_camera
from worker.modeling.diagnostic_views import DIAGNOSTIC_VIEWS, render_diagnostic_views
from worker.modeling.glb_import import read_glb
from worker.modeling.render import Renderer, RenderOptions
from worker.tools.output import INPUT_FILE, OUTPUT_DIR, json_option, print_result, stop, stop_on_input_error

SAMPLES = 3  # rays a pixel, on each axis


@click.command()
@click.argument("file", type=INPUT_FILE)
@click.option("--views", default="hero,front,right,back,top", show_default=True)
@click.option("--size", type=click.IntRange(32, 4096), default=512, show_default=True)
@click.option("--out-dir", type=OUTPUT_DIR, required=True)
@json_option
def render(file: Path, views: str, size: int, out_dir: Path, as_json: bool) -> None:
    """Render a GLB from named views; or, from the hero view, as matcap, wireframe or checker.

    Exit code 0: the pictures are written. 2: the GLB or a view's name cannot be used.
    """
    names = [v.strip() for v in views.split(",") if v.strip()]
    known = (*NAMED_VIEWS, *DIAGNOSTIC_VIEWS)
    unknown = [v for v in names if v not in known]
    if unknown:
        stop(as_json, "views", f"unknown: {', '.join(unknown)}", f"Known: {', '.join(known)}.")
    with stop_on_input_error(as_json):
        model = read_glb(file.read_bytes())
    renderer = Renderer(model)
    files: dict[str, str] = {}
    out_dir.mkdir(parents=True, exist_ok=True)
    for view in names:
        camera = named_camera(model.min_corner, model.max_corner, view if view in NAMED_VIEWS else "hero")
        rgb = (
            next(render_diagnostic_views(renderer, camera, size, [view]))
            if view in DIAGNOSTIC_VIEWS
            else renderer.render(camera, size, RenderOptions(samples_per_axis=SAMPLES))[0]
        )
        path = out_dir / f"{file.stem}_{view}.png"
        path.write_bytes(encode(rgb, None, "png"))
        files[view] = str(path)
    print_result(as_json, {"files": files}, list(files.values()))
