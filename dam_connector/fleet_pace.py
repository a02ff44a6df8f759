"""The pace of requests to outside systems, which all processes share through the queue server.

A provider, DAM or shop counts the requests of the whole service. So a limit in DAM_CONNECTOR_RATE_LIMITS
holds for all workers together, and a host that answers 429 to one of them is left alone by all. While the
queue server is away there are no limits: the outside system still has its own.
"""

import time
from collections.abc import Mapping

import structlog
from redis import Redis
from redis.exceptions import RedisError

from dam_connector.errors import Busy, ConfigError
from dam_connector.ports import Clock
from dam_connector.queue import connect

log = structlog.get_logger()
KEY_PREFIX = "dam-connector:pace:"
BURST_S = 2.0  # so many seconds' worth of requests may be sent at once after a pause
MAX_WAIT_S = 5.0  # a longer wait is left to the run, which parks
DEFAULT_PAUSE_S = 5.0  # after a 429 that names no time
MAX_PAUSE_S = 300.0
MAX_PER_MINUTE = 1_000_000

# Takes the next free time of a host (KEYS[1]), unless it asked for a pause (KEYS[2]).
# ARGV: now, the time between two requests, the burst and the longest wait, in milliseconds.
# Returns the wait in milliseconds; a negative number: not now, but after so many.
_TAKE = """
local now, interval, burst, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local pause = tonumber(redis.call('GET', KEYS[2]) or '0') - now
if pause > 0 then return -math.ceil(pause) end
if interval <= 0 then return 0 end
local next = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now - burst)
local wait = math.max(0, next - now)
if wait > most then return -math.ceil(wait) end
local life = math.ceil(wait + interval + burst + 60000)
redis.call('SET', KEYS[1], string.format('%.0f', next + interval), 'PX', life)
return math.ceil(wait)
"""


class FleetPace:
    """The port `Pace`, shared by all processes."""

    def __init__(self, url: str, clock: Clock, per_minute: Mapping[str, float]) -> None:
        """Create a pace.

        Args:
            url: the queue server.
            clock: the clock.
            per_minute: by `host` or `host:port`, how many requests all processes may send in a minute.
        """
        self._redis: Redis = connect(url)
        self._clock, self._per_minute = clock, per_minute

    def wait(self, host: str, vendor: str, operation: str) -> None:
        per_minute = self._per_minute.get(host) or self._per_minute.get(host.rpartition(":")[0] or host, 0.0)
        interval_ms = 60_000 / per_minute if per_minute else 0.0
        keys = (f"{KEY_PREFIX}next:{host}", f"{KEY_PREFIX}pause:{host}")
        limits = (interval_ms, BURST_S * 1000 if per_minute else 0, MAX_WAIT_S * 1000)
        try:
            wait_ms = int(self._redis.eval(_TAKE, 2, *keys, self._now_ms(), *limits))
        except RedisError as error:
            log.warning("pace_unknown", host=host, error=type(error).__name__)
            return
        if wait_ms < 0:
            reason = "all workers together may ask it again later"
            raise Busy(vendor, operation, reason, retry_after_s=max(0.1, -wait_ms / 1000))
        time.sleep(wait_ms / 1000)

    def note(self, host: str, status: int, retry_after_s: float) -> None:
        if status != 429:
            return
        pause_s = min(retry_after_s or DEFAULT_PAUSE_S, MAX_PAUSE_S)
        until_ms = self._now_ms() + int(pause_s * 1000)
        try:
            self._redis.set(f"{KEY_PREFIX}pause:{host}", until_ms, px=int(pause_s * 1000) + 60_000)
        except RedisError:
            return
        log.info("host_paused", host=host, seconds=pause_s)

    def _now_ms(self) -> int:
        return int(self._clock.now().timestamp() * 1000)


def read_limits(text: str) -> dict[str, float]:
    """Read limits such as `api.example.com=120, shop.example.com:8443=600`: requests a minute.

    Raises:
        ConfigError: an entry is no host with a number of requests.
    """
    limits, problems = {}, []
    for entry in filter(None, (each.strip() for each in text.split(","))):
        host, _, number = entry.partition("=")
        try:
            per_minute = float(number)
        except ValueError:
            per_minute = 0.0
        if not host.strip() or not 0 < per_minute <= MAX_PER_MINUTE:
            problems.append(
                f"DAM_CONNECTOR_RATE_LIMITS: {entry!r} is not HOST=REQUESTS, with 1 to {MAX_PER_MINUTE} "
                "requests a minute, e.g. api.example.com=120"
            )
        limits[host.strip().lower()] = per_minute
    if problems:
        raise ConfigError(*problems)
    return limits
