"""The web image: its list of packages is enough for the web process, and has none of the worker's.

A fresh process in which everything else is blocked imports all of the web's code and answers requests.
"""

import importlib.util
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
import importlib, importlib.abc, pkgutil, sys
from pathlib import Path

blocked = set(sys.argv[2].split(","))

class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError(f"{name} is not in the web image", name=name)

sys.meta_path.insert(0, Blocker())
import dam_connector, schemas
from dam_connector.app import create_app
from dam_connector.settings import Settings, ensure_secrets
from dam_connector.wiring import build_services

imported = 0
for package in (dam_connector, schemas):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if "migrations" not in module.name and not module.name.endswith("__main__"):
            importlib.import_module(module.name)
            imported += 1
services = build_services(ensure_secrets(Settings.from_env({}, data_dir=Path(sys.argv[1]))))
services.db.migrate()
client = create_app(services).test_client()
print(imported, client.get("/healthz").status_code, client.get("/login").status_code)
"""


@pytest.fixture(scope="module")
def sbom() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sbom", ROOT / ".ci" / "sbom.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_with_blocked(modules: set[str], tmp_path: Path) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, "-c", PROGRAM, str(tmp_path), ",".join(sorted(modules))]
    return subprocess.run(arguments, capture_output=True, text=True, cwd=ROOT, check=False)


def test_the_web_process_needs_no_package_that_its_image_does_not_have(
    sbom: ModuleType, tmp_path: Path
) -> None:
    has = set(sbom.closure(sbom.PROJECT, ("otel",), without=sbom.worker_only()))
    owners = {m: {sbom.normalized(d) for d in dists} for m, dists in packages_distributions().items()}
    missing = {module for module, dists in owners.items() if not dists & has}
    assert {"trimesh", "numpy", "PIL", "cv2", "scipy", "skimage", "pxr", "pytest"} <= missing
    done = run_with_blocked(missing, tmp_path)
    lines = done.stdout.splitlines() or [done.stderr[-2000:]]  # those before the last are of the log
    imported, *statuses = lines[-1].split()
    assert statuses == ["200", "200"], imported
    assert int(imported) > 200


def test_the_block_is_a_real_one(tmp_path: Path) -> None:
    done = run_with_blocked({"flask"}, tmp_path)
    assert done.returncode and "flask is not in the web image" in done.stderr


def test_the_lists_differ_by_the_worker_alone(sbom: ModuleType) -> None:
    def names(text: str) -> set[str]:
        return set(re.findall(r"^([A-Za-z0-9._-]+)==", text, re.MULTILINE))

    web, worker = names(sbom.web_requirements()), names(sbom.requirements())
    assert web < worker and {"flask", "gunicorn", "sqlalchemy", "rq", "obstore"} <= web
    assert not web & sbom.worker_only() and {"numpy", "trimesh", "usd-core"} <= worker - web
    for entry in re.split(r"^(?=[A-Za-z0-9])", sbom.web_requirements(), flags=re.MULTILINE)[1:]:
        assert "--hash=sha256:" in entry, entry[:60]


def test_what_is_named_as_the_workers_is_a_dependency(sbom: ModuleType) -> None:
    declared = re.findall(
        r'^    "([A-Za-z0-9._-]+)[\[>]', (ROOT / "pyproject.toml").read_text(), re.MULTILINE
    )
    assert sbom.worker_only() <= {sbom.normalized(name) for name in declared}
