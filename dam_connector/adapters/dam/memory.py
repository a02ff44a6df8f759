"""A DAM in memory: for tests of everything that stands behind the port."""

from collections.abc import Mapping
from typing import Any

from dam_connector.adapters.kit import Kit, only
from dam_connector.catalog.event import Decision, Event, EventKind
from dam_connector.errors import ConnectorError, NotFound
from dam_connector.ports import Blobs, Clock, DamCapabilities, DamState, PushRequest

_VERDICTS = {"approved": DamState.APPROVED, "rejected": DamState.REJECTED}


class MemoryDam:
    """Versions by external id, with their bytes; `decide` is what a person does there; `fail_with` is raised once."""

    capabilities = DamCapabilities()

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.stored: dict[str, dict[str, bytes]] = {}
        self.states: dict[str, DamState] = {}
        self._decisions: list[Event] = []
        self.fail_with: ConnectorError | None = None

    def push(self, request: PushRequest, blobs: Blobs) -> str:
        self._fail()
        ref = f"mem:{request.external_id}"
        if ref not in self.stored:
            self.stored[ref] = {f"{request.folder}/{f.name}": blobs.get(f.sha256) for f in request.version.files}
            self.states[ref] = DamState.IN_REVIEW
        return ref

    def write_state(self, ref: str, state: DamState, decision: Decision | None = None) -> None:
        self._fail()
        if ref not in self.states:
            raise NotFound("memory", "write_state", ref)
        self.states[ref] = state

    def state(self, ref: str) -> DamState:
        if ref not in self.states:
            raise NotFound("memory", "state", ref)
        return self.states[ref]

    def decide(self, ref: str, decision: Decision) -> None:
        self.states[ref] = _VERDICTS[decision.verdict]
        self._decisions.append(Event(kind=EventKind.DECISION, ref=ref, at=self._clock.now(), decision=decision))

    def picture(self, name: str, blobs: Blobs) -> bytes:
        self._fail()
        for files in reversed(self.stored.values()):
            for path, data in files.items():
                if path.rpartition("/")[2] == name:
                    return data
        raise NotFound("memory", "picture", name)

    def decisions_since(self, cursor: str) -> tuple[list[Event], str]:
        self._fail()
        return self._decisions[int(cursor or 0) :], str(len(self._decisions))

    def _fail(self) -> None:
        failure, self.fail_with = self.fail_with, None
        if failure:
            raise failure


def connect(options: Mapping[str, Any], kit: Kit) -> MemoryDam:
    only(options)
    return MemoryDam(kit.clock)
