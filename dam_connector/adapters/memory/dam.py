"""A DAM in memory, for tests of the code that uses the port."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from dam_connector.adapters.common.context import AdapterContext, check_options
from dam_connector.adapters.common.mixins import NoWebhooks
from dam_connector.adapters.common.photo_sources import photo_sources_option
from dam_connector.adapters.memory import FailsOnce
from dam_connector.domain.event import Decision
from dam_connector.domain.photo_sources import PhotoFacts
from dam_connector.domain.version import Version, VersionState
from dam_connector.errors import NotFound
from dam_connector.ports import (
    Blobs,
    DamCapabilities,
    DamPhoto,
    FinishedFile,
    InboundWebhook,
    PhotoChange,
    PushRequest,
    RemoteState,
)


class MemoryDam(FailsOnce, NoWebhooks):
    """A `Dam` in memory. Tests call `decide` as a person, and set `fail_with` to raise an error once."""

    capabilities = DamCapabilities()

    def __init__(self) -> None:
        super().__init__()
        self.stored: dict[str, dict[str, bytes]] = {}  # bytes by path, by reference
        self.remote_states: dict[str, RemoteState] = {}
        self.files_changed_by_hand: tuple[str, ...] = ()
        self._changed_refs: list[str] = []
        self.photos: dict[str, tuple[PhotoFacts, bytes]] = {}  # of people, by reference
        self._changed_photos: list[str] = []

    def push(self, request: PushRequest, blobs: Blobs) -> str:
        self._raise_failure()
        ref = f"mem:{request.external_id}"
        if ref not in self.stored:
            self.stored[ref] = {
                f"{request.folder}/{f.name}": blobs.get(f.sha256) for f in request.version.files
            }
            self.remote_states[ref] = RemoteState(state=VersionState.IN_REVIEW)
        return ref

    def write_state(self, ref: str, state: VersionState, decision: Decision | None = None) -> None:
        self._raise_failure()
        self.remote_state(ref)
        self.remote_states[ref] = RemoteState(state=state, decision=decision)

    def remote_state(self, ref: str, version: Version | None = None) -> RemoteState:
        self._raise_failure()
        if ref not in self.remote_states:
            raise NotFound("memory", "remote_state", ref)
        return self.remote_states[ref]

    def decide(self, ref: str, decision: Decision, *, changed_files: tuple[str, ...] = ()) -> None:
        """Decide about a version; `changed_files`: the names of files to report as changed by hand."""
        self.remote_states[ref] = RemoteState(state=VersionState(decision.verdict.value), decision=decision)
        self.files_changed_by_hand = changed_files
        self._changed_refs.append(ref)

    def fetch_picture(self, name: str, blobs: Blobs) -> bytes:
        self._raise_failure()
        for files in reversed(self.stored.values()):
            for path, data in files.items():
                if path.rpartition("/")[2] == name:
                    return data
        raise NotFound("memory", "fetch_picture", name)

    def changed_files(self, ref: str, version: Version) -> tuple[str, ...]:
        self.remote_state(ref)
        return self.files_changed_by_hand

    def changed_since(self, cursor: str) -> tuple[list[str], str]:
        self._raise_failure()
        return self._changed_refs[int(cursor or 0) :], str(len(self._changed_refs))

    def put_photo(self, ref: str, data: bytes, **facts: Any) -> None:
        """Upload or replace a photo as a person does; `facts` are those of `PhotoFacts`."""
        self.photos[ref] = (PhotoFacts(**facts), data)
        self._changed_photos.append(ref)

    def remove_photo(self, ref: str) -> None:
        """Delete a photo as a person does."""
        del self.photos[ref]
        self._changed_photos.append(ref)

    def changed_photos(self, cursor: str) -> tuple[list[PhotoChange], str]:
        self._raise_failure()
        refs = list(dict.fromkeys(self._changed_photos[int(cursor or 0) :]))
        changes = [PhotoChange(ref=ref, photo=self.photo(ref)) for ref in refs]
        return changes, str(len(self._changed_photos))

    def photo(self, ref: str) -> DamPhoto | None:
        if ref not in self.photos:
            return None
        facts, data = self.photos[ref]
        return DamPhoto(ref=ref, facts=facts, fingerprint=hashlib.sha256(data).hexdigest())

    def photo_bytes(self, ref: str) -> bytes:
        self._raise_failure()
        if ref not in self.photos:
            raise NotFound("memory", "photo_bytes", ref)
        return self.photos[ref][1]

    def finished_files(self, cursor: str, fields: Sequence[str]) -> tuple[list[FinishedFile], str]:
        self._raise_failure()
        found = [self.photo(ref) for ref in sorted(self.photos)]
        return [FinishedFile(file=file, approved_by="rita") for file in found if file], ""

    def photo_refs(self, inbound: InboundWebhook) -> list[str]:
        return [inbound.body.decode()]

    def remove(self, ref: str) -> None:
        self.stored.pop(ref, None)
        self.remote_states.pop(ref, None)


def connect(options: Mapping[str, Any], context: AdapterContext) -> MemoryDam:
    """Open the adapter."""
    check_options(options, "sources")
    photo_sources_option(options)
    return MemoryDam()
