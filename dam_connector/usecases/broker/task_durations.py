"""The durations of a provider's last tasks, from which follows when a new task is worth polling."""

from collections import deque
from datetime import datetime

MIN_SAMPLES = 8  # tasks after which the shortest duration is trusted
SAFETY_FACTOR = 0.9  # of the shortest duration: some tasks end earlier


class TaskDurations:
    """Durations of the last tasks of each provider, as far as this process submitted them."""

    def __init__(self) -> None:
        self._started: dict[str, datetime] = {}  # by task
        self._seconds: dict[str, deque[float]] = {}  # by provider

    def start(self, task_id: str, at: datetime) -> None:
        """Note when a task was submitted."""
        self._started[task_id] = at

    def end(self, task_id: str, provider: str, at: datetime) -> None:
        """Note when a task was found to have succeeded."""
        started = self._started.pop(task_id, None)
        if started:
            last = self._seconds.setdefault(provider, deque(maxlen=4 * MIN_SAMPLES))
            last.append((at - started).total_seconds())

    def shortest_s(self, provider: str) -> float:
        """Return the seconds in which no task of a provider has ended lately; 0 while too few are known."""
        seconds = self._seconds.get(provider, ())
        return SAFETY_FACTOR * min(seconds) if len(seconds) >= MIN_SAMPLES else 0.0
