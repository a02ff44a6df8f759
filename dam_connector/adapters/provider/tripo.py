"""Tripo, v3: image to model, one view or several. Facts: docs/connections/tripo.md."""

from collections.abc import Mapping
from typing import Any

from dam_connector.adapters.http import Reply
from dam_connector.adapters.kit import Kit, only
from dam_connector.catalog.media import picture_mime
from dam_connector.errors import BadOutput, ConfigError, NotFound, OutOfCredit, RateLimited, Refused, SubmitUnknown, Unavailable, Unsupported
from dam_connector.ports import Generation, ProviderCapabilities, Task, TaskState

BASE_URL = "https://openapi.tripo3d.ai"
MODEL = "v3.1-20260211"
USD_PER_CREDIT = 0.01
CREDITS = {"standard": 30, "detailed": 40, "extreme": 50}  # textured, by texture quality
MOST_FACES = {"v3.1": 1_500_000, "v3.0": 1_000_000, "v2.5": 500_000, "P1": 20_000, "P2": 50_000}
VIEWS = ("front", "back", "left", "right")
TAKEN = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp"}
MAX_PICTURE = 20_000_000
MAX_GLB = 200_000_000
BUSY_S, RATE_S = 10.0, 5.0
_STATES = {"queued": TaskState.WAITING, "running": TaskState.RUNNING, "success": TaskState.SUCCEEDED}
_FAILED = ("failed", "cancelled", "banned", "expired", "unknown")
_MODERATED, _NO_CREDIT, _NO_TASK = 2008, 2010, 2001


class Tripo:
    """Tasks by Tripo's own ids. There is no key that makes a repeated submission harmless, and no list to find a lost one in."""

    capabilities = ProviderCapabilities(views=VIEWS, balance=True)

    def __init__(self, kit: Kit, api_key: str, base_url: str, model: str, texture_quality: str) -> None:
        self._http, self._base, self._quality = kit.http, base_url.rstrip("/"), texture_quality
        self.model = model
        self._headers = {"Authorization": f"Bearer {api_key}", "Accept": "application/json"}

    def estimate(self, order: Generation) -> float:
        return CREDITS[self._quality] * USD_PER_CREDIT

    def submit(self, order: Generation) -> str:
        tokens = {view: self._upload(view, order.pictures[view]) for view in VIEWS if view in order.pictures}
        if "front" not in tokens:
            raise Refused("tripo", "submit", "it needs a front photo")
        body: dict[str, Any] = {"model": self.model, "texture": True, "pbr": True, "model_seed": order.seed, "texture_seed": order.seed}
        family = self.model.partition("-")[0]
        body["face_limit"] = min(order.max_triangles, MOST_FACES.get(family, order.max_triangles))
        if family != "v2.5":
            body["texture_quality"] = self._quality
        if len(tokens) > 1:
            body["inputs"] = [{view: token} for view, token in tokens.items()]
        else:
            body["input"] = tokens["front"]
        path = "multiview-to-model" if len(tokens) > 1 else "image-to-model"
        data = self._asked("POST", f"/v3/generation/{path}", "submit", json=body)
        ref = data.get("task_id")
        if not isinstance(ref, str) or not ref:
            raise SubmitUnknown("tripo", "submit", "the answer names no task")
        return ref

    def _upload(self, view: str, picture: bytes) -> str:
        mime = picture_mime(picture[:16])
        if mime not in TAKEN or len(picture) > MAX_PICTURE:
            raise Refused("tripo", "upload", f"{view}: it takes JPEG, PNG and WebP of up to {MAX_PICTURE // 10**6} MB")
        try:
            data = self._asked("POST", "/v3/files", "upload", files={"file": (f"{view}.{TAKEN[mime]}", picture, mime)})
        except SubmitUnknown as error:  # a picture that lies there twice costs nothing
            raise Unavailable("tripo", "upload", "the answer did not arrive") from error
        token = data.get("file_token")
        if not isinstance(token, str):
            raise BadOutput("tripo", "upload", "the answer has no file_token")
        return token

    def poll(self, ref: str) -> Task:
        data = self._asked("GET", f"/v3/tasks/{ref}", "poll")
        status, credits = str(data.get("status")), data.get("credits_consumed")
        if status not in _STATES and status not in _FAILED:
            raise BadOutput("tripo", "poll", f"the status {status[:40]!r} is none we know")
        cost = float(credits) * USD_PER_CREDIT if isinstance(credits, (int, float)) else None
        error = f"{data.get('error_code', '')} {data.get('error_message', '') or status}".strip() if status in _FAILED else ""
        made_by = str(data.get("model") or data.get("model_version") or "")
        progress = int(data.get("progress") or 0)
        return Task(ref=ref, state=_STATES.get(status, TaskState.FAILED), progress=progress, cost_usd=cost, model=made_by, error=error[:300])

    def fetch(self, ref: str) -> bytes:
        """Links are signed and live for minutes: a fresh one is asked for, and once more where it is dead already."""
        for _ in range(2):
            output = self._asked("GET", f"/v3/tasks/{ref}", "fetch").get("output")
            url = output.get("model_url") if isinstance(output, dict) else None
            if not isinstance(url, str):
                raise BadOutput("tripo", "fetch", "the task names no model")
            try:
                return _glb(self._http.get(url, max_bytes=MAX_GLB, vendor="tripo").body)
            except (NotFound, Refused) as error:
                dead = error
        raise Unavailable("tripo", "fetch", f"its links are dead at once: {dead}")

    def reconcile(self, order: Generation) -> str | None:
        raise Unsupported("tripo", "reconcile", "its lists do not name our key")

    def cancel(self, ref: str) -> bool:
        raise Unsupported("tripo", "cancel", "tasks cannot be stopped")

    def balance(self) -> float:
        left = self._asked("GET", "/v3/account/balance", "balance").get("balance")
        if not isinstance(left, (int, float)):
            raise BadOutput("tripo", "balance", "the answer has no balance")
        return float(left) * USD_PER_CREDIT

    def _asked(self, method: str, path: str, operation: str, **more: Any) -> dict[str, Any]:
        """The reply's data. Raises: as the port says."""
        reply = self._http.ask(method, f"{self._base}{path}", vendor="tripo", operation=operation, headers=self._headers, **more)
        if reply.status >= 500:
            if operation == "submit":
                raise SubmitUnknown("tripo", operation, f"HTTP {reply.status}")
            raise Unavailable("tripo", operation, f"HTTP {reply.status}")
        try:
            body = reply.json("tripo", operation)
        except BadOutput as error:
            if operation == "submit" and reply.status < 300:
                raise SubmitUnknown("tripo", operation, "the answer cannot be read") from error
            raise
        if reply.status == 200 and body.get("code") == 0:
            data = body.get("data")
            return data if isinstance(data, dict) else {}
        _refuse(reply, body, operation)
        raise BadOutput("tripo", operation, f"HTTP {reply.status}")


