"""The provider adapter for OpenAI, CreativeAI and servers with the same API: picture generations and edits.

The vendor's SDK is not used. Every request goes through our own session (adapters/http.py), which limits
addresses, sizes and times, and sends nothing twice; the SDK at its defaults sends a picture's request up to
three times. Facts: docs/connections/openai_images.md.
"""

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from dam_connector.adapters.common.api_client import SubmitServerError, excerpt
from dam_connector.adapters.common.context import (
    AdapterContext,
    check_options,
    choice_option,
    integer_option,
    number_option,
)
from dam_connector.adapters.common.provider_client import (
    BUDGET_OPTIONS,
    MAX_PICTURE_BYTES,
    SUBMIT,
    ProviderClient,
    data_uri,
    picture_part,
)
from dam_connector.adapters.http import HttpResponse
from dam_connector.domain.product import View
from dam_connector.domain.run import RunKind
from dam_connector.errors import (
    AdapterError,
    BadOutput,
    ConfigError,
    NotFound,
    OutOfCredit,
    Refused,
    SubmitUnknown,
    Unavailable,
)
from dam_connector.ports import GenerationRequest, ProviderCapabilities, RemoteTask, RemoteTaskState

BASE_URL = "https://api.openai.com"
MODEL = "gpt-image-2"
SIZES = ("1024x1024", "1536x1024", "1024x1536")
_SIZE = re.compile(r"auto|[1-9][0-9]{0,4}x[1-9][0-9]{0,4}")
QUALITIES = ("auto", "low", "medium", "high")
# Of a picture, approximately; the option `usd_per_picture` overrides it.
USD_BY_QUALITY = {"low": 0.02, "medium": 0.07, "high": 0.19, "auto": 0.19}
EDITS = "edits"
GENERATIONS = "generations"
IMAGE_TYPES = ("image/jpeg", "image/png", "image/webp")
MAX_UPLOAD_BYTES = 50_000_000
MAX_IMAGES = 16
MAX_ANSWER_BYTES = 200_000_000
REQUEST_TIMEOUT_S = 300.0
DOWNLOAD_TRIES = 3  # there is no second link to the same picture
RETRY_PAUSE_S = 1.0


