"""How often what failed is tried again, and after how long: runs, deliveries, paid tasks, messages."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The tries of one kind of work; the wait doubles with each one.

    An example: with `first_wait_s=4, max_wait_s=600`, the waits are 4, 8, 16 ... 512, 600, 600 seconds.
    """

    max_attempts: int  # all tries, the first one included
    first_wait_s: float
    max_wait_s: float

    def wait_s(self, attempts: int) -> float:
        """Return the seconds until the next try.

        Args:
            attempts: the tries that failed before the last one; 0 after the first failure.
        """
        return min(self.max_wait_s, self.first_wait_s * 2.0 ** min(attempts, 20))

    def is_last(self, attempts: int) -> bool:
        """Return whether the present try is the last one.

        Args:
            attempts: the tries that failed before it.
        """
        return attempts + 1 >= self.max_attempts


# Of one step of a run; tries that ended with the worker's death count.
RUN_RETRIES = RetryPolicy(max_attempts=8, first_wait_s=4, max_wait_s=600)
# Of runs that follow from a decision: an outside system may be away for three days.
FOLLOW_UP_RETRIES = RetryPolicy(max_attempts=440, first_wait_s=4, max_wait_s=600)
DELIVERY_RETRIES = RetryPolicy(max_attempts=8, first_wait_s=5, max_wait_s=640)
# Of a provider's submission in which nothing was started.
TASK_RETRIES = RetryPolicy(max_attempts=8, first_wait_s=4, max_wait_s=300)
MESSAGE_RETRIES = RetryPolicy(max_attempts=16, first_wait_s=30, max_wait_s=6 * 3600)  # three days
