"""Limits on how many requests an address may send in a minute, and on logins for an account."""

import threading
import time

from flask import abort, current_app, request

WINDOW_S = 60


class RateLimiter:
    """Counts of requests by endpoint and address, each in a minute that begins with its first request.

    Tried and given up: the in-memory storage of the package `limits`. It starts a timer thread for every few
    hits, and two requests that start the same timer at once are answered with a 500.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._swept_s = 0.0
        self._windows: dict[tuple[str, str], tuple[float, int]] = {}  # begin and number of requests

    def allow(self, endpoint: str, address: str, limit: int, now_s: float) -> bool:
        """Count one more request; return False when there are more than `limit` in this minute."""
        key = endpoint, address
        with self._lock:
            if now_s - self._swept_s >= WINDOW_S:
                open_ones = ((k, w) for k, w in self._windows.items() if now_s - w[0] < WINDOW_S)
                self._swept_s, self._windows = now_s, dict(open_ones)
            begin_s, count = self._windows.get(key, (now_s, 0))
            if now_s - begin_s >= WINDOW_S:
                begin_s, count = now_s, 0
            self._windows[key] = begin_s, count + 1
        return count < limit


def limit_rate(per_minute: int, *, account: str = "") -> None:
    """Abort with 429 when too many requests were sent to this endpoint.

    Args:
        per_minute: the most requests in a minute.
        account: the name of a user, to count the requests for it from all addresses; otherwise those of the
            address of this request are counted.
    """
    limiter: RateLimiter = current_app.extensions["rate_limiter"]
    key = f"account {account.casefold()[:80]}" if account else request.remote_addr or ""
    if not limiter.allow(request.endpoint or "", key, per_minute, time.monotonic()):
        abort(429, f"at most {per_minute} requests a minute; wait a minute and try again")


def may_happen(event: str, per_minute: int) -> bool:
    """Count an event of any address; return False when it happened more than `per_minute` times."""
    limiter: RateLimiter = current_app.extensions["rate_limiter"]
    return limiter.allow(event, "", per_minute, time.monotonic())
