"""CPU-seconds of a product beside its floor: what the libraries' own code takes of them, in the same run.

Packshot, lifestyle picture and model (with previews, likeness, web GLB and USDZ) of the six samples, each
with photos of its own and without a queue: in one process that has everything loaded, with the checks in it;
as in service, in a process beside the worker that stays for its next jobs, from its start on; and each run
in a process of its own. The floor is named call by call in `library_time`. The allocator is set as for make
workers.

    python -m benchmarks.product_cost              # the ratio, by library and by step
    python -m benchmarks.product_cost --profile    # the functions that take the most time
"""

import cProfile
import gc
import io
import json
import os
import pstats
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click
import cv2
from PIL import Image

from benchmarks.bulk_throughput import rules_of_one_each, write_sheet
from benchmarks.library_time import NET, LibraryTime
from dam_connector.cli.batches import run_import
from dam_connector.ops.supervisor import MAKE_ENV
from dam_connector.settings import Settings, ensure_secrets
from dam_connector.usecases import batches
from dam_connector.wiring import Services, build_services
from worker import check_process, jobs
from worker.check_process import CHECK_PROCESS
from worker.check_request import CheckRequest, CheckResult
from worker.runner import advance
from worker.steps import check_files
from worker.work_process import WorkProcess

PRODUCTS = 6  # one of each sample
TOP = 45  # functions that a profile lists


class _NoQueue:
    """The port `Queue` that sends nothing: this process takes the runs itself."""

    def wake(self, job: str, ids: Iterable[str]) -> bool:
        return True

    def length(self, job: str) -> int:
        return 0

    def workers(self, job: str) -> int:
        return 2


class _SameProcess:
    """The checks, in this process, so that their libraries are timed."""

    def check(self, request: CheckRequest) -> CheckResult:
        # This process is large from the start, so it would collect garbage and return memory at each check.
        with patch.object(check_process, "_return_memory", lambda: None):
            return check_process._run_request(request, "", io.BytesIO())


def measure(products: int = PRODUCTS) -> dict[str, Any]:
    """Return CPU-seconds a product, those of the libraries, and their ratio."""
    with _prepared(products + 1) as services:
        clock, cpu_s, runs = _in_one_process(services, products)
        steps = _steps(services, runs)
    beside = _beside(products, jobs_per_process=Settings.from_env({}).jobs_per_process)
    alone = _beside(products, jobs_per_process=1)
    floor_s = sum(clock.seconds.values())
    return {
        "products": products,
        "cpu_s_a_product": round(cpu_s / products, 2),
        "floor_s_a_product": round(floor_s / products, 2),
        "ratio": round(cpu_s / floor_s, 2),
        "ratio_without_net": round((cpu_s - clock.seconds[NET]) / (floor_s - clock.seconds[NET]), 2),
        "in_service": _shares(beside, floor_s, products),
        "a_process_for_each_run": _shares(alone, floor_s, products),
        "floor_by_library": {
            name: {"s": round(seconds / products, 3), "calls": round(clock.calls[name] / products, 1)}
            for name, seconds in sorted(clock.seconds.items(), key=lambda pair: -pair[1])
        },
        "cpu_s_by_step": {name: round(s / products, 3) for name, s in steps.items() if s / products > 0.02},
    }


def profile(products: int = PRODUCTS) -> str:
    """Return the functions in which a product's time is spent, by their own time."""
    with _prepared(products + 1) as services:
        with patch.object(check_files, "CHECK_PROCESS", _SameProcess()):
            _make(services, _next_runs(services, 1))
            runs = _next_runs(services, products)
            profiler = cProfile.Profile(time.process_time)
            profiler.runcall(_make, services, runs)
    text = io.StringIO()
    stats = pstats.Stats(profiler, stream=text)
    stats.sort_stats("tottime").print_stats(TOP)
    stats.sort_stats("cumtime").print_stats("worker", 2 * TOP)
    return text.getvalue()


def _in_one_process(services: Services, products: int) -> tuple[LibraryTime, float, list[str]]:
    """Make products with everything loaded; return the libraries' clock, the CPU-seconds and the runs."""
    with patch.object(check_files, "CHECK_PROCESS", _SameProcess()):
        _make(services, _next_runs(services, 1))  # it loads libraries, nets and scripts
        runs = _next_runs(services, products)
        clock = LibraryTime()
        with clock.watching():
            started = time.process_time()
            _make(services, runs)
            return clock, time.process_time() - started, runs


