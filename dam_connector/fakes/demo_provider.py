"""The provider of the demo: a fake Tripo that answers with models of our own local generator."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from dam_connector.fakes.tripo import API_KEY, FakeTripo
from dam_connector.private_files import make_private_dir, open_private
from dam_connector.rules_file import read_rules_text
from dam_connector.settings import Settings
from schemas.numbers_and_units import METRES_PER_UNIT

FAKE_TRIPO = "fake-tripo"
TASK_S = 6.0  # how long a task takes


def with_fake_tripo(settings: Settings) -> tuple[Settings, FakeTripo]:
    """Start a fake Tripo; return settings whose rules generate models with it, and the fake.

    The rules are those of plugin.json with this change, written to the data directory.
    """
    fake = FakeTripo(make=_build_model, seconds=TASK_S)
    base_url = fake.start()
    rules = json.loads(read_rules_text(settings.plugin_json))
    tripo = {"adapter": "tripo", "base_url": base_url, "api_key": "env/TRIPO_API_KEY", "max_usd_per_day": 20}
    rules["connections"]["provider"] = {"tripo": tripo}
    for deliverable in rules["deliverables"]:
        if deliverable["kind"] == "model":
            deliverable["generator"] = ["tripo", "local"]
    path = settings.data_dir / "plugin.json"
    make_private_dir(path.parent)
    with open_private(path, "w") as file:
        json.dump(rules, file, indent=2)
    hosts = ",".join(filter(None, [settings.allow_hosts, fake.host]))
    return replace(
        settings, plugin_json=path, allow_hosts=hosts, environ={**settings.environ, "TRIPO_API_KEY": API_KEY}
    ), fake


def _build_model(pictures: Mapping[str, bytes]) -> bytes:
    """Build a GLB from the pictures with our own generator, in another process: no 3D library is loaded here.

    A sample product gets the dimensions of its record, which a real provider would have to guess.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "worker",
            "build",
            "--texture-px",
            "1024",
            "--out",
            f"{folder}/made.glb",
        ]
        command += _size_options(pictures["front"])
        for view, data in pictures.items():
            (Path(folder) / f"{view}.jpg").write_bytes(data)
            command += [f"--{view}", f"{folder}/{view}.jpg"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return (Path(folder) / "made.glb").read_bytes()


def _size_options(front: bytes) -> list[str]:
    """Return the command-line options for the size of a sample product by its photo; else none."""
    samples = files("dam_connector").joinpath("samples")
    for entry in json.loads(samples.joinpath("catalog.json").read_text()):
        photo, size = entry["product"]["images"].get("front"), entry["product"].get("dimensions")
        if photo and size and samples.joinpath(photo).read_bytes() == front:
            return [
                word
                for axis in ("width", "height", "depth")
                for word in (f"--{axis}-m", f"{size[axis] * METRES_PER_UNIT[size['unit']]:.4f}")
            ]
    return []
