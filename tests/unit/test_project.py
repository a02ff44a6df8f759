"""The project: lists that must be complete, documents that must agree with the code, the wheel, the
containers.
"""

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from dam_connector import errors
from dam_connector.adapters import PORTS, adapter_names
from dam_connector.cli import main as dam_connector_command
from dam_connector.domain.issue_codes import CODES
from dam_connector.ops import docgen
from dam_connector.queue import JOBS
from dam_connector.settings import GENERATED_SECRETS, Settings, ensure_secrets
from dam_connector.web.metrics import TOKEN_VARIABLE
from tests.support import ROOT
from worker.__main__ import main as dam_worker_command
from worker.pipeline import PIPELINES


@pytest.mark.parametrize("job", JOBS)
def test_every_job_name_resolves(job: str) -> None:
    module, _, name = JOBS[job].function.rpartition(".")
    assert callable(getattr(importlib.import_module(module), name))


@pytest.mark.parametrize("port", PORTS)
def test_every_connection_has_a_page(port: str) -> None:
    assert [
        name
        for name in adapter_names(port)
        if name != "memory" and not (ROOT / f"docs/connections/{name}.md").exists()
    ] == []


def test_steps_are_named_like_their_files_and_say_what_they_read_and_add() -> None:
    steps = {step for row in PIPELINES.values() for step in row}
    assert {s.__name__ for s in steps} == {p.stem for p in (ROOT / "worker/steps").glob("*.py")} - {
        "__init__"
    }
    assert all(s.__module__ == f"worker.steps.{s.__name__}" and "Reads:" in (s.__doc__ or "") for s in steps)


@pytest.mark.parametrize(("path", "text"), docgen.documents().items())
def test_generated_documents_are_up_to_date(path: str, text: str) -> None:
    assert (ROOT / path).read_text() == text


def test_every_setting_and_code_is_documented() -> None:
    settings, issues = (ROOT / "docs/configuration.md").read_text(), (ROOT / "docs/issues.md").read_text()
    assert all(
        f"`{f.metadata['env']}`" in settings for f in Settings.__dataclass_fields__.values() if f.metadata
    )
    assert all(f"`{code}`" in issues for code in CODES)


def test_the_error_tree_in_the_docstring_is_the_tree() -> None:
    drawn = set(re.findall(r"[├└]── (\w+)", errors.__doc__ or "")) | {"ConnectorError"}
    assert drawn == {
        name for name, x in vars(errors).items() if isinstance(x, type) and issubclass(x, Exception)
    }


def test_settings_read_numbers_and_name_what_they_cannot_read(tmp_path: Path) -> None:
    assert Settings.from_env({"DAM_CONNECTOR_PORT": "9000"}, data_dir=tmp_path).port == 9000
    with pytest.raises(errors.ConfigError, match="DAM_CONNECTOR_PORT"):
        Settings.from_env({"DAM_CONNECTOR_PORT": "many"}, data_dir=tmp_path)
    for name in ("SESSION_HOURS", "TOKEN_DAYS"):
        for text in ("0", "-1", "1000000000", "1e3", "１２", "9" * 5000):
            with pytest.raises(errors.ConfigError, match=name):
                Settings.from_env({f"DAM_CONNECTOR_{name}": text}, data_dir=tmp_path)


def test_secrets_are_made_once_kept_for_the_owner_and_never_shown(tmp_path: Path) -> None:
    made = ensure_secrets(Settings.from_env({}, data_dir=tmp_path))
    again = Settings.from_env({}, data_dir=tmp_path)
    for name in GENERATED_SECRETS:
        assert made.secret(f"env/{name}") == again.secret(f"env/{name}") and made.secret(
            f"env/{name}"
        ) not in repr(made)
    assert (tmp_path / "secrets.env").stat().st_mode & 0o077 == 0
    with pytest.raises(errors.ConfigError) as found:
        made.secret("hunter2hunter2")
    assert "hunter2" not in str(found.value)