def _refuse(reply: Reply, body: dict[str, Any], operation: str) -> None:
    """Raises: what a reply that is no success means."""
    code, trace = body.get("code"), reply.headers.get("x-tripo-trace-id", "")
    words = f"HTTP {reply.status}, code {code}: {str(body.get('message', ''))[:200]}" + (f" (trace {trace[:60]})" if trace else "")
    if reply.status == 429:
        raise RateLimited("tripo", operation, words, retry_after_s=reply.retry_after_s(BUSY_S if code == 2000 else RATE_S))
    if code == _NO_CREDIT:
        raise OutOfCredit("tripo", operation, words)
    if reply.status == 404 or code == _NO_TASK:
        raise NotFound("tripo", operation, words)
    if 400 <= reply.status < 500 or code == _MODERATED:
        raise Refused("tripo", operation, words)


def _glb(data: bytes) -> bytes:
    """Raises: BadOutput unless the bytes are one whole GLB."""
    if data[:4] != b"glTF" or int.from_bytes(data[4:8], "little") != 2 or int.from_bytes(data[8:12], "little") != len(data):
        raise BadOutput("tripo", "fetch", "what came is no GLB, or not all of one")
    return data


def connect(options: Mapping[str, Any], kit: Kit) -> Tripo:
    only(options, "api_key", "base_url", "model", "texture_quality", "max_usd_per_day", "max_usd_per_month")
    quality = str(options.get("texture_quality", "standard"))
    if quality not in CREDITS:
        raise ConfigError(f"texture_quality: {quality!r} is none of {', '.join(CREDITS)}")
    key = kit.secret(str(options.get("api_key", "env/TRIPO_API_KEY")))
    return Tripo(kit, key, str(options.get("base_url", BASE_URL)), str(options.get("model", MODEL)), quality)
