"""Pictures by OpenAI, CreativeAI and servers that speak like them: generations and edits. Facts: docs/connections/openai_images.md.

The vendor's own SDK is left alone: every request goes through our one session (adapters/http.py), which guards addresses, sizes and time,
and sends nothing twice; at its defaults the SDK sends a picture's request three times.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from dam_connector.adapters.common.api_client import SubmitServerError, excerpt
from dam_connector.adapters.common.context import AdapterContext, check_options, choice_option, number_option
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
QUALITIES = ("auto", "low", "medium", "high")
USD = {
    "low": 0.02,
    "medium": 0.07,
    "high": 0.19,
    "auto": 0.19,
}  # a picture, about; `usd_per_picture` says otherwise
EDITS, GENERATIONS = "edits", "generations"
TAKEN = ("image/jpeg", "image/png", "image/webp")
MAX_UPLOAD = 50_000_000
MOST_PARTS = 16
MAX_ANSWER = 200_000_000
PATIENCE_S = 300.0
TRIES, PAUSE_S = 3, 1.0  # of a download: the link cannot be asked for again


class OpenAIImages(ProviderClient):
    """One request a task: it waits for its pictures."""

    vendor = "openai_images"

    def __init__(self, context: AdapterContext, options: Mapping[str, Any]) -> None:
        key = context.secret(str(options.get("api_key", "env/OPENAI_API_KEY")))
        super().__init__(context, str(options.get("base_url", BASE_URL)), {"Authorization": f"Bearer {key}"})
        self.model, self._mode = (
            str(options.get("model", MODEL)),
            choice_option(options, "mode", EDITS, (EDITS, GENERATIONS)),
        )
        self._quality = choice_option(options, "quality", "high", QUALITIES)
        self._usd = number_option(options, "usd_per_picture", USD[self._quality], 0, 100)
        self._count = int(number_option(options, "n", 1, 1, 4))
        self._again = int(number_option(options, "retries_5xx", 0, 0, 2))
        self._sizes = tuple(str(size) for size in options.get("sizes", SIZES))
        self.capabilities = ProviderCapabilities(
            kinds=(RunKind.IMAGE,),
            views=(),
            tasks_per_poll=0,
            concurrency=int(number_option(options, "concurrency", 6, 1, 100)),
            submit_timeout_s=(PATIENCE_S + 60) * (1 + self._again),
            takes_prompts=True,
        )

    def estimate(self, request: GenerationRequest) -> float:
        return self._usd * self._count

    def submit(self, request: GenerationRequest) -> RemoteTask:
        reply = self._answered(request)
        said = self.parse_object(reply, SUBMIT)
        request_id = str(said.get("id") or reply.headers.get("x-request-id", ""))
        done: dict[str, Any] = {
            "ref": request_id or request.key,
            "request_id": request_id,
            "cost_usd": self._usd * self._count,
        }
        done["model"] = str(said.get("model_actual") or said.get("model") or "")
        pictures = said.get("data")
        if not isinstance(pictures, list) or not pictures:
            raise SubmitUnknown("openai_images", SUBMIT, "the answer holds no pictures")
        try:
            return RemoteTask(
                state=RemoteTaskState.SUCCEEDED, files=tuple(self._taken(each) for each in pictures), **done
            )
        except (BadOutput, Refused, NotFound, Unavailable) as error:  # paid for, and lost
            return RemoteTask(state=RemoteTaskState.FAILED, error=f"made, but not to be had: {error}"[:300], **done)

    def _answered(self, order: GenerationRequest) -> HttpResponse:
        """The answer; asked again after a 5xx only where the admin accepts that this may be billed again."""
        for _ in range(self._again):
            try:
                return self._request(order)
            except SubmitServerError:
                time.sleep(PAUSE_S)
        return self._request(order)

    def _request(self, order: GenerationRequest) -> HttpResponse:
        pictures = self.select_pictures(order, (), TAKEN, MAX_UPLOAD)
        body: dict[str, Any] = {
            "model": self.model,
            "prompt": order.prompt,
            "n": self._count,
            "size": self._size(order),
            "quality": self._quality,
        }
        if order.transparent:
            body |= {"background": "transparent", "output_format": "png"}
        long: dict[str, Any] = {"max_bytes": MAX_ANSWER, "timeout_s": PATIENCE_S}
        if self._mode == GENERATIONS:
            return self.request(
                "POST",
                "/v1/images/generations",
                SUBMIT,
                json={**body, "image_url": _address(order, *next(iter(pictures.items())))},
                **long,
            )
        files = [picture_part("image[]", view, data) for view, data in list(pictures.items())[:MOST_PARTS]]
        return self.request(
            "POST",
            "/v1/images/edits",
            SUBMIT,
            fields={name: str(value) for name, value in body.items()},
            files=files,
            **long,
        )

    def _size(self, order: GenerationRequest) -> str:
        """The size on offer whose proportions are nearest."""

        def off(size: str) -> float:
            width, _, height = size.partition("x")
            return abs(int(width) / int(height) - order.width / order.height)

        return min((size for size in self._sizes if "x" in size), key=off, default="auto")

    def _taken(self, said: Any) -> bytes:
        if isinstance(said, dict) and said.get("b64_json"):
            return self.check_picture(self.decode_base64(said["b64_json"]))
        url = said.get("url") if isinstance(said, dict) else None
        if not isinstance(url, str):
            raise BadOutput("openai_images", "fetch", "a picture has neither bytes nor an address")
        for left in reversed(range(TRIES)):
            try:
                return self.check_picture(self._http.get(url, max_bytes=MAX_PICTURE_BYTES, vendor="openai_images").body)
            except Unavailable:
                if not left:
                    raise
                time.sleep(PAUSE_S)
        raise AssertionError("unreachable")

    def poll(self, refs: Sequence[str]) -> dict[str, RemoteTask]:
        return {}

    def fetch(self, ref: str) -> tuple[bytes, ...]:
        raise NotFound("openai_images", "fetch", "the answer to the submission brought it, once")

    def error_for(self, reply: HttpResponse, operation: str) -> AdapterError:
        if b"insufficient_quota" in reply.body:  # 402 at CreativeAI, 429 at OpenAI
            return OutOfCredit("openai_images", operation, f"HTTP {reply.status}: {excerpt(reply)}")
        return super().error_for(reply, operation)


def _address(order: GenerationRequest, view: str, picture: bytes) -> str:
    """Where the server finds the photo: at the product's own address, or in the address itself."""
    image = order.product.image(View(view)) if view in list(View) else None
    return image.url if image and image.url.startswith(("https://", "http://")) else data_uri(picture)


def connect(options: Mapping[str, Any], context: AdapterContext) -> OpenAIImages:
    names = (
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
    )
    check_options(options, *names, *BUDGET_OPTIONS)
    return OpenAIImages(context, options)
