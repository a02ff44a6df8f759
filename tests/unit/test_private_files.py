"""All that the connector writes is for its own user alone, whatever the umask."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dam_connector.adapters.folder import FolderChannel
from dam_connector.domain.ids import Sha256
from dam_connector.domain.rules import ImagingRules
from dam_connector.errors import ConfigError
from dam_connector.ops import doctor, queue_server
from dam_connector.ops.supervisor import Child, Supervisor
from dam_connector.settings import Settings, ensure_secrets
from dam_connector.wiring import build_services
from tests.support import picture
from worker.cache import cached_cut_out
from worker.imaging.decode import Photo

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def open_to_others(folder: Path) -> list[str]:
    return [str(p) for p in (folder, *folder.rglob("*")) if not p.is_symlink() and p.stat().st_mode & 0o077]


def test_all_in_the_data_directory_is_for_its_user_alone(tmp_path: Path) -> None:
    data = tmp_path / "deep" / "data"
    settings = ensure_secrets(Settings.from_env({}, data_dir=data))
    services = build_services(settings)
    services.db.migrate()
    services.blobs.put(b"photo")
    photo = Photo(rgb=np.full((64, 64, 3), 255, np.uint8), alpha=None, format="PNG")
    photo.rgb[16:48, 16:48] = 40
    cached_cut_out(services, ImagingRules(net="none"), Sha256("0" * 64), photo)
    queue_server.server_command(settings)
    supervisor = Supervisor(settings, 1)
    supervisor._acquire_lock()
    supervisor._add("sleeper", [sys.executable, "-c", "print('log')"], dict(os.environ))
    with services.db.write():  # the files that SQLite keeps while it is open
        assert (data / "connector.db-wal").exists() and list((data / "cache" / "cutouts").iterdir())
        assert open_to_others(data.parent) == []
    supervisor._stop_all()


def test_an_open_data_directory_is_closed_at_the_next_start(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "logs").mkdir(parents=True)
    (data / "logs" / "web.log").write_text("sku")
    (data / "connector.db").touch()
    (data / "elsewhere").symlink_to(tmp_path / "outside")
    (tmp_path / "outside").touch()
    assert len(open_to_others(data)) == 4
    settings = Settings.from_env({}, data_dir=data)
    assert [p.part for p in doctor._privacy(settings)] == ["data directory"]
    build_services(settings)
    assert open_to_others(data) == [] and not list(doctor._privacy(settings))
    assert (tmp_path / "outside").stat().st_mode & 0o777 == 0o644


def test_a_directory_that_all_share_stays_shared(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    build_services(Settings.from_env({}, data_dir=tmp_path))
    assert tmp_path.stat().st_mode & 0o7777 == 0o1777


@pytest.mark.parametrize(
    "program",
    [
        "import sys; sys.argv[1:] = ['up']; from dam_connector.cli.__main__ import main; main()",
        "import sys; sys.argv[1:] = ['web']; from dam_connector.cli.__main__ import main; main()",
        "import sys; sys.argv[1:] = ['demo']; from dam_connector.cli.__main__ import main; main()",
        "from worker.__main__ import main; main(['run'])",
        "from worker.__main__ import main; main(['sweep'])",
        "from dam_connector.app import create_from_env; create_from_env()",
    ],
)
def test_service_processes_and_their_children_write_for_their_user_alone(
    program: str, tmp_path: Path
) -> None:
    watched = f"import atexit, os; atexit.register(lambda: print('umask', oct(os.umask(0)))); {program}"
    refused = {"DAM_CONNECTOR_PORT": "many"}  # the first thing that each of them refuses
    environ = {**os.environ, "TMPDIR": str(tmp_path), **refused}
    ended = subprocess.run(
        [sys.executable, "-c", watched], cwd=ROOT, env=environ, capture_output=True, text=True
    )
    assert "many" in ended.stderr and ended.stdout.split() == ["umask", "0o77"]
    assert not list(tmp_path.iterdir())  # not even the directory of a demo


def settings_with_long_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    folder = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return Settings.from_env({}, data_dir=tmp_path / ("d" * 120))


def test_a_socket_outside_the_data_directory_is_in_a_private_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_with_long_path(tmp_path, monkeypatch)
    folder = settings.queue_socket.parent
    assert folder.parent == Path(tempfile.gettempdir()) and folder.stat().st_mode & 0o777 == 0o700
    assert settings.queue_socket == settings.queue_socket and str(settings.queue_socket) in str(
        queue_server.server_command(settings)
    )


@pytest.mark.parametrize("trap", ["symlink", "open", "file", "another user's"])
def test_a_socket_directory_that_is_not_ours_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trap: str
) -> None:
    settings = settings_with_long_path(tmp_path, monkeypatch)
    place = Path(tempfile.gettempdir()) / f"dam-connector-{os.geteuid()}"
    if trap == "symlink":
        (tmp_path / "theirs").mkdir(mode=0o700)
        place.symlink_to(tmp_path / "theirs")
    elif trap == "open":
        place.mkdir()
        place.chmod(0o777)
    elif trap == "file":
        place.touch(mode=0o600)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 4711)  # what this test makes is then another user's
        (Path(tempfile.gettempdir()) / "dam-connector-4711").mkdir(mode=0o700)
    with pytest.raises(ConfigError, match="not a directory of this user alone"):
        _ = settings.effective_redis_url
    with pytest.raises(ConfigError):
        queue_server.server_command(settings)
    assert not doctor._queue(settings).good


def test_an_export_tree_is_for_everybody(tmp_path: Path) -> None:
    os.umask(0o077)
    FolderChannel(tmp_path / "export")._write("a/b/c.jpg", picture(), "image/jpeg")
    modes = [
        (tmp_path / p).stat().st_mode & 0o777
        for p in ("export", "export/a", "export/a/b", "export/a/b/c.jpg")
    ]
    assert modes == [0o755, 0o755, 0o755, 0o644]


def test_the_log_of_a_part_is_for_its_user_alone(tmp_path: Path) -> None:
    child = Child(name="x", argv=[sys.executable, "-c", ""], env=dict(os.environ))
    child.start(tmp_path / "x.log")
    child.stop(5)
    assert (tmp_path / "x.log").stat().st_mode & 0o777 == 0o600
