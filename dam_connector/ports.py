"""The ports: what we ask of every outside system, whoever makes it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from dam_connector.domain.event import Decision, Event
from dam_connector.domain.ids import Sha256
from dam_connector.domain.listing import Listing
from dam_connector.domain.product import Product
from dam_connector.domain.run import RunKind
from dam_connector.domain.version import Version, VersionState


class Clock(Protocol):
    """Time, so that tests can turn it."""

    def now(self) -> datetime:
        """The time, aware, UTC."""
        ...


class Blobs(Protocol):
    """Content-addressed bytes."""

    def put(self, data: bytes) -> Sha256:
        """The address of these bytes, which are stored when this returns; storing twice costs nothing."""
        ...

    def get(self, sha256: Sha256) -> bytes:
        """Raises: NotFound."""
        ...

    def has(self, sha256: Sha256) -> bool: ...


class LibraryStore(Protocol):
    """Records of the built-in DAM: one for each pushed version. The bytes are in the blob storage."""

    def put(
        self, *, external_id: str, version_id: str, folder: str, state: str, files: Any, metadata: Any
    ) -> str:
        """Store a record once, and return its reference: a repeat leaves the record as it is.

        Args:
            external_id: the same for every try to push one version.
            version_id: the version's id.
            folder: the folder of its files, by the naming rules.
            state: a value of `VersionState`.
            files: the version's files, JSON-serializable.
            metadata: facts to show beside the files, JSON-serializable.
        """
        ...

    def set_state(self, ref: str, state: str) -> bool:
        """Write the state of a record; return whether the record exists."""
        ...

    def get_state(self, ref: str) -> str | None:
        """Return the state of a record, or None if it does not exist."""
        ...

    def newest_file(self, name: str) -> Sha256 | None:
        """Return the content hash of the newest file of this name, or None."""
        ...

    def remove(self, ref: str) -> None:
        """Delete a record, if it exists."""
        ...


class Queue(Protocol):
    """Wake-ups: hints that something is due, never the truth."""

    def wake(self, job: str, ids: Iterable[str]) -> bool:
        """Whether the wake-ups were taken; False (never an exception) while the queue server is away."""
        ...

    def length(self, job: str) -> int:
        """How many wake-ups wait in the queue that this job goes to.

        Raises: Unavailable.
        """
        ...

    def workers(self, job: str) -> int:
        """How many workers serve the queue that this job goes to; 0 while the queue server is away."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundWebhook:
    """A webhook as it came: header names in lower case, the body untouched."""

    headers: Mapping[str, str]
    body: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedWebhook:
    """A webhook whose sender is proved. `key` is unique per source and delivery; `acts` is False for pings; `keeps` names the headers that it
    means nothing without: others of the vendor's are not stored, since some are credentials."""

    key: str
    is_event: bool = True
    headers_to_store: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PimCapabilities:
    """What differs between PIMs: whether products can be fetched again and listed by change, and whether they want to know what is live."""

    can_fetch: bool = False
    can_list_changes: bool = False
    can_write_back: bool = False


