"""Cost of keeping tasks of providers in flight, and how full the provider's slots stay.

A real `dam-worker sweep` runs against fakes whose tasks take a minute. The baseline is a process that waits
for one task at a time.
"""

import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from dam_connector.fakes.meshy import FakeMeshy
from dam_connector.fakes.openai_images import FakeOpenAIImages
from dam_connector.fakes.server import MINIMAL_GLB, FakeServer
from dam_connector.fakes.tripo import API_KEY as TRIPO_KEY
from dam_connector.fakes.tripo import FakeTripo
from dam_connector.rules_file import read_rules_text
from dam_connector.settings import Settings
from dam_connector.store.tasks import TaskOrigin
from dam_connector.usecases.provider_orders import ProviderOrder, place_order
from dam_connector.wiring import Services, build_services
from schemas.product import load_product

TASK_S = 60.0
SLOTS = 220
CONNECTION = "remote"
RAMP_UP_S, MEASURED_S = 75.0, 90.0
FRONT = Path(__file__).parent.parent / "dam_connector" / "samples" / "mug-front.jpg"


def measure() -> dict[str, object]:
    """Return CPU in percent of one core and the tasks in flight for each provider, turnover included."""
    return {
        "tripo": _measure_provider(
            _Tripo(lambda pictures: MINIMAL_GLB, seconds=TASK_S, concurrency=SLOTS, credits=1e9),
            "tripo",
            TRIPO_KEY,
        ),
        "meshy": _measure_provider(
            _Meshy(lambda pictures: MINIMAL_GLB, seconds=TASK_S, concurrency=SLOTS, credits=1e9),
            "meshy",
            "key_fake",
        ),
        "openai_images": _measure_provider(
            _SlowImages(lambda pictures: FRONT.read_bytes(), credits=1e9),
            "openai_images",
            "key_fake",
            slots=20,
        ),
    }


class _UnevenDuration:
    """Tasks that take a minute on average, each a quarter more or less at most, as real ones do."""

    def create_task(self, *args: Any, **kwargs: Any) -> Any:
        task = super().create_task(*args, **kwargs)  # type: ignore[misc]
        task.ready_at += random.Random(task.id).uniform(-0.25, 0.25) * TASK_S
        return task


class _Tripo(_UnevenDuration, FakeTripo): ...


class _Meshy(_UnevenDuration, FakeMeshy): ...


class _SlowImages(FakeOpenAIImages):
    """An image API that answers after 15 to 25 seconds, while the client waits."""

    def answer(self, request: Any, operation: str) -> Any:
        time.sleep(random.uniform(15, 25))
        return super().answer(request, operation)


def _measure_provider(fake: FakeServer, adapter: str, key: str, slots: int = SLOTS) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        fake.start()
        settings = _settings(Path(folder), fake, adapter, key, slots)
        services = build_services(settings)
        services.db.migrate()
        _order(services, CONNECTION, max(1000, slots * 6))
        log = Path(folder) / "sweep.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "worker", "sweep"],
                env=settings.child_environ(),
                stdout=out,
                stderr=out,
            )
        try:
            return _observe(psutil.Process(process.pid), fake, slots)
        finally:
            process.terminate()
            process.wait(30)
            fake.stop()
            services.db.close()


def _observe(process: psutil.Process, fake: FakeServer, slots: int) -> dict[str, object]:
    time.sleep(RAMP_UP_S)
    tasks_before, cpu_before, in_flight = len(fake.tasks), sum(process.cpu_times()[:2]), []
    until = time.monotonic() + MEASURED_S
    while time.monotonic() < until:
        in_flight.append(sum(not task.ready for task in fake.tasks.values()))
        time.sleep(1)
    used = sum(process.cpu_times()[:2]) - cpu_before
    done = len(fake.tasks) - tasks_before
    requests: dict[str, int] = {}
    for operation, _ in fake.requests:
        requests[operation] = requests.get(operation, 0) + 1
    return {
        "slots": slots,
        "in_flight": {"least": min(in_flight), "mean": round(sum(in_flight) / len(in_flight), 1)},
        "cpu_pct": round(used / MEASURED_S * 100, 2),
        "cpu_ms_a_task": round(used / max(1, done) * 1000, 1),
        "tasks_a_minute": round(done / MEASURED_S * 60, 1),
        "requests": requests,
        "memory_mb": round(process.memory_full_info().uss / 1e6),
    }


def _settings(folder: Path, fake: FakeServer, adapter: str, key: str, slots: int) -> Settings:
    rules = json.loads(read_rules_text(Settings.from_env({}).plugin_json))
    rules["connections"]["provider"] = {
        CONNECTION: {
            "adapter": adapter,
            "base_url": fake.base_url,
            "api_key": "env/FAKE_KEY",
            "concurrency": slots,
        }
    }
    (folder / "plugin.json").write_text(json.dumps(rules))
    environ = {"FAKE_KEY": key, "DAM_CONNECTOR_WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
    return Settings.from_env(
        environ, data_dir=folder / "data", plugin_json=folder / "plugin.json", allow_hosts=fake.host
    )


def _order(services: Services, name: str, count: int) -> None:
    """Place this number of orders, of runs that do not exist."""
    sha = services.blobs.put(FRONT.read_bytes())
    for n in range(count):
        about = TaskOrigin(
            run_id=f"run_{n}", provider=name, sku=f"S{n}", category="decor", deliverable="model"
        )
        place_order(
            services,
            about,
            ProviderOrder(
                product=load_product({"sku": f"S{n}", "name": "Mug"}),
                pictures={"front": sha},
                prompt="a mug",
                seed=n,
            ),
        )
