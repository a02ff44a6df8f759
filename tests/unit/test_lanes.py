"""The order in which a worker looks into its lanes: a batch waits long, and not for ever."""

from typing import Any

from dam_connector.queue import FAIRNESS_INTERVAL
from worker.queue_workers import _FairWorker


def test_after_every_fifth_job_the_other_lane_comes_first() -> None:
    worker: Any = _FairWorker()
    worker.queues = ["make", "bulk"]
    first = []
    for _ in range(2 * FAIRNESS_INTERVAL):
        worker.reorder_queues(None)
        first.append(worker._ordered_queues[0])
    assert first == (["make"] * (FAIRNESS_INTERVAL - 1) + ["bulk"]) * 2 and FAIRNESS_INTERVAL == 5