class Pim(Protocol):
    """Where product records come from."""

    capabilities: PimCapabilities

    def verify(self, inbound: InboundWebhook) -> VerifiedWebhook:
        """Prove the sender on the raw bytes, before anything is parsed.

        Raises: DeliveryError 401 when the proof fails, 400 when a needed header is missing.
        """
        ...

    def normalize(self, inbound: InboundWebhook) -> list[Event]:
        """What the delivery means.

        Raises: BadOutput when the body is not what this source sends.
        """
        ...

    def fetch(self, ref: str) -> list[Product]:
        """The product as it is now; one for each SKU where what the reference names has several.

        Raises: NotFound, Refused, BadOutput, Unavailable, RateLimited, Unsupported.
        """
        ...

    def changed_since(self, since: datetime) -> Iterable[Event]:
        """What changed since then, for reconciliation. Raises: as `fetch`."""
        ...

    def fetch_picture(self, name: str) -> bytes:
        """A picture that only its connection can fetch. Raises: as `fetch`."""
        ...

    def write_back(self, ref: str, values: Mapping[str, str]) -> None:
        """Write what is live of a product into its record: `ar_url`, `status`. Raises: as `fetch`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PushRequest:
    """A version on its way into a DAM; `external_id` is the same for every try, so that a repeat makes nothing twice.

    preview: a JPEG to show in a grid, of what is no picture itself.
    """

    external_id: str
    version: Version
    product: Product
    folder: str
    review_url: str
    preview: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteState:
    """What a version is in the DAM: its state, and what a person decided there."""

    state: VersionState
    decision: Decision | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DamCapabilities:
    """What differs between DAMs. webhooks: it can tell us that something changed. poll_s: between two looks at what changed. decides_here:
    people decide on our pages alone."""

    has_webhooks: bool = False
    poll_interval_s: float = 0.0
    is_reviewed_here: bool = False


class Dam(Protocol):
    """Where made assets lie and where people decide about them. What it tells unasked is a hint: how a version stands is always asked."""

    capabilities: DamCapabilities

    def push(self, request: PushRequest, blobs: Blobs) -> str:
        """Store the version's files as "in review"; gives the DAM's reference, the same one for a repeat.

        Raises: Refused, Unavailable, RateLimited.
        """
        ...

    def write_state(self, ref: str, state: VersionState, decision: Decision | None = None) -> None:
        """Write how a version stands on our side, and who decided so. Raises: NotFound, Refused, Unavailable, RateLimited."""
        ...

    def remote_state(self, ref: str, version: Version) -> RemoteState:
        """How a version stands there now. Raises: NotFound, Refused, Unavailable, RateLimited."""
        ...

    def changed_files(self, ref: str, version: Version) -> tuple[str, ...]:
        """The names of the version's files whose bytes there are no longer ours, or are gone. Raises: as `standing`."""
        ...

    def changed_since(self, cursor: str) -> tuple[list[str], str]:
        """The references of versions that somebody changed after `cursor`, and the cursor to ask with next time.

        Raises: Refused, Unavailable, RateLimited.
        """
        ...

    def verify(self, inbound: InboundWebhook) -> VerifiedWebhook:
        """Prove that a webhook is this DAM's. Raises: DeliveryError."""
        ...

    def parse_webhook(self, inbound: InboundWebhook) -> list[str]:
        """The references of the versions that a webhook tells about. Raises: BadOutput."""
        ...

    def fetch_picture(self, name: str, blobs: Blobs) -> bytes:
        """A picture that lies in the DAM, by its file name or reference. Raises: NotFound, Unsupported, Unavailable."""
        ...

    def remove(self, ref: str) -> None:
        """Take a version out again, with its files; nothing happens when it is not there. Raises: Refused, Unavailable."""
        ...


class Channel(Protocol):
    """Where approved versions go live."""

    def sync(self, listing: Listing, blobs: Blobs) -> str:
        """Make these, in this order, what of ours is live for the product; gives its address.

        What is there is not sent again, what is no longer listed is taken off, and what is not ours is left alone.
        Raises: NotFound when the channel has no such product, Refused, Unavailable, RateLimited.
        """
        ...

    def live_files(self, listing: Listing) -> tuple[str, ...]:
        """The names of our files that are live for the product. Raises: as `sync`."""
        ...

    def expected_files(self, listing: Listing) -> tuple[str, ...]:
        """The names of the files that this channel takes of a listing: what `live` gives once it is synced."""
        ...