class OpenAiImagesProvider(ProviderClient):
    """A `Provider` of pictures. A task is one request, whose answer brings the pictures."""

    vendor = "openai_images"

    def __init__(self, context: AdapterContext, options: Mapping[str, Any]) -> None:
        api_key = context.secret(str(options.get("api_key", "env/OPENAI_API_KEY")))
        base_url = str(options.get("base_url", BASE_URL))
        super().__init__(context, base_url, {"Authorization": f"Bearer {api_key}"})
        self.model = str(options.get("model", MODEL))
        self._mode = choice_option(options, "mode", EDITS, (EDITS, GENERATIONS))
        self._quality = choice_option(options, "quality", "high", QUALITIES)
        default_usd = USD_BY_QUALITY[self._quality]
        self._usd_per_picture = number_option(options, "usd_per_picture", default_usd, 0, 100)
        self._count = integer_option(options, "n", 1, 1, 4)
        self._retries_5xx = integer_option(options, "retries_5xx", 0, 0, 2)
        self._sizes = tuple(str(size) for size in options.get("sizes", SIZES))
        if wrong := [size for size in self._sizes if not _SIZE.fullmatch(size)]:
            raise ConfigError(f"sizes: {wrong[0]!r} is no size, e.g. 1024x1024")
        self.capabilities = ProviderCapabilities(
            kinds=(RunKind.IMAGE,),
            views=(),
            tasks_per_poll=0,
            concurrency=integer_option(options, "concurrency", 6, 1, 100),
            submit_timeout_s=(REQUEST_TIMEOUT_S + 60) * (1 + self._retries_5xx),
            takes_prompts=True,
        )

    def estimate(self, request: GenerationRequest) -> float:
        return self._usd_per_picture * self._count

    def submit(self, request: GenerationRequest) -> RemoteTask:
        reply = self._send(request)
        answer = self.parse_object(reply, SUBMIT)
        request_id = str(answer.get("id") or reply.headers.get("x-request-id", ""))
        facts: dict[str, Any] = {
            "ref": request_id or request.key,
            "request_id": request_id,
            "cost_usd": self._usd_per_picture * self._count,
            "model": str(answer.get("model_actual") or answer.get("model") or ""),
        }
        pictures = answer.get("data")
        if not isinstance(pictures, list) or not pictures:
            raise SubmitUnknown("openai_images", SUBMIT, "the answer has no pictures")
        try:
            files = tuple(self._read_picture(entry) for entry in pictures)
        except (BadOutput, Refused, NotFound, Unavailable) as error:  # billed, and lost
            reason = f"generated, but not usable: {error}"[:300]
            return RemoteTask(state=RemoteTaskState.FAILED, error=reason, **facts)
        return RemoteTask(state=RemoteTaskState.SUCCEEDED, files=files, **facts)

    def poll(self, refs: Sequence[str]) -> dict[str, RemoteTask]:
        return {}

    def fetch(self, ref: str) -> tuple[bytes, ...]:
        raise NotFound("openai_images", "fetch", "only the answer to the submission has the pictures")

    def error_for(self, reply: HttpResponse, operation: str) -> AdapterError:
        if b"insufficient_quota" in reply.body:  # 402 at CreativeAI, 429 at OpenAI
            return OutOfCredit("openai_images", operation, f"HTTP {reply.status}: {excerpt(reply)}")
        return super().error_for(reply, operation)

    def _send(self, request: GenerationRequest) -> HttpResponse:
        """Send the request; repeat it after a 5xx only as often as the admin allows: it may be billed."""
        for _ in range(self._retries_5xx):
            try:
                return self._send_once(request)
            except SubmitServerError:
                time.sleep(RETRY_PAUSE_S)
        return self._send_once(request)

    def _send_once(self, request: GenerationRequest) -> HttpResponse:
        pictures = self.select_pictures(request, (), IMAGE_TYPES, MAX_UPLOAD_BYTES)
        body: dict[str, Any] = {
            "model": self.model,
            "prompt": request.prompt,
            "n": self._count,
            "size": self._size(request),
            "quality": self._quality,
        }
        if request.transparent:
            body |= {"background": "transparent", "output_format": "png"}
        limits: dict[str, Any] = {"max_bytes": MAX_ANSWER_BYTES, "timeout_s": REQUEST_TIMEOUT_S}
        if self._mode == GENERATIONS:
            view, picture = next(iter(pictures.items()))
            body["image_url"] = _picture_url(request, view, picture)
            return self.request("POST", "/v1/images/generations", SUBMIT, json=body, **limits)
        files = [picture_part("image[]", view, data) for view, data in list(pictures.items())[:MAX_IMAGES]]
        return self.request(
            "POST",
            "/v1/images/edits",
            SUBMIT,
            fields={name: str(value) for name, value in body.items()},
            files=files,
            **limits,
        )

    def _size(self, request: GenerationRequest) -> str:
        """Return the available size whose aspect ratio is nearest to the requested one."""

        def ratio_difference(size: str) -> float:
            width, _, height = size.partition("x")
            return abs(int(width) / int(height) - request.width / request.height)

        return min((size for size in self._sizes if "x" in size), key=ratio_difference, default="auto")

    def _read_picture(self, entry: Any) -> bytes:
        """Return the picture of an entry of the answer, which has the bytes or a link to them."""
        if isinstance(entry, dict) and entry.get("b64_json"):
            return self.check_picture(self.decode_base64(entry["b64_json"]))
        url = entry.get("url") if isinstance(entry, dict) else None
        if not isinstance(url, str):
            raise BadOutput("openai_images", "fetch", "a picture has neither bytes nor an address")
        for tries_left in reversed(range(DOWNLOAD_TRIES)):
            try:
                data = self._http.get(url, max_bytes=MAX_PICTURE_BYTES, vendor="openai_images")
                return self.check_picture(data)
            except Unavailable:
                if not tries_left:
                    raise
                time.sleep(RETRY_PAUSE_S)
        raise AssertionError("unreachable")


def _picture_url(request: GenerationRequest, view: str, picture: bytes) -> str:
    """Return the public address of the product photo, or a data URI where it has none."""
    image = request.product.image(View(view)) if view in list(View) else None
    return image.url if image and image.url.startswith(("https://", "http://")) else data_uri(picture)


def connect(options: Mapping[str, Any], context: AdapterContext) -> OpenAiImagesProvider:
    """Open the adapter with the options of plugin.json."""
    check_options(
        options,
        "api_key",
        "base_url",
        "model",
        "mode",
        "quality",
        "sizes",
        "n",
        "usd_per_picture",
        "concurrency",
        "retries_5xx",
        *BUDGET_OPTIONS,
    )
    return OpenAiImagesProvider(context, options)
