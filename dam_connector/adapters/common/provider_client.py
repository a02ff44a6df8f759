"""Base class of generation providers' adapters: requests, the meaning of failures, checks of the results.

A failed submission either proves that nothing was started (Refused, RateLimited, OutOfCredit, Unavailable),
or leaves that open: then it is SubmitUnknown, and the submission is not sent again. A vendor's module
overrides `error_for` with the meanings of its own status codes, and translates its tasks.
"""

import base64
import binascii
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from dam_connector.adapters.common.api_client import ApiClient
from dam_connector.adapters.common.context import AdapterContext
from dam_connector.adapters.common.mixins import NoWebhooks
from dam_connector.adapters.http import FormPart
from dam_connector.domain.product import picture_mime
from dam_connector.domain.rules import CAP_OPTIONS
from dam_connector.errors import BadOutput, NotFound, Refused, SubmitUnknown, Unavailable, Unsupported
from dam_connector.ports import GenerationRequest, InboundWebhook, ProviderCapabilities

SUBMIT = "submit"  # the one operation that may cost money
MAX_MODEL_BYTES = 200_000_000
MAX_PICTURE_BYTES = 60_000_000
EXTENSIONS = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp"}
MAX_UNITS = 1e9  # of a bill; a sum with NaN or infinity would be below every cap
BUDGET_OPTIONS = tuple(CAP_OPTIONS.values())  # the caller enforces them


class ProviderClient(NoWebhooks, ApiClient):
    """Base class of a `Provider` with an HTTP API; missing abilities raise Unsupported."""

    non_repeatable = (SUBMIT,)
    capabilities = ProviderCapabilities()
    model = ""

    def __init__(self, context: AdapterContext, base_url: str, headers: Mapping[str, str]) -> None:
        super().__init__(context.http, base_url, headers)

    def find_lost_task(self, since: datetime, known: Collection[str]) -> str | None:
        raise Unsupported(self.vendor, "find_lost_task", "it does not list tasks")

    def cancel(self, ref: str) -> bool:
        raise Unsupported(self.vendor, "cancel", "its tasks cannot be cancelled")

    def balance(self) -> float:
        raise Unsupported(self.vendor, "balance", "it does not report a balance")

    def parse_webhook(self, inbound: InboundWebhook) -> str:
        raise BadOutput(self.vendor, "parse_webhook", "it sends no webhooks")

    def task_ref(self, answer: Mapping[str, Any], *names: str) -> str:
        """Return the reference of a task that was just submitted.

        Args:
            answer: the response to the submission.
            names: the keys that may hold the reference; the first one with a text counts.

        Raises:
            SubmitUnknown: no key holds a reference.
        """
        for name in names:
            if isinstance(ref := answer.get(name), str) and ref:
                return ref
        raise SubmitUnknown(self.vendor, SUBMIT, "the response names no task")

    def select_pictures(
        self, request: GenerationRequest, views: Sequence[str], types: Sequence[str], max_bytes: int
    ) -> dict[str, bytes]:
        """Return the request's pictures that the provider takes, by view.

        Args:
            request: the request for one task.
            views: the views that it takes, in their order; the first is required. Empty: any views.
            types: the media types that it takes.
            max_bytes: its limit for one picture.

        Raises:
            Refused: the required picture is missing, or one has another type or is too large.
        """
        found = {
            view: request.pictures[view] for view in views or request.pictures if view in request.pictures
        }
        if not found or (views and views[0] not in found):
            raise Refused(self.vendor, SUBMIT, f"it needs a {views[0] if views else 'product'} photo")
        names = ", ".join(EXTENSIONS[t].upper() for t in types)
        for view, data in found.items():
            if picture_mime(data[:16]) not in types or len(data) > max_bytes:
                raise Refused(
                    self.vendor, SUBMIT, f"{view}: it takes {names} of up to {max_bytes // 10**6} MB"
                )
        return found

    def download(self, get_url: Callable[[], str], check: Callable[[bytes], bytes], max_bytes: int) -> bytes:
        """Download a generated file, without the provider's key.

        Args:
            get_url: asks the provider for the file's URL. It is called again if the first URL has expired.
            check: returns the bytes, or raises BadOutput.
            max_bytes: the largest file to accept.

        Raises:
            Unavailable: a fresh URL does not work either.
            BadOutput: `check` refuses the file.
        """
        failure: Exception | None = None
        for _ in range(2):
            try:
                return check(self._http.get(get_url(), max_bytes=max_bytes, vendor=self.vendor))
            except (NotFound, Refused) as error:
                failure = error
        raise Unavailable(self.vendor, "fetch", f"its fresh URLs do not work: {failure}")

    def check_glb(self, data: bytes) -> bytes:
        """Return the bytes if they are one complete GLB 2.

        Raises:
            BadOutput: they are not.
        """
        if (
            data[:4] != b"glTF"
            or int.from_bytes(data[4:8], "little") != 2
            or int.from_bytes(data[8:12], "little") != len(data)
        ):
            raise BadOutput(self.vendor, "fetch", "the file is no GLB, or an incomplete one")
        return data

    def check_picture(self, data: bytes) -> bytes:
        """Return the bytes if they begin like a JPEG, PNG or WebP.

        Raises:
            BadOutput: they do not.
        """
        if picture_mime(data[:16]) not in EXTENSIONS:
            raise BadOutput(self.vendor, "fetch", "the file is no JPEG, PNG or WebP")
        return data

    def decode_base64(self, text: object) -> bytes:
        """Decode a file that a response holds as base64.

        Raises:
            BadOutput: it is not base64.
        """
        try:
            return base64.b64decode(str(text), validate=True)
        except (binascii.Error, ValueError) as error:
            raise BadOutput(self.vendor, "fetch", "the file is not base64") from error


def data_uri(picture: bytes) -> str:
    """Return a picture as a `data:` URI."""
    return f"data:{picture_mime(picture[:16])};base64,{base64.b64encode(picture).decode()}"


def picture_part(field: str, name: str, picture: bytes) -> FormPart:
    """Return a picture as a part of a form; the extension is added to the file's name."""
    mime = picture_mime(picture[:16])
    return field, (f"{name}.{EXTENSIONS.get(mime, 'bin')}", picture, mime)


def to_usd(value: object, usd_per_unit: float) -> float | None:
    """Convert a provider's units, e.g. credits, to USD; return None if the value is no possible amount."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= MAX_UNITS:
        return None
    return float(value) * usd_per_unit