class RemoteTaskState(StrEnum):
    """Where a provider's task stands."""

    WAITING = "waiting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"  # what its provider says is nothing that we know: it may have been billed


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderCapabilities:
    """What differs between providers.

    makes: pictures or models. views: those it makes use of, the one it cannot do without first; empty: any, the first that there is.
    concurrency: tasks at once. polls: tasks that one look tells of; 0: there is nothing to look at, the answer to a submission
    brings what was made. poll_s: between two looks. patience_s: an answer to a submission comes in that time or never. longest_s: of a
    task. idempotent: the same key never starts a second task that costs anything. reconciles: it can be asked for a task whose answer
    was lost. webhooks: it can tell us that a task ended. cuts_out: its pictures are the photo without its ground.
    """

    kinds: tuple[RunKind, ...] = (RunKind.MODEL,)
    views: tuple[str, ...] = ("front",)
    concurrency: int = 10
    tasks_per_poll: int = 1
    poll_interval_s: float = 4.0
    submit_timeout_s: float = 60.0
    task_timeout_s: float = 3600.0
    is_idempotent: bool = False
    can_find_lost_task: bool = False
    can_cancel: bool = False
    has_balance: bool = False
    has_webhooks: bool = False
    takes_prompts: bool = False
    removes_background: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """What is to be generated. key: the same for every try. pictures: encoded, by view. prompt: empty where a provider takes none.

    max_triangles, texture_px: of a model. width, height in pixels, transparent: of a picture.
    """

    key: str
    product: Product
    pictures: Mapping[str, bytes]
    kind: RunKind = RunKind.MODEL
    prompt: str = ""
    max_triangles: int = 30_000
    texture_px: int = 2048
    width: int = 1024
    height: int = 1024
    transparent: bool = False
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteTask:
    """A remote task as its provider tells it. cost_usd: None while it does not say. model: what really made it. error: of a failed one.
    request_id: what its support asks for. files: what was made, where the answer to a submission brings it."""

    ref: str
    state: RemoteTaskState
    progress: int = 0
    cost_usd: float | None = None
    model: str = ""
    error: str = ""
    request_id: str = ""
    files: tuple[bytes, ...] = ()


class Provider(Protocol):
    """Whoever generates remotely. model: what it is asked to make it with; empty where there is no choice."""

    capabilities: ProviderCapabilities
    model: str

    def estimate(self, request: GenerationRequest) -> float:
        """What it will cost, in USD, as far as the price list tells."""
        ...

    def submit(self, request: GenerationRequest) -> RemoteTask:
        """Start a task.

        Raises: Refused, RateLimited, Busy, OutOfCredit, Unavailable (all: nothing was begun), SubmitUnknown (it may have been).
        """
        ...

    def poll(self, refs: Sequence[str]) -> Mapping[str, RemoteTask]:
        """How these tasks stand, at most `capabilities.polls` of them; one that the provider does not know is left out.

        Raises: Unavailable, RateLimited, Refused, BadOutput.
        """
        ...

    def fetch(self, ref: str) -> tuple[bytes, ...]:
        """What a succeeded task made: one model, or its pictures, any of which will do. Raises: NotFound, Refused, BadOutput, Unavailable."""
        ...

    def find_lost_task(self, since: datetime, known: Collection[str]) -> str | None:
        """The task that was begun since then though its answer was lost; None: there is none. known: those that we know of.

        Asked while nothing else is being submitted. Raises: Unsupported, Unavailable, SubmitUnknown when several may be meant.
        """
        ...

    def cancel(self, ref: str) -> bool:
        """Whether the task was stopped before it cost anything. Raises: Unsupported, Unavailable."""
        ...

    def balance(self) -> float:
        """What is left of the account, in USD. Raises: Unsupported, Refused, Unavailable."""
        ...

    def verify(self, inbound: InboundWebhook) -> VerifiedWebhook:
        """Prove that a webhook is this provider's. Raises: DeliveryError."""
        ...

    def parse_webhook(self, inbound: InboundWebhook) -> str:
        """The reference of the task that a webhook tells about: it only wakes the next look. Raises: BadOutput."""
        ...
