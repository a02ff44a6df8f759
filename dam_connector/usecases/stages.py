"""Stages of a review: who is asked about a version now, and what a decision counts as.

A version without stages needs one decision. With stages it stays in review until each of them has approved
it. A recolouring needs one glance, that of the last stage: all of them approved its shape. The rules in force
say which stages there are; approvals of stages that were renamed no longer count.
"""

from collections.abc import Collection
from dataclasses import dataclass

from dam_connector.domain.event import Verdict
from dam_connector.domain.review_rules import ReviewStage
from dam_connector.domain.rules import RECOLOURED
from dam_connector.domain.version import Version, VersionState
from dam_connector.errors import StateConflict
from dam_connector.wiring import Services

REFRESH_NOTE = "stages"  # holds the fingerprint of the rules by which versions were assigned to stages
PAGE_SIZE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class StageProgress:
    """The stages of a version, and which of them approved it."""

    stages: tuple[ReviewStage, ...]
    approved: frozenset[str]  # names of stages

    @property
    def open(self) -> tuple[ReviewStage, ...]:
        """Return the stages that have not approved it yet, in their order."""
        return tuple(s for s in self.stages if s.name not in self.approved)

    @property
    def pending(self) -> ReviewStage | None:
        """Return the stage that is asked now; None without stages, or when all have approved."""
        return next(iter(self.open), None)


def progress(services: Services, version: Version) -> StageProgress:
    """Return the stages of a version by the rules in force."""
    stages = _stages_of_category(services, version)
    if version.provenance.get("generator") == RECOLOURED:
        stages = stages[-1:]
    approved = services.decisions.approved_stages(version.id) if stages else frozenset()
    return StageProgress(stages=stages, approved=frozenset(approved))


def _stages_of_category(services: Services, version: Version) -> tuple[ReviewStage, ...]:
    record = services.products.get(version.asset.sku)
    return services.rules.current().review.stages_for(record.product.category if record else "")


def may_decide(services: Services, version: Version, *, name: str, roles: Collection[str]) -> bool:
    """Return whether a user is asked about a version now: by its stage, or because it has no stages."""
    pending = progress(services, version).pending
    return pending is None or pending.asks(name, roles)


def may_undo(services: Services, version: Version, *, name: str, roles: Collection[str]) -> bool:
    """Return whether a user may undo the decision that ended a review.

    With stages it is the user's own decision, or one of a stage in which the user is asked.
    """
    newest = next((d for d in services.decisions.of_version(version.id) if not d.undone), None)
    if newest is None or not newest.is_final or newest.decision.by == name:
        return True
    stage = next((s for s in progress(services, version).stages if s.name == newest.stage), None)
    return stage is None or stage.asks(name, roles)


def asked_stages(services: Services, *, name: str, roles: Collection[str]) -> tuple[str, ...] | None:
    """Return the keys of the stages in which a user is asked; None when the rules have no stages.

    The empty key is among them: of versions without stages.
    """
    stages = services.rules.current().review.stages
    if not stages:
        return None
    return ("", *(s.key for listed in stages.values() for s in listed if s.asks(name, roles)))


def deciding_stage(
    services: Services, version: Version, verdict: Verdict, *, from_dam: bool, expected: str | None
) -> tuple[str, bool]:
    """Return the name of the stage as which a decision counts, and whether the review ends with it.

    Args:
        from_dam: the decision was made in the DAM.
        expected: the stage that the person saw; None: it does not matter.

    Raises:
        StateConflict: another stage is asked now, or the DAM has decided before.
    """
    found = progress(services, version)
    stage = found.pending
    if from_dam and found.stages:
        named = (s for s in _stages_of_category(services, version) if s.dam)  # asked or not
        stage = next(named, found.stages[-1])
        if stage.name in found.approved and verdict is Verdict.APPROVED:
            raise StateConflict(f"version {version.id} has the approval of {stage.name} already")
    name = stage.name if stage else ""
    if expected is not None and expected != name:
        raise StateConflict(f"version {version.id} waits for {name or 'one decision'}, not for {expected}")
    others = [s for s in found.open if s.name != name]
    return name, verdict is Verdict.REJECTED or not others


def set_pending_stage(services: Services, version: Version) -> None:
    """Record in which stage a version waits, so that lists find it."""
    pending = progress(services, version).pending
    services.review_queue.set_stage(version.id, pending.key if pending else "")


def refresh_stages(services: Services) -> int:
    """Assign the versions in review to the stages of the rules, after the rules changed; return how many."""
    rules = services.rules.current()
    if services.notes.get(REFRESH_NOTE) == rules.fingerprint:
        return 0
    count, last = 0, ""
    while found := services.assets.page(
        state=VersionState.IN_REVIEW, before=last, limit=PAGE_SIZE, oldest_first=True
    ):
        for version in found:
            set_pending_stage(services, version)
        count, last = count + len(found), found[-1].id
    services.notes.set(REFRESH_NOTE, rules.fingerprint)
    return count
