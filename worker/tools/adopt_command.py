"""`dam-worker adopt`: take a model that was made elsewhere through the finishing and the checks."""

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import click

from dam_connector import logs
from dam_connector.domain.brought_model import BROUGHT_MODEL
from dam_connector.domain.codec import to_plain
from dam_connector.domain.ids import RunId
from dam_connector.domain.rules import Deliverable, Rules
from dam_connector.domain.run import RunKind
from dam_connector.domain.version import Role
from dam_connector.errors import AdapterError
from dam_connector.model_siblings import read_model
from dam_connector.settings import Settings
from dam_connector.wiring import Services, build_services
from schemas.report import ReportOut
from worker.pipeline import MODEL, Step
from worker.steps.assign_version import assign_version
from worker.steps.plan_renditions import plan_renditions
from worker.steps.push_to_dam import push_to_dam
from worker.steps.request_review import request_review
from worker.steps.seal_version import seal_version
from worker.steps.write_dam_state import write_dam_state
from worker.tools.output import (
    EXIT_ISSUES,
    INPUT_FILE,
    OUTPUT_DIR,
    issue_lines,
    json_option,
    load_rules_or_stop,
    print_result,
    read_photos_or_stop,
    read_product_or_stop,
    stop,
    stop_on_input_error,
)
from worker.work import Work

# Steps that need a store: by hand, the files go into a folder instead.
_OF_STORE: tuple[Step, ...] = (
    assign_version,
    seal_version,
    push_to_dam,
    request_review,
    write_dam_state,
    plan_renditions,
)


@click.command()
@click.argument("file", type=INPUT_FILE)
@click.option(
    "--product", "product_file", type=INPUT_FILE, required=True, help="The product's record as JSON."
)
@click.option(
    "--photo",
    "photos",
    multiple=True,
    metavar="VIEW=FILE",
    help="A photo to compare the model with, e.g. front=chair.jpg. May be given more than once.",
)
@click.option("--out", type=OUTPUT_DIR, required=True, help="The folder for the files.")
@json_option
def adopt(file: Path, product_file: Path, photos: tuple[str, ...], out: Path, as_json: bool) -> None:
    """Finish and check a model that was made elsewhere: GLB, glTF, USDZ, OBJ, STEP, or a ZIP with its files.

    Exit code 0: no issue is an error. 1: at least one is. 2: the file cannot be used.
    """
    started = time.process_time()
    rules = load_rules_or_stop(as_json)
    product = replace(read_product_or_stop(product_file, as_json), images=())
    sources = {**read_photos_or_stop(photos, as_json), BROUGHT_MODEL: _read_or_stop(file, as_json)}
    with stop_on_input_error(as_json), _temporary_services() as services:
        work = Work(
            run_id=RunId("adopt"),
            product=product,
            deliverable=_deliverable(rules),
            slot=1,
            rules_fingerprint=services.rules.current().fingerprint,
            number=1,
            sources={name: services.blobs.put(data) for name, data in sources.items()},
        )
        try:
            work = _finish(work, services)
        except AdapterError as error:
            stop(as_json, "adopt", f"{error}.", "Try again.")
        written = _write_files(work, services, out)
    report = work.report
    result = {
        "out": str(out),
        "files": written,
        "blocked": report.blocked,
        "original_format": work.facts.get("brought_as"),
        "cpu_s": round(time.process_time() - started, 2),
        "report": ReportOut().dump(report),
        "provenance": to_plain(work.provenance),
    }
    lines = [f"{out}: {'blocked' if report.blocked else 'good'}", *(f"  {name}" for name in written)]
    print_result(as_json, result, [*lines, *issue_lines(report.issues)])
    sys.exit(EXIT_ISSUES if report.blocked else 0)


def _read_or_stop(file: Path, as_json: bool) -> bytes:
    try:
        return read_model(file)
    except AdapterError as error:
        stop(as_json, "source.not_a_model", f"{error}.", "Put the model and all its files into one folder.")


def _deliverable(rules: Rules) -> Deliverable:
    """Return the first model of plugin.json."""
    models = [d for d in rules.deliverables if d.kind is RunKind.MODEL and not d.categories]
    models += [d for d in rules.deliverables if d.kind is RunKind.MODEL]
    return models[0] if models else Deliverable(name="model", kind=RunKind.MODEL, formats=("glb", "usdz"))


@contextmanager
def _temporary_services() -> Iterator[Services]:
    """Yield services on a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="adopt-") as folder:
        environ = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
        settings = Settings.from_env(environ, data_dir=Path(folder))
        logs.configure_logging(settings.log_format)
        services = build_services(settings)
        services.db.migrate()
        try:
            yield services
        finally:
            services.db.close()


def _finish(work: Work, services: Services) -> Work:
    for step in MODEL:
        if step in _OF_STORE:
            work = work.with_file_names(services) if step is assign_version else work
            continue
        work = step(work, services)
    return work


def _write_files(work: Work, services: Services, out: Path) -> list[str]:
    """Write the files into a folder and return their names."""
    out.mkdir(parents=True, exist_ok=True)
    names = []
    for file in work.files:
        name = file.name if file.role is not Role.EVIDENCE else f"report_{file.view}.webp"
        (out / Path(name).name).write_bytes(services.blobs.get(file.sha256))
        names.append(Path(name).name)
    return names
