"""Bulk review: one action on many versions. A version that refuses it does not stop the others."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from dam_connector.domain.event import Decision
from dam_connector.domain.version import Version
from dam_connector.errors import ConnectorError
from dam_connector.usecases import comments, review, stages
from dam_connector.wiring import Services


@dataclass
class BulkResult:
    """The result of one action on many versions."""

    # Ids of the versions on which the action was done.
    done: list[str] = field(default_factory=list)
    # The number of versions that refused it, e.g. because they are not in review.
    refused: int = 0


def decide_all(
    services: Services,
    ids: Iterable[str],
    decision: Decision,
    *,
    delay_s: float,
    roles: Collection[str],
    source: str = "page",
) -> BulkResult:
    """Approve or reject the versions that are in review, and wait for the person.

    A repeat of a request whose answer was lost refuses what the first one decided, and `undo_all` still
    undoes it.

    Args:
        roles: all roles that the person's role includes.
        source: where the decision was made, `page` or `api`.
        delay_s: seconds in which `undo_all` can undo the decisions together.
    """
    ids = list(ids)
    earlier = services.notes.get(_undo_note(decision.by)) or []
    done = [version_id for version_id in ids if version_id in earlier]

    def decide(version: Version) -> bool:
        stage = stages.progress(services, version).pending
        if stage and not stage.asks(decision.by, roles):
            return False
        name = stage.name if stage else ""
        with services.transaction():  # what can be undone together is stored with each decision
            review.decide(services, version, decision, source=source, delay_s=delay_s, stage=name)
            services.notes.set(_undo_note(decision.by), [*done, version.id])
        done.append(version.id)
        return True

    services.notes.set(_undo_note(decision.by), done)
    return _for_each(services, ids, decide)


def undo_all(services: Services, *, by: str) -> BulkResult:
    """Undo the last bulk decision of a person, except for versions on which it has taken effect."""
    ids = services.notes.get(_undo_note(by)) or []

    def undo(version: Version) -> bool:
        if not stages.may_undo(services, version, name=by, roles=()):
            return False  # a later stage decided
        review.undo(services, version, by=by)
        return True

    result = _for_each(services, ids, undo)
    services.notes.set(_undo_note(by), [])
    return result


def _undo_note(by: str) -> str:
    """Return the name of the note that holds the ids of a person's last bulk decision."""
    return f"undo:{by}"


def regenerate_all(services: Services, ids: Iterable[str], *, note: str, by: str) -> BulkResult:
    """Plan the next version of each asset, once for each version."""
    return _for_each(
        services, ids, lambda v: review.regenerate(services, v, note=note, by=by, bulk=True) is not None
    )


def regenerate_product(services: Services, sku: str, *, note: str, by: str) -> BulkResult:
    """Plan the next version of every asset of a product, from the same facts."""
    newest = {
        m.card.asset.id: m.card.id for m in reversed(services.gallery.manifest_versions([sku]).get(sku, []))
    }
    return regenerate_all(services, newest.values(), note=note, by=by)


def upscale_all(services: Services, ids: Iterable[str], *, by: str) -> BulkResult:
    """Plan a version with twice the pixels of each still picture, once for each version."""
    return _for_each(services, ids, lambda v: review.upscale(services, v, by=by, bulk=True) is not None)


def comment_all(services: Services, ids: Iterable[str], *, text: str, by: str) -> BulkResult:
    """Add the same comment to each version."""
    return _for_each(services, ids, lambda v: bool(comments.add(services, v, text=text, by=by)))


def _for_each(services: Services, ids: Iterable[str], action: Callable[[Version], object]) -> BulkResult:
    """Call an action with each version; it returns False or raises a ConnectorError when it did nothing."""
    result = BulkResult()
    for version_id in dict.fromkeys(ids):
        version = services.assets.get(version_id)
        try:
            done = version is not None and action(version) is not False
        except ConnectorError:
            done = False
        if done:
            result.done.append(version_id)
        else:
            result.refused += 1
    return result
