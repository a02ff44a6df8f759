"""The port of digital asset management systems (DAMs)."""

from dataclasses import dataclass
from typing import Protocol

from dam_connector.domain.event import Decision
from dam_connector.domain.product import Product
from dam_connector.domain.version import Version, VersionState
from dam_connector.ports.infrastructure import Blobs
from dam_connector.ports.webhook import InboundWebhook, VerifiedWebhook


@dataclass(frozen=True, slots=True, kw_only=True)
class PushRequest:
    """A version to be stored in a DAM."""

    # The same for every try, so that a repeated push creates nothing twice.
    external_id: str
    version: Version
    product: Product
    # The folder or collection to store it in, e.g. `Chairs/CH123`.
    folder: str
    # Our page on which the version is reviewed.
    review_url: str
    # A JPEG for the DAM's grid, for versions that are not pictures themselves; else empty.
    preview: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteState:
    """The state of a version in a DAM."""

    state: VersionState
    # The decision that a person made in the DAM, if there is one.
    decision: Decision | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DamCapabilities:
    """Properties in which DAMs differ."""

    # Seconds between two calls of `changed_since`; 0: at every sweep.
    poll_interval_s: float = 0.0
    # People review only on our own pages, as with the built-in library; there is no second state to compare.
    is_reviewed_here: bool = False


class Dam(Protocol):
    """A system that stores the assets and in which people review them.

    Webhooks and change lists are only hints. The state of a version is always read with `remote_state`.
    """

    capabilities: DamCapabilities

    def push(self, request: PushRequest, blobs: Blobs) -> str:
        """Store a version's files with the state "in review".

        Returns:
            The DAM's reference of the version; the same one when the push is repeated.

        Raises:
            Refused: do not retry.
            Unavailable, RateLimited: retry later.
        """
        ...

    def write_state(self, ref: str, state: VersionState, decision: Decision | None = None) -> None:
        """Write our state of a version into the DAM, and the decision that led to it.

        Raises:
            NotFound, Refused: do not retry.
            Unavailable, RateLimited: retry later.
        """
        ...

    def remote_state(self, ref: str, version: Version) -> RemoteState:
        """Read the state of a version in the DAM.

        Raises:
            NotFound, Refused: do not retry.
            BadOutput: the DAM has a state there that means nothing to us.
            Unavailable, RateLimited: retry later.
        """
        ...

    def changed_files(self, ref: str, version: Version) -> tuple[str, ...]:
        """Return the names of the version's files that are missing in the DAM or no longer have our bytes.

        Raises:
            NotFound, Refused, BadOutput: do not retry.
            Unavailable, RateLimited: retry later.
        """
        ...

    def changed_since(self, cursor: str) -> tuple[list[str], str]:
        """List the versions that somebody changed in the DAM since the last call.

        Args:
            cursor: what the last call returned; empty for the first call.

        Returns:
            The references of the changed versions, and the cursor for the next call.

        Raises:
            Refused: do not retry.
            Unavailable, RateLimited: retry later.
        """
        ...

    def verify(self, inbound: InboundWebhook) -> VerifiedWebhook:
        """Prove that this DAM sent a webhook.

        Raises:
            DeliveryError: with the HTTP status to answer with.
        """
        ...

    def parse_webhook(self, inbound: InboundWebhook) -> list[str]:
        """Return the references of the versions that a webhook reports as changed.

        Raises:
            BadOutput: the body does not have this DAM's format.
        """
        ...

    def fetch_picture(self, name: str, blobs: Blobs) -> bytes:
        """Return the bytes of a picture in the DAM, to be used as a source image.

        Args:
            name: its file name or the DAM's reference: the part after `dam:CONNECTION/` in an image's URL.

        Raises:
            NotFound, Unsupported: do not retry.
            Unavailable: retry later.
        """
        ...

    def remove(self, ref: str) -> None:
        """Remove a version and its files from the DAM. Do nothing when it is not there.

        Raises:
            Refused: do not retry.
            Unavailable: retry later.
        """
        ...
