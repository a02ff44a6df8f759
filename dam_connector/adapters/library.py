"""The built-in DAM adapter: versions lie in our own storage, and people review them on our own pages."""

from collections.abc import Mapping
from typing import Any

from dam_connector.adapters.common.context import AdapterContext, check_options
from dam_connector.adapters.common.mixins import NoWebhooks
from dam_connector.domain.codec import to_plain
from dam_connector.domain.event import Decision
from dam_connector.domain.version import Version, VersionState
from dam_connector.errors import FileMissing, NotFound
from dam_connector.ports import Blobs, DamCapabilities, LibraryStore, PushRequest, RemoteState


class LibraryDam(NoWebhooks):
    """A `Dam` in our own database. Its records refer to files in the blob storage by SHA-256."""

    capabilities = DamCapabilities(is_reviewed_here=True)

    def __init__(self, records: LibraryStore) -> None:
        self._records = records

    def push(self, request: PushRequest, blobs: Blobs) -> str:
        for file in request.version.files:
            if not blobs.has(file.sha256):
                raise FileMissing("library", "push", f"the storage does not have {file.name}: {file.sha256}")
        metadata = {
            "sku": request.product.sku,
            "name": request.product.name,
            "category": request.product.category,
            "number": request.version.number,
            "review_url": request.review_url,
        }
        return self._records.put(
            external_id=request.external_id,
            version_id=request.version.id,
            folder=request.folder,
            state=VersionState.IN_REVIEW.value,
            files=to_plain(request.version.files),
            metadata=metadata,
        )

    def write_state(self, ref: str, state: VersionState, decision: Decision | None = None) -> None:
        if not self._records.set_state(ref, state.value):
            raise NotFound("library", "write_state", ref)

    def remote_state(self, ref: str, version: Version) -> RemoteState:
        state = self._records.get_state(ref)
        if state is None:
            raise NotFound("library", "remote_state", ref)
        return RemoteState(state=VersionState(state))

    def changed_files(self, ref: str, version: Version) -> tuple[str, ...]:
        """Return nothing: the bytes of a content address cannot change."""
        if self._records.get_state(ref) is None:
            raise NotFound("library", "changed_files", ref)
        return ()

    def changed_since(self, cursor: str) -> tuple[list[str], str]:
        """Return nothing: our own pages store their decisions at once."""
        return [], cursor

    def fetch_picture(self, name: str, blobs: Blobs) -> bytes:
        sha256 = self._records.newest_file(name)
        if sha256 is None:
            raise NotFound("library", "fetch_picture", name)
        return blobs.get(sha256)

    def remove(self, ref: str) -> None:
        self._records.remove(ref)


def connect(options: Mapping[str, Any], context: AdapterContext) -> LibraryDam:
    """Open the adapter, which has no options."""
    check_options(options)
    return LibraryDam(context.library)
