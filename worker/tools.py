"""The tools by hand: build a model, check a file, make a rendition, render a model. Each speaks JSON on request."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import click
from marshmallow import ValidationError

from dam_connector.domain.asset_texts import alt_text
from dam_connector.domain.codec import to_plain
from dam_connector.domain.ids import Sha256, Sku
from dam_connector.domain.issue import CheckOutcome, Report, issue
from dam_connector.domain.product import Dimensions, Product, View
from dam_connector.domain.report_text import report_junit, report_markdown
from dam_connector.domain.rules import PHOTO, Deliverable, Rules
from dam_connector.domain.run import RunKind
from dam_connector.domain.version import Role, VersionFile
from dam_connector.errors import ConfigError, InputError
from dam_connector.rules_file import rules_text
from dam_connector.settings import Settings
from schemas.common import problem_lines
from schemas.plugin import load_rules
from schemas.product import ProductSchema, load_product
from schemas.report import ReportOut
from worker import check_process
from worker.imaging.cutout import Cutout, cut_out
from worker.imaging.decode import decode
from worker.imaging.encode import MIME, encode, extension
from worker.imaging.metadata import digital_source_type, write_metadata
from worker.imaging.palette import extract_palette
from worker.modeling.build import build_model
from worker.modeling.camera import NAMED_VIEWS, named_camera
from worker.modeling.diagnostic_views import DIAGNOSTIC_VIEWS, render_diagnostic_views
from worker.modeling.glb_export import write_glb
from worker.modeling.glb_import import read_glb
from worker.modeling.render import Renderer, RenderOptions
from worker.renditions import RenditionRequest, make_rendition, open_source

MAX_PIXELS = 200_000_000
UNUSABLE = 2
as_json = click.option("--json", "machine", is_flag=True, help="Answer in JSON.")
a_file = click.Path(exists=True, dir_okay=False, path_type=Path)


def _stop(machine: bool, code: str, message: str, remedy: str = "") -> None:
    """End with exit code 2: the input is of no use."""
    if machine:
        click.echo(json.dumps({"error": {"code": code, "message": message, "remedy": remedy}}))
    else:
        click.echo(f"{code}: {message}" + (f"\n  {remedy}" if remedy else ""), err=True)
    sys.exit(UNUSABLE)


def _unusable(machine: bool, error: InputError) -> None:
    found = issue(error.issue_code, str(error))
    _stop(machine, found.code, found.message, found.remedy)


def _rules(machine: bool) -> Rules:
    try:
        return load_rules(rules_text(Settings.from_env().plugin_json))
    except ConfigError as error:
        _stop(machine, "config", "; ".join(error.problems), "Run dam-connector check-config.")
        raise


@click.command()
@click.option("--front", type=a_file)
@click.option("--right", type=a_file)
@click.option("--back", type=a_file)
@click.option("--left", type=a_file)
@click.option("--top", type=a_file)
@click.option("--hero", type=a_file)
@click.option("--width-m", type=click.FloatRange(0.001, 100))
@click.option("--height-m", type=click.FloatRange(0.001, 100))
@click.option("--depth-m", type=click.FloatRange(0.001, 100))
@click.option("--material", default="", help="What it is made of: decides how it shines.")
@click.option("--category", default="", help="What kind of product it is.")
@click.option("--max-triangles", type=click.IntRange(500), default=30_000, show_default=True)
@click.option(
    "--texture-px", type=click.Choice(["512", "1024", "2048", "4096"]), default="2048", show_default=True
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True)
@as_json
def build(
    width_m: float | None,
    height_m: float | None,
    depth_m: float | None,
    material: str,
    category: str,
    max_triangles: int,
    texture_px: str,
    out: Path,
    machine: bool,
    **views: Path | None,
) -> None:
    """Make a GLB from product photos."""
    started = time.process_time()
    try:
        cutouts: dict[View, Cutout] = {}
        for name, path in views.items():
            if path is not None:
                cutouts[View(name)] = cut_out(
                    decode(path.read_bytes(), max_pixels=MAX_PIXELS, pointer=f"/images/{name}")
                )
        if not cutouts:
            raise InputError("source.missing_view", "Name at least one photo, such as --front PHOTO.jpg.")
        size = Dimensions(width_m=width_m, height_m=height_m, depth_m=depth_m)
        made = build_model(
            cutouts, size, f"{material} {category}", max_triangles=max_triangles, texture_px=int(texture_px)
        )
    except InputError as error:
        _unusable(machine, error)
        raise
    data = write_glb(made.model, out.stem)
    out.write_bytes(data)
    facts = {
        "out": str(out),
        "bytes": len(data),
        "triangles": len(made.model.faces),
        "size_m": [round(float(v), 4) for v in made.model.extent],
        "shape": made.family,
        "confidence": made.confidence,
        "cpu_s": round(time.process_time() - started, 2),
        "issues": to_plain(made.issues),
    }
    _say(
        machine,
        facts,
        [
            f"{out}: {len(data) / 1e6:.2f} MB, {len(made.model.faces)} triangles, {made.family}, confidence {made.confidence}"
        ]
        + [f"  {i.severity.value}: {i.code}: {i.message}" for i in made.issues],
    )


@click.command()
@click.argument("file", type=a_file)
@click.option(
    "--profile",
    "profiles",
    multiple=True,
    help="A profile that it must satisfy, such as khronos-mobile-ar; may be given more than once.",
)
@click.option(
    "--product",
    "product_file",
    type=a_file,
    help="The product's record: then size, name and unit are checked too.",
)
@click.option(
    "--photo",
    "photos",
    multiple=True,
    metavar="VIEW=FILE",
    help="A photo to hold a model against, such as front=chair.jpg; may be given more than once.",
)
@click.option(
    "--as",
    "form",
    type=click.Choice(["text", "json", "markdown", "junit"]),
    default="text",
    show_default=True,
    help="How the report reads.",
)
@click.option(
    "--pictures", type=click.Path(file_okay=False, path_type=Path), help="A folder for the report's pictures."
)
@as_json
def check(
    file: Path,
    profiles: tuple[str, ...],
    product_file: Path | None,
    photos: tuple[str, ...],
    form: str,
    pictures: Path | None,
    machine: bool,
) -> None:
    """Check a GLB, USDZ or picture. Exit code 0: no error, 1: some, 2: the file is of no use."""
    machine = machine or form == "json"
    rules = _rules(machine)
    format = {"jpg": "jpeg"}.get(file.suffix[1:].lower(), file.suffix[1:].lower())
    if format not in MIME:
        _stop(
            machine,
            "format",
            f"{file.name} is none of: {', '.join(MIME)}",
            "Give the file its right extension.",
        )
    for unknown in (p for p in profiles if p not in rules.model_profiles):
        _stop(
            machine,
            "profile",
            f"there is no profile {unknown!r}",
            f"Known: {', '.join(rules.model_profiles)}.",
        )
    data = file.read_bytes()
    made = VersionFile(
        name=file.name,
        format=format,
        role=Role.PRIMARY,
        view="",
        mime=MIME[format],
        sha256=Sha256(""),
        bytes=len(data),
    )
    order = check_process.CheckRequest(
        product=_product(product_file, machine) if product_file else None,
        deliverable=None,
        slot=1,
        number=1,
        files=(made,),
        contents={file.name: data},
        rules=rules,
        photos=_photos(photos, machine),
        profiles=profiles,
    )
    checked = check_process.CHECK_PROCESS.check(order)
    report = checked.report
    if pictures:
        pictures.mkdir(parents=True, exist_ok=True)
        for name, picture in checked.pictures.items():
            (pictures / f"{name}.webp").write_bytes(picture)
    texts = {"markdown": report_markdown, "junit": report_junit}
    lines = [texts[form](report, file.name)] if form in texts else _report_lines(file, report)
    _say(machine, {"file": str(file), **ReportOut().dump(report)}, lines)
    unreadable = any(
        i.code in ("file.unreadable", "geometry.empty", "source.not_an_image") for i in report.issues
    )
    check_process.CHECK_PROCESS.stop()
    sys.exit(UNUSABLE if unreadable else int(report.blocked))


def _photos(given: tuple[str, ...], machine: bool) -> dict[str, bytes]:
    """The photos by view."""
    found = {}
    for each in given:
        view, _, path = each.partition("=")
        if view not in set(View) or not Path(path).is_file():
            _stop(
                machine,
                "photo",
                f"{each!r} is not VIEW=FILE with a file that is there",
                f"Views: {', '.join(View)}.",
            )
        found[view] = Path(path).read_bytes()
    return found


def _product(path: Path, machine: bool) -> Product:
    try:
        return load_product(json.loads(path.read_text()))
    except (ValueError, ValidationError) as error:
        lines = (
            list(problem_lines(error.messages, ProductSchema()))
            if isinstance(error, ValidationError)
            else [str(error)]
        )
        _stop(machine, "product", "; ".join(lines), "See docs/configuration.md for the product record.")
        raise


def _report_lines(file: Path, report: Report) -> list[str]:
    """What a person reads in a terminal: the verdict, the checks, the profiles that matter, the findings worst first."""
    lines = [f"{file}: {'blocked' if report.blocked else 'good'}"]
    lines += [
        f"  {row.outcome.value:10} {row.check}{f': {row.measured}' if row.measured else ''}"
        for row in report.rows
        if not row.profile
    ]
    for profile in dict.fromkeys(row.profile for row in report.rows if row.profile):
        failed = [
            f"{row.check} {row.measured}"
            for row in report.rows
            if row.profile == profile and row.outcome is CheckOutcome.FAIL
        ]
        held = "must" if profile in report.held_to else "told"
        lines.append(
            f"  {'fail' if failed else 'pass':10} profile {profile} ({held}){': ' + '; '.join(failed) if failed else ''}"
        )
    for i in report.issues:
        lines += [
            f"  {i.severity.value}: {i.code} {i.pointer}",
            f"    {i.message}" + (f" Measured {i.measured}, limit {i.limit}." if i.measured else ""),
            f"    {i.remedy}",
        ]
    return lines


@click.command()
@click.argument("source", metavar="PHOTO", type=a_file)
@click.option("--deliverable", default="packshot", show_default=True, help="Its name in plugin.json.")
@click.option(
    "--slot",
    type=click.IntRange(1, 4),
    default=1,
    show_default=True,
    help="Lifestyle pictures differ by slot.",
)
@click.option(
    "--view",
    type=click.Choice([v.value for v in View]),
    default="front",
    show_default=True,
    help="What the photo shows.",
)
@click.option(
    "--height-m",
    type=click.FloatRange(0.001, 100),
    help="The product's height: floors are drawn at true scale.",
)
@click.option("--inspiration", type=a_file, help="A picture whose colours a room takes on.")
@click.option("--out-dir", type=click.Path(file_okay=False, path_type=Path), required=True)
@as_json
def rendition(
    source: Path,
    deliverable: str,
    slot: int,
    view: str,
    height_m: float | None,
    inspiration: Path | None,
    out_dir: Path,
    machine: bool,
) -> None:
    """Make a rendition from one photo, as plugin.json says; one that is rendered from a model takes a GLB in its place."""
    rules = _rules(machine)
    found = _deliverable(deliverable, rules, machine)
    product = Product(sku=Sku(source.stem), name=source.stem, dimensions=Dimensions(height_m=height_m))
    try:
        mood = (
            extract_palette(decode(inspiration.read_bytes(), max_pixels=MAX_PIXELS)) if inspiration else None
        )
        order = RenditionRequest(
            deliverable=found,
            product=product,
            slot=slot,
            palette=mood,
            max_pixels=MAX_PIXELS,
            max_bytes=rules.checks.max_image_bytes,
        )
        made = make_rendition(open_source(source.read_bytes(), order, view), order, view=view)
    except InputError as error:
        _unusable(machine, error)
        raise
    out_dir.mkdir(parents=True, exist_ok=True)
    kind = digital_source_type(
        rendered=found.made_from != PHOTO,
        style=found.style,
        generator="local",
        photo_type=made.labels.get("source_type", ""),
    )
    labels = {
        **made.labels,
        "sku": product.sku,
        "title": product.name,
        "source_type": kind,
        "alt_text": alt_text(product, view, style=found.style),
    }
    files = {}
    for file in made.files:
        key = f"{file.format}_{file.view}" if file.view else file.format
        path = (
            out_dir
            / f"{source.stem}_{deliverable}{f'_{slot}' if slot > 1 else ''}{f'_{file.view}' if file.view else ''}.{extension(file.format)}"
        )
        path.write_bytes(write_metadata(file.data, labels))
        files[key] = str(path)
    lines = [*files.values(), *(f"  {i.severity.value}: {i.code}: {i.message}" for i in made.issues)]
    _say(machine, {"files": files, **made.facts, "issues": to_plain(made.issues)}, lines)


def _deliverable(name: str, rules: Rules, machine: bool) -> Deliverable:
    found = rules.deliverable(name)
    if found is None or found.kind is not RunKind.IMAGE:
        known = ", ".join(d.name for d in rules.deliverables if d.kind is RunKind.IMAGE)
        _stop(machine, "deliverable", f"plugin.json has no rendition {name!r}", f"Known: {known}.")
    assert found is not None
    return found


@click.command()
@click.argument("file", type=a_file)
@click.option("--views", default="hero,front,right,back,top", show_default=True)
@click.option("--size", type=click.IntRange(32, 4096), default=512, show_default=True)
@click.option("--out-dir", type=click.Path(file_okay=False, path_type=Path), required=True)
@as_json
def render(file: Path, views: str, size: int, out_dir: Path, machine: bool) -> None:
    """Render a GLB from named views, or as a study from the hero view: matcap, wireframe, checker."""
    wanted = [v.strip() for v in views.split(",") if v.strip()]
    known = (*NAMED_VIEWS, *DIAGNOSTIC_VIEWS)
    unknown = [v for v in wanted if v not in known]
    if unknown:
        _stop(machine, "views", f"unknown: {', '.join(unknown)}", f"Known: {', '.join(known)}.")
    try:
        model = read_glb(file.read_bytes())
    except InputError as error:
        _unusable(machine, error)
        raise
    stage, files = Renderer(model), {}
    out_dir.mkdir(parents=True, exist_ok=True)
    for view in wanted:
        camera = named_camera(model.min_corner, model.max_corner, view if view in NAMED_VIEWS else "hero")
        rgb = (
            next(render_diagnostic_views(stage, camera, size, [view]))
            if view in DIAGNOSTIC_VIEWS
            else stage.render(camera, size, RenderOptions(samples=3))[0]
        )
        path = out_dir / f"{file.stem}_{view}.png"
        path.write_bytes(encode(rgb, None, "png"))
        files[view] = str(path)
    _say(machine, {"files": files}, list(files.values()))


def _say(machine: bool, facts: dict[str, Any], lines: list[str]) -> None:
    click.echo(json.dumps(facts) if machine else "\n".join(lines))
