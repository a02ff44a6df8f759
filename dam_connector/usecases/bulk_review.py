"""Selections: one action on many versions. What cannot be done with one of them leaves the others."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from dam_connector.domain.event import Decision
from dam_connector.domain.version import Version
from dam_connector.errors import ConnectorError
from dam_connector.usecases import review
from dam_connector.wiring import Services


@dataclass
class BulkResult:
    """The ids of the versions with which it was done, and how many it could not be done with."""

    done: list[str] = field(default_factory=list)
    refused: int = 0


def decide_all(services: Services, ids: Iterable[str], decision: Decision, *, delay_s: float) -> BulkResult:
    """Approve or reject those that are in review; they can be taken back together."""
    outcome = _each(
        services, ids, lambda v: review.decide(services, v, decision, source="page", delay_s=delay_s)
    )
    services.notes.set(f"undo:{decision.by}", outcome.done)
    return outcome


def undo_all(services: Services, *, by: str) -> BulkResult:
    """Take back what this person decided together last, as far as it did not take effect."""
    ids = services.notes.get(f"undo:{by}") or []
    services.notes.set(f"undo:{by}", [])
    return _each(services, ids, lambda v: review.undo(services, v, by=by))


def regenerate_all(services: Services, ids: Iterable[str], *, note: str, by: str) -> BulkResult:
    """Ask for the next version of each; not twice for one version."""
    return _each(
        services, ids, lambda v: review.regenerate(services, v, note=note, by=by, bulk=True) is not None
    )


def upscale_all(services: Services, ids: Iterable[str], *, by: str) -> BulkResult:
    """Ask for larger pictures; of still pictures only, and once each."""
    return _each(services, ids, lambda v: review.upscale(services, v, by=by, bulk=True) is not None)


def comment_all(services: Services, ids: Iterable[str], *, text: str, by: str) -> BulkResult:
    return _each(services, ids, lambda v: review.comment(services, v, text=text, by=by))


def _each(services: Services, ids: Iterable[str], act: Callable[[Version], object]) -> BulkResult:
    """act: says False, or raises, where it did nothing."""
    outcome = BulkResult()
    for version_id in dict.fromkeys(ids):
        version = services.assets.get(version_id)
        try:
            done = version is not None and act(version) is not False
        except ConnectorError:
            done = False
        if done:
            outcome.done.append(version_id)
        else:
            outcome.refused += 1
    return outcome