@dataclass(frozen=True)
class _Cost:
    """What processes beside a worker took, without that of their check process."""

    user_s: float
    system_s: float
    checks_s: float
    peak_mb: float  # of the largest process

    @property
    def whole_s(self) -> float:
        """Return all CPU-seconds."""
        return self.user_s + self.system_s + self.checks_s


def _shares(cost: _Cost, floor_s: float, products: int) -> dict[str, float]:
    return {
        "cpu_s_a_product": round(cost.whole_s / products, 2),
        "ratio": round(cost.whole_s / floor_s, 2),
        "kernel_s_a_product": round(cost.system_s / products, 2),
        "checks_s_a_product": round(cost.checks_s / products, 2),
        "peak_mb": round(cost.peak_mb),
    }


def _beside(products: int, jobs_per_process: int) -> _Cost:
    """Make products as a worker does, in processes beside it; return what they took.

    What each process loads anew, and each page that it copies, is in that.
    """
    with _prepared(products + 1) as services:
        runs_to_warm, runs = _next_runs(services, 1), _next_runs(services, products)
        with patch.object(jobs, "services", lambda: services), patch.object(gc, "freeze"):
            jobs.warm()
        _perform_beside(services, runs_to_warm, 1)  # the check process has read one model, as in service
        return _perform_beside(services, runs, jobs_per_process)


def _perform_beside(services: Services, runs: list[str], jobs_per_process: int) -> _Cost:
    CHECK_PROCESS.warm()
    before, checks_before = os.times(), CHECK_PROCESS._cpu_s()
    process, peak_bytes = None, 0
    for run in runs:
        if process is None:
            services.db.close()  # a fork shares no connection
            process = WorkProcess(lambda job: advance(services, job["run"]))
        process.start({"run": run})
        assert process.wait()
        peak_bytes = max(peak_bytes, process.peak_bytes)
        if process.jobs == jobs_per_process or run == runs[-1]:
            process.end()
            process = None
    after = os.times()
    return _Cost(
        user_s=after.children_user - before.children_user,
        system_s=after.children_system - before.children_system,
        checks_s=CHECK_PROCESS._cpu_s() - checks_before,
        peak_mb=peak_bytes / 1e6,
    )


@contextmanager
def _prepared(products: int) -> Iterator[Services]:
    """Give services with a batch of so many products, none of them taken in yet."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "plugin.json").write_text(json.dumps(rules_of_one_each()))
        settings = Settings.from_env({}, data_dir=folder / "data", plugin_json=folder / "plugin.json")
        services = replace(build_services(ensure_secrets(settings)), queue=_NoQueue())
        services.db.migrate()
        stack.callback(services.db.close)
        cv2.setNumThreads(1)
        Image.init()
        run_import(
            services,
            write_sheet(folder, products),
            name="bench",
            owner="bench",
            columns={},
            pictures=folder / "photos",
            dry_run=False,
        )
        yield services


def _next_runs(services: Services, products: int) -> list[str]:
    """Take in so many products of the batch; return their runs in the order in which workers take them."""
    known = {run.id for run in services.runs.page(limit=500)}
    batch = batches.find(services, "bench")
    with patch.object(batches, "MIN_ROWS", products), patch.object(batches, "MAX_ROWS", products):
        batches.advance(services, batch.wake_token)
    return sorted(run.id for run in services.runs.page(limit=500) if run.id not in known)


def _make(services: Services, runs: list[str]) -> None:
    for run in runs:
        advance(services, run)


def _steps(services: Services, runs: list[str]) -> dict[str, float]:
    """Return the CPU-seconds of each step of the runs, the most expensive first."""
    steps: dict[str, float] = {}
    for run_id in runs:
        run = services.runs.get(run_id)
        assert run is not None and run.state == "done", run
        for step, seconds in run.timings.items():
            steps[f"{run.deliverable} {step}"] = steps.get(f"{run.deliverable} {step}", 0.0) + seconds
    return dict(sorted(steps.items(), key=lambda pair: -pair[1]))


@click.command(help=__doc__)
@click.option("--products", default=PRODUCTS, show_default=True)
@click.option("--profile", "wants_profile", is_flag=True, help="List functions instead.")
def main(products: int, wants_profile: bool) -> None:
    if not MAKE_ENV.items() <= os.environ.items():  # the allocator reads them when a process starts
        os.execve(
            sys.executable, [sys.executable, "-m", __spec__.name, *sys.argv[1:]], {**os.environ, **MAKE_ENV}
        )
    print(profile(products) if wants_profile else json.dumps(measure(products), indent=2))


if __name__ == "__main__":
    main()
