"""Recorded traffic: the calls of an adapter, the answers in short form, and how two recordings compare.

An adapter does the same steps on the real system and on its fake. The real one's exchanges are in
`tests/data/*_calls.jsonl`, without secrets and addresses. A fake must send the same requests the same
statuses, and each value that it answers with must have the type that the real one's has.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from dam_connector.adapters.http import HttpClient, HttpResponse
from dam_connector.errors import AdapterError

DATA = Path(__file__).parent.parent / "data"
Exchange = dict[str, Any]
MAX_TEXT, MAX_ROWS = 100, 2
LEFT_OUT = (
    "_links",
    "capabilities",
    "extra_capabilities",
    "avatar_urls",
    "price_html",
    "woocommerce_meta",
    "stacktrace",
)
ADDRESS = re.compile(r"https?://[^\s\"'<>\\]+")
DIGEST = re.compile(r"[0-9a-f]{64}")
MAIL = re.compile(r"[\w.+-]+@[\w.-]+")


class Recorder(HttpClient):
    """An HTTP client that notes each exchange."""

    def __init__(self, *hosts: str) -> None:
        super().__init__(frozenset(hosts), timeout_s=60)
        self.exchanges: list[Exchange] = []
        self.step = ""

    def request(self, method: str, url: str, **options: Any) -> HttpResponse:
        reply = super().request(method, url, **options)
        self._note(_request_name(method, url, options), reply.status, _answer(reply))
        return reply

    def get(self, url: str, *, max_bytes: int, vendor: str = "web") -> bytes:
        found = super().get(url, max_bytes=max_bytes, vendor=vendor)
        self._note("GET a file", 200, None)
        return found

    def _note(self, request: str, status: int, answer: Any) -> None:
        self.exchanges.append({"step": self.step, "request": request, "status": status, "answer": answer})

    def run(self, step: str, call: Callable[[], Any], expected: type[AdapterError] | None = None) -> Any:
        """Do a step of a scenario; return its result.

        Args:
            step: the step's name in the recording.
            call: does it.
            expected: the error that it must end with.
        """
        self.step = step
        if expected is None:
            return call()
        try:
            call()
        except expected:
            return None
        raise AssertionError(f"{step} raised no {expected.__name__}")


def _request_name(method: str, url: str, options: dict[str, Any]) -> str:
    parts = urlsplit(url)
    path = re.sub(r"(?<=/)(\d+|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})(?=/|$)", "N", parts.path)
    signed = dict(parse_qsl((options.get("fields") or {}).get("query", ""), keep_blank_values=True))
    names = sorted(dict(parse_qsl(parts.query, keep_blank_values=True))) or sorted(signed.keys() - {"user"})
    function = signed.get("function", "") or _graphql_name(options)
    return " ".join(filter(None, [method, path, function, f"({', '.join(names)})" if names else ""]))


def _graphql_name(options: dict[str, Any]) -> str:
    """Return the name of the operation of a GraphQL request, e.g. `Place`; empty if it is none."""
    body = options.get("json")
    if operations := (options.get("fields") or {}).get("operations"):
        body = json.loads(operations)
    query = body.get("query") if isinstance(body, dict) else None
    found = re.match(r"\s*(?:query|mutation)\s+(\w+)", query) if isinstance(query, str) else None
    return found[1] if found else ""


def _answer(reply: HttpResponse) -> Any:
    try:
        return shorten(json.loads(reply.body))
    except ValueError:
        return shorten(reply.body.decode("utf-8", "replace"))


def shorten(value: Any) -> Any:
    """Return an answer without addresses, people's data and long parts."""
    if isinstance(value, dict):
        return {DIGEST.sub("SHA256", k): shorten(each) for k, each in value.items() if k not in LEFT_OUT}
    if isinstance(value, list):
        return [shorten(each) for each in value[:MAX_ROWS]]
    if isinstance(value, str):
        plain = DIGEST.sub("SHA256", ADDRESS.sub("https://vendor.example/x", value))
        return MAIL.sub("somebody@vendor.example", plain)[:MAX_TEXT]
    return value


def save(name: str, exchanges: list[Exchange]) -> None:
    """Write a recording of the real system."""
    lines = [json.dumps(each, ensure_ascii=False) for each in exchanges]
    (DATA / f"{name}_calls.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def load(name: str) -> list[Exchange]:
    """Return a recording of the real system."""
    text = (DATA / f"{name}_calls.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def differences(played: list[Exchange], real: list[Exchange]) -> Iterator[str]:
    """Yield where a fake, or the real system today, answers otherwise than the recording."""
    ours, theirs = list(_each_once(played)), list(_each_once(real))
    for index in range(max(len(ours), len(theirs))):
        one, other = (rows[index] if index < len(rows) else None for rows in (ours, theirs))
        keys = [each and (each["step"], each["request"], each["status"]) for each in (one, other)]
        if keys[0] != keys[1] or one is None or other is None:
            yield f"{keys[0]} is {keys[1]} in the recording"
            return
        place = f"{one['step']}: {one['request']}"
        yield from (f"{place}: {line}" for line in _type_differences(one["answer"], other["answer"], ""))


def _each_once(exchanges: list[Exchange]) -> Iterator[Exchange]:
    """Yield exchanges without immediate repeats, whose number depends on how much a system holds."""
    last = None
    for each in exchanges:
        key = (each["step"], each["request"], each["status"])
        if key != last:
            yield each
        last = key


def _type_differences(played: Any, real: Any, pointer: str) -> Iterator[str]:
    """Yield each value of a fake's answer that the real one has not, or has in another type."""
    if played is None or real is None:
        return
    if isinstance(played, dict) and isinstance(real, dict):
        for name, value in played.items():
            if name in real:
                yield from _type_differences(value, real[name], f"{pointer}/{name}")
            elif not name.isdigit() and pointer.count("meta_data") == 0:
                yield f"{pointer}/{name} is not in the real one's answer"
    elif isinstance(played, list) and isinstance(real, list):
        if played and real and "meta_data" not in pointer:
            yield from _type_differences(played[0], real[0], f"{pointer}/0")
    elif type(played) is not type(real) and "meta_data" not in pointer:
        yield f"{pointer} is {played!r}, {real!r} in the recording"
