"""The command line of bulk uploads: template, import, export, batch."""

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from dam_connector.domain.ids import Sha256
from dam_connector.errors import ConfigError, InputError
from dam_connector.store.batches import Batch, RowState
from dam_connector.usecases import batch_preview, batches, exports
from dam_connector.wiring import Services
from schemas.sheet import read_sheet

LOOK_S = 1.0


def beside(services: Services, given: Path | None) -> dict[str, Sha256]:
    """The pictures in a folder or ZIP, stored, by file name. Raises: InputError."""
    if given is None:
        return {}
    if given.is_dir():
        return {
            p.name: services.blobs.put(p.read_bytes())
            for p in sorted(given.rglob("*"))
            if p.suffix.lower() in batches.PICTURES and p.is_file()
        }
    return batches.zipped(services, given.read_bytes(), given.name)


def run_import(
    services: Services,
    file: Path,
    *,
    name: str,
    owner: str,
    given: dict[str, str],
    pictures: Path | None,
    dry_run: bool,
) -> tuple[Batch | None, batch_preview.Preview]:
    """The batch, and what its sheet does; with dry_run nothing is stored. Raises: InputError, StateConflict."""
    data = file.read_bytes()
    sheet = read_sheet(data)
    mapping, held = batch_preview.mapping_of(sheet, given), beside(services, pictures)
    said = batch_preview.preview(services, sheet, mapping, held)
    if dry_run or not said.counts[RowState.WAITING] + said.counts[RowState.FAILED]:
        return None, said
    return batches.begin(services, name, owner, read_sheet(data), mapping, held), said


def told(said: batch_preview.Preview) -> list[str]:
    """A preview for a terminal."""
    counts = said.counts
    lines = [
        f"{said.total} rows: {counts[RowState.WAITING]} good, {counts[RowState.FAILED]} bad, {counts[RowState.UNCHANGED]} unchanged"
    ]
    lines += [f"  {name}: {count} to make" for name, count in said.makes.items()]
    if said.makes:
        bills = ", ".join(f"{count} billed by {name}" for name, count in said.paid.items())
        bills = f"{bills}: about ${said.usd:.2f}" if bills else "nothing to pay: our own code makes all"
        lines += [f"  about {max(1, round(said.seconds / 60))} min; {bills}"]
    if said.unlooked:
        lines += [f"  the pictures of {said.unlooked} rows are looked at when their turn comes"]
    lines += [
        f"  row {row.line} {row.sku or '(no SKU)'}: {row.error}"
        for row in said.rows.get(RowState.FAILED, [])[:20]
    ]
    return lines


def watch(services: Services, batch: Batch) -> dict[str, int]:
    """Show a bar until nothing is under way; gives the last counts."""
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TimeRemainingColumn(),
        console=console,
    ) as bar:
        task = bar.add_task(batch.name, total=None)
        while True:
            now = services.batches.progress(batch.id)
            state = batches.find(services, batch.id).state
            words = f"{batch.name}: {now.waiting} waiting, {now.generating} generating, {now.in_review} in review, {now.live} live, {now.failed} failed"
            bar.update(task, total=now.total, completed=now.total - now.under_way, description=words)
            if not now.under_way or state in ("paused", "cancelled"):
                return asdict(now)
            time.sleep(LOOK_S)


def export(services: Services, batch: Batch, form: str, out: Path | None, *, follow: bool) -> dict[str, Any]:
    """Write what a batch made as jsonl, csv, zip or folder; gives the summary that ends it. Raises: ConfigError without a place for files."""
    if form in ("zip", "folder") and out is None:
        raise ConfigError(f"--format {form} needs --out, where the files go")
    if form == "folder" and out:
        count = exports.to_folder(services, exports.given(services, batch), out)
        (out / "manifest.jsonl").write_text("".join(exports.json_lines(exports.manifest(services, batch))))
        return {"files": count, "output": str(out)}
    if form == "zip" and out:
        lines = exports.json_lines(exports.manifest(services, batch))
        with out.open("wb") as file:
            file.writelines(exports.zip_stream(services, exports.given(services, batch), lines))
        return {"bytes": out.stat().st_size, "output": str(out)}
    with out.open("w", encoding="utf-8", newline="") if out else nullcontext(sys.stdout) as text:
        if form == "csv":
            text.writelines(exports.status_csv(services, batch))
            return {"output": str(out or "-")}
        counts: Counter[str] = Counter()
        for record in followed(services, batch) if follow else exports.manifest(services, batch):
            text.writelines(exports.json_lines([record]))
            text.flush()
            counts[record["status"]] += 1
        return {"completed": counts["completed"], "failed": counts["failed"], "output": str(out or "-")}


def followed(services: Services, batch: Batch) -> Iterator[dict[str, Any]]:
    """The manifest's records as their rows are settled, until nothing is under way."""
    seen: set[int] = set()
    while True:
        over = not services.batches.progress(batch.id).under_way or batches.find(
            services, batch.id
        ).state in ("paused", "cancelled")
        for record in exports.manifest(services, batch):
            if record["row"] not in seen:
                seen.add(record["row"])
                yield record
        if over:
            return
        time.sleep(LOOK_S)


def say(facts: Any, lines: list[str], machine: bool) -> None:
    click.echo(json.dumps(facts) if machine else "\n".join(lines))


def stop(error: InputError, machine: bool) -> None:
    """End with exit code 2: the sheet is of no use."""
    told_where = f" ({error.pointer})" if error.pointer else ""
    click.echo(
        json.dumps({"error": {"code": error.issue_code, "message": str(error)}})
        if machine
        else f"{error.issue_code}: {error}{told_where}",
        err=not machine,
    )
    sys.exit(2)
