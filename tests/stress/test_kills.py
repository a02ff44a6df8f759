"""The demo while its processes are killed: it ends as it does undisturbed."""

import json
import random
import subprocess
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest
from redis import Redis
from redis.exceptions import RedisError

from dam_connector.ops.demo import WALK_LIBRARY
from dam_connector.settings import Settings
from tests.processes import children, until

KILLS = 20


def kill_something(data: Path, chance: random.Random) -> bool:
    """Kill -9 a worker: its parent, what it forked, or both."""
    workers = [p for name, p in children(data).items() if name.startswith(("make", "intake", "sweeper"))]
    if not workers:
        return False
    worker = chance.choice(workers)
    try:
        forked = worker.children(recursive=True)
        for victim in chance.choice([[worker], forked or [worker], [worker, *forked]]):
            victim.kill()
    except psutil.NoSuchProcess:
        return False
    return True


def flushed(data: Path) -> bool:
    """Whether the queue server, which may be away after its death, forgot everything."""
    try:
        return bool(Redis.from_url(Settings.from_env({}, data_dir=data).effective_redis_url).flushall())
    except RedisError:
        return False


@pytest.mark.timeout(600)
def test_the_demo_ends_the_same_with_20_kills_a_dead_queue_server_and_a_flush(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    data, chance = tmp_path / "d", random.Random(7)
    demo = start("demo", "--headless", "--workers", "2")
    while "sweeper" not in children(data):
        assert demo.poll() is None, demo.communicate()[1]
        time.sleep(0.2)
    kills = 0
    while kills < KILLS and demo.poll() is None:
        time.sleep(chance.uniform(0.3, 1.2))
        if not kill_something(data, chance):
            continue
        kills += 1
        if kills == 5:
            until(lambda: "queue" in children(data))
            children(data)["queue"].kill()
        if kills == 12:
            until(lambda: flushed(data))
    out, err = demo.communicate(timeout=500)
    assert demo.returncode == 0, err[-2000:]
    summary = json.loads(out)
    assert kills == KILLS
    has_walk = find_spec(WALK_LIBRARY) is not None
    assert {k: summary["totals"][k] for k in ("live", "flagged", "versions")} == {
        "live": 8 if has_walk else 7,
        "flagged": 2,
        "versions": 40 if has_walk else 35,
    }
    assert {v["number"] for p in summary["products"] for v in p["versions"]} == {1}
    assert {v["state"] for p in summary["products"] for v in p["versions"]} == {"published"}
    reasons = {
        p["sku"]: [i["code"] for i in p["issues"]] for p in summary["products"] if p["state"] == "flagged"
    }
    assert reasons == {"TB620": ["product.field_missing"], "BT310": ["source.damaged"]}
