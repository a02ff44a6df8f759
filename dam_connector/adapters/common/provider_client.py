"""What adapters of remote providers share: asking, telling failures apart by what they prove, taking in what was made.

A vendor's file says what its own words mean (`refusal`), and what its tasks look like. A failure of a submission proves that nothing was
begun, or it leaves that open: then it is SubmitUnknown, and nobody asks again.
"""

import base64
import binascii
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from dam_connector.adapters.common.api_client import ApiClient
from dam_connector.adapters.common.context import AdapterContext
from dam_connector.adapters.http import FormPart
from dam_connector.domain.product import picture_mime
from dam_connector.errors import (
    BadOutput,
    DeliveryError,
    NotFound,
    Refused,
    SubmitUnknown,
    Unavailable,
    Unsupported,
)
from dam_connector.ports import GenerationRequest, InboundWebhook, ProviderCapabilities, VerifiedWebhook

SUBMIT = "submit"  # the one operation that may cost money
MAX_MODEL_BYTES = 200_000_000  # bytes
MAX_PICTURE_BYTES = 60_000_000
EXTENSIONS = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp"}
BUDGET_OPTIONS = ("max_usd_per_day", "max_usd_per_month", "max_usd_per_batch")


class ProviderClient(ApiClient):
    """The part of a provider's adapter that is the same for all of them."""

    non_repeatable = (SUBMIT,)
    capabilities = ProviderCapabilities()
    model = ""

    def __init__(self, context: AdapterContext, base_url: str, headers: Mapping[str, str]) -> None:
        super().__init__(context.http, base_url, headers)

    def find_lost_task(self, since: datetime, known: Collection[str]) -> str | None:
        raise Unsupported(self.vendor, "reconcile", "it lists no tasks")

    def cancel(self, ref: str) -> bool:
        raise Unsupported(self.vendor, "cancel", "tasks cannot be stopped")

    def balance(self) -> float:
        raise Unsupported(self.vendor, "balance", "it has no balance to ask for")

    def verify(self, inbound: InboundWebhook) -> VerifiedWebhook:
        raise DeliveryError(404, f"{self.vendor} sends no webhooks")

    def parse_webhook(self, inbound: InboundWebhook) -> str:
        raise BadOutput(self.vendor, "webhook", "it sends none")

    def task_ref(self, said: Mapping[str, Any], *names: str) -> str:
        """The reference that an answer to a submission holds under the first of these names. Raises: SubmitUnknown."""
        for name in names:
            if isinstance(ref := said.get(name), str) and ref:
                return ref
        raise SubmitUnknown(self.vendor, SUBMIT, "the answer names no task")

    def select_pictures(
        self, order: GenerationRequest, views: Sequence[str], types: Sequence[str], max_bytes: int
    ) -> dict[str, bytes]:
        """The order's pictures of these views, in this order; of any where `views` is empty. Raises: Refused when there is none, or not a fit one."""
        found = {view: order.pictures[view] for view in views or order.pictures if view in order.pictures}
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
        """What lies behind a link, which may be dead by now: then a fresh one is asked for, once. No key goes along."""
        dead: Exception | None = None
        for _ in range(2):
            try:
                return check(self._http.get(get_url(), max_bytes=max_bytes, vendor=self.vendor))
            except (NotFound, Refused) as error:
                dead = error
        raise Unavailable(self.vendor, "fetch", f"its links are dead at once: {dead}")

    def check_glb(self, data: bytes) -> bytes:
        """Raises: BadOutput unless the bytes are one whole GLB."""
        if (
            data[:4] != b"glTF"
            or int.from_bytes(data[4:8], "little") != 2
            or int.from_bytes(data[8:12], "little") != len(data)
        ):
            raise BadOutput(self.vendor, "fetch", "what came is no GLB, or not all of one")
        return data

    def check_picture(self, data: bytes) -> bytes:
        """Raises: BadOutput unless the bytes begin as a picture does."""
        if picture_mime(data[:16]) not in EXTENSIONS:
            raise BadOutput(self.vendor, "fetch", "what came is no JPEG, PNG or WebP")
        return data

    def decode_base64(self, text: object) -> bytes:
        """Base64, decoded. Raises: BadOutput."""
        try:
            return base64.b64decode(str(text), validate=True)
        except (binascii.Error, ValueError) as error:
            raise BadOutput(self.vendor, "fetch", "what came is no base64") from error


def data_uri(picture: bytes) -> str:
    """The picture as an address that holds it."""
    return f"data:{picture_mime(picture[:16])};base64,{base64.b64encode(picture).decode()}"


def picture_part(field: str, name: str, picture: bytes) -> FormPart:
    """A picture as a part of a form."""
    mime = picture_mime(picture[:16])
    return field, (f"{name}.{EXTENSIONS.get(mime, 'bin')}", picture, mime)


def to_usd(value: object, usd_per_unit: float) -> float | None:
    """So many units of a vendor's money in USD; None where it does not say."""
    return (
        float(value) * usd_per_unit
        if isinstance(value, (int, float)) and not isinstance(value, bool)
        else None
    )