def test_the_wheel_carries_what_it_needs_without_node(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    names = set(zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist())
    assert {
        "dam_connector/web/static/vendor/model-viewer.min.js",
        "worker/vendor/gltf_validator.dart.js",
        "dam_connector/plugin.json",
        "dam_connector/web/templates/ar_page.html",
        "dam_connector/samples/chair-front.jpg",
        "dam_connector/store/migrations/versions/0001_first.py",
        "schemas/plugin.schema.json",
        "dam_connector/web/static/vendor/swagger-ui-bundle.js",
    } <= names


@pytest.mark.parametrize("target", ["wheel", "sdist"])
def test_a_build_without_the_fetched_files_fails_and_says_what_to_do(tmp_path: Path, target: str) -> None:
    for name in ("pyproject.toml", "README.md", "LICENSE", "plugin.json"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", target],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and "make frontend" in done.stderr and "model-viewer.min.js" in done.stderr


def test_lock_files_pin_with_hashes_and_name_no_address() -> None:
    pins = (ROOT / "constraints.txt").read_text()
    assert "://" not in pins and pins.count("--hash=sha256:") > 100
    assert all("==" in line for line in pins.splitlines() if line and not line.startswith((" ", "#")))
    assert "resolved" not in (ROOT / "package-lock.json").read_text()


def test_the_compose_file_is_healthy_unprivileged_and_names_real_settings() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    known = (
        {f.metadata["env"] for f in Settings.__dataclass_fields__.values() if f.metadata}
        | set(GENERATED_SECRETS)
        | {TOKEN_VARIABLE, "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "GLIBC_TUNABLES"}
    )
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert "USER connector" in dockerfile and "HEALTHCHECK" in dockerfile
    for name, service in compose["services"].items():
        assert "healthcheck" in service or name == "web", name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in compose["volumes"] or source.startswith("./"), volume
        if "build" in service:
            assert (
                set(service["environment"]) <= known
                and service["cap_drop"] == ["ALL"]
                and service["read_only"]
            )
            assert service["command"][0] in ("dam-connector", "dam-worker")
    assert "appendonly" in compose["services"]["redis"]["command"][1]


def test_the_web_process_and_the_sweeper_load_no_3d_library() -> None:
    code = (
        "import sys; libraries = ('trimesh', 'cv2', 'PIL', 'numpy', 'pygltflib', 'pxr')\n"
        "import dam_connector.app; print([m for m in (*libraries, 'worker') if m in sys.modules])\n"
        "import worker.__main__; print([m for m in libraries if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["[]", "[]"]


COMMANDS = {"dam_connector.cli": dam_connector_command, "worker": dam_worker_command}


def cli(program: str, *args: str, data: Path, **environ: str) -> Result:
    """Run a command in this process, as `python -m PROGRAM ARGS` would."""
    cleared = {name: None for name in os.environ if name.startswith("DAM_CONNECTOR")}
    env = {**cleared, "DAM_CONNECTOR_DATA_DIR": str(data), **environ}
    result = CliRunner().invoke(COMMANDS[program], args, env=env)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.mark.parametrize("program", COMMANDS)
def test_the_commands_start_as_programs(program: str) -> None:
    done = subprocess.run([sys.executable, "-m", program, "--help"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0 and "Usage:" in done.stdout


def test_check_config_says_good_and_what_is_wrong(tmp_path: Path) -> None:
    assert cli("dam_connector.cli", "check-config", "plugin.json", data=tmp_path).exit_code == 0
    for text in ("", '{"name": "x", "versoin": 1}'):
        (tmp_path / "p.json").write_text(text)
        done = cli("dam_connector.cli", "check-config", str(tmp_path / "p.json"), "--json", data=tmp_path)
        assert done.exit_code == 1 and json.loads(done.stdout)["problems"] and "Traceback" not in done.stderr


def test_doctor_users_tokens_and_products_by_hand(tmp_path: Path) -> None:
    added = cli("dam_connector.cli", "user", "add", "ann", "--role", "admin", "--no-password", data=tmp_path)
    assert added.exit_code == 0 and "/login/link/" in added.stdout
    assert cli("dam_connector.cli", "token", "add", "ann", data=tmp_path).stdout.startswith("damc_")
    assert cli("dam_connector.cli", "token", "add", "nobody", data=tmp_path).exit_code == 1
    (tmp_path / "p.json").write_text('{"sku": "H1", "name": "By hand", "category": "decor"}')
    done = cli("dam_connector.cli", "product", "add", str(tmp_path / "p.json"), "--json", data=tmp_path)
    assert json.loads(done.stdout.splitlines()[-1])["outcome"].startswith("H1: flagged: ")
    assert cli("dam_connector.cli", "run", "NONE", data=tmp_path).exit_code == 1
    assert cli("dam_connector.cli", "replay", "dlv_none", data=tmp_path).exit_code == 1
    examined = cli("dam_connector.cli", "doctor", "--json", data=tmp_path)
    found = {f["part"]: f for f in json.loads(examined.stdout)}
    assert (
        found["database"]["good"]
        and found["storage"]["good"]
        and found["plugin.json"]["good"]
        and set(found) >= {"queue", "disk"}
    )
    away = cli(
        "dam_connector.cli",
        "doctor",
        data=tmp_path,
        DATABASE_URL="postgresql+psycopg://x@127.0.0.1:1/x",
        REDIS_URL="redis://127.0.0.1:1",
    )
    assert (
        away.exit_code == 1
        and "FAIL queue" in away.stdout
        and "FAIL database" in away.stdout
        and "Traceback" not in away.stderr
    )


TEST_GROUPS = {"contracts", "unit", "pipeline", "web", "browser", "live", "stress", "data"}


def test_every_test_is_in_a_known_group() -> None:
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()}
    assert folders - {"__pycache__"} <= TEST_GROUPS
    assert list((ROOT / "tests").glob("test_*.py")) == []
