"""The built-in DAM: a shelf in our own database over our own blobs, reviewed on our own pages."""

from collections.abc import Mapping
from typing import Any

from dam_connector.adapters.common.context import AdapterContext, only
from dam_connector.adapters.common.mixins import Deaf
from dam_connector.domain.codec import to_plain
from dam_connector.domain.event import Decision
from dam_connector.domain.version import Version, VersionState
from dam_connector.errors import NotFound, Refused
from dam_connector.ports import Blobs, DamCapabilities, PushRequest, RemoteState
from dam_connector.store.library import Shelf


class Library(Deaf):
    """Versions by external id; files are referred to by their hash and lie in the blobs."""

    capabilities = DamCapabilities(decides_here=True)

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def push(self, request: PushRequest, blobs: Blobs) -> str:
        for file in request.version.files:
            if not blobs.has(file.sha256):
                raise Refused("library", "push", f"the bytes of {file.name} are not in storage")
        metadata = {
            "sku": request.product.sku,
            "name": request.product.name,
            "category": request.product.category,
            "number": request.version.number,
            "review_url": request.review_url,
        }
        return self._shelf.put(
            external_id=request.external_id,
            version_id=request.version.id,
            folder=request.folder,
            state=VersionState.IN_REVIEW.value,
            files=to_plain(request.version.files),
            metadata=metadata,
        )

    def write_state(self, ref: str, state: VersionState, decision: Decision | None = None) -> None:
        if not self._shelf.set_state(ref, state.value):
            raise NotFound("library", "write_state", ref)

    def standing(self, ref: str, version: Version) -> RemoteState:
        record = self._shelf.get(ref)
        if record is None:
            raise NotFound("library", "standing", ref)
        return RemoteState(state=VersionState(record.state))

    def changed(self, ref: str, version: Version) -> tuple[str, ...]:
        if self._shelf.get(ref) is None:
            raise NotFound("library", "changed", ref)
        return ()  # files are their hash

    def picture(self, name: str, blobs: Blobs) -> bytes:
        sha256 = self._shelf.file(name)
        if sha256 is None:
            raise NotFound("library", "picture", name)
        return blobs.get(sha256)

    def touched_since(self, cursor: str) -> tuple[list[str], str]:
        return [], cursor  # decisions are made on our pages, which tell the flow themselves

    def remove(self, ref: str) -> None:
        self._shelf.remove(ref)


def connect(options: Mapping[str, Any], kit: AdapterContext) -> Library:
    only(options)
    return Library(kit.library)
