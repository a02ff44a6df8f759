"""Reviewing: decisions, their undoing, another try, and waivers. Where a decision comes from makes no difference here."""

from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from dam_connector.domain.event import Decision, Verdict
from dam_connector.domain.ids import RunId
from dam_connector.domain.issue import Waiver
from dam_connector.domain.rules import LOCAL, PHOTO
from dam_connector.domain.run import RunKind
from dam_connector.domain.version import Version, VersionState
from dam_connector.errors import ConfigError, NotFound, Refused, StateConflict
from dam_connector.store.decisions import STATE_AFTER
from dam_connector.store.runs import base_input_hash
from dam_connector.usecases.dam_sync.outbound import sync_to_dam
from dam_connector.usecases.follow_up_runs import plan_follow_up
from dam_connector.wiring import Services

COMMENT_EVENT = "comment"


def decide(
    services: Services,
    version: Version,
    decision: Decision,
    *,
    source: str,
    delay_s: float = 0,
    go_live_at: datetime | None = None,
) -> None:
    """Approve or reject a version in review; an approved one is published after `delay_s` seconds, or on the day it is to go live.

    Raises: StateConflict when somebody else decided first.
    """
    decision_id = services.decisions.record(version, decision, source)
    services.assets.set_go_live_at(version.id, go_live_at)
    if source == version.dam:
        services.assets.set_dam_state(version.id, STATE_AFTER[decision.verdict])
    else:
        sync_to_dam(services, version)
    detail = "; ".join(filter(None, [", ".join(decision.reasons), decision.note]))
    services.history.add(
        decision.verdict.value, sku=version.asset.sku, version_id=version.id, by=decision.by, detail=detail
    )
    if decision.verdict is Verdict.APPROVED:
        due_at = services.clock.now() + timedelta(seconds=delay_s) if delay_s else None
        plan_follow_up(services, version, RunKind.PUBLISH, f"publish:{decision_id}", due_at=due_at)


def undo(services: Services, version: Version, *, by: str) -> None:
    """Take back the last decision about a version.

    Raises: StateConflict when it took effect already.
    """
    services.decisions.undo(version)
    services.assets.set_go_live_at(version.id, None)
    sync_to_dam(services, version)
    services.history.add("undone", sku=version.asset.sku, version_id=version.id, by=by)


def comment(services: Services, version: Version, *, text: str, by: str) -> None:
    """Say something about a version; it stands in its history."""
    services.history.add(COMMENT_EVENT, sku=version.asset.sku, version_id=version.id, by=by, detail=text)


def regenerate(
    services: Services, version: Version, *, note: str, by: str, bulk: bool = False, generator: str = ""
) -> RunId | None:
    """Make the next version of an asset, with a word of the reviewer's, by default that of its rejection; None when that was asked for already.

    generator: who is to make it, over the rules' own choice. Raises: NotFound, Refused when it is none that can.
    """
    if generator:
        _check_generator(services, version, generator)
    made_by = services.runs.get(version.run_id)
    while (
        made_by
        and made_by.kind is RunKind.UPSCALE
        and (enlarged := services.assets.get(made_by.version_id or ""))
    ):
        made_by = services.runs.get(
            enlarged.run_id
        )  # the next version is made from what the enlarged one was made from
    facts = base_input_hash(made_by.input_hash) if made_by else ""
    again = f"{facts}~again:{version.id}" + (f":{generator}" if generator else "")
    run = plan_follow_up(
        services,
        version,
        RunKind(version.asset.kind),
        again,
        note=note or _why_rejected(services, version),
        bulk=bulk,
        generator=generator,
    )
    if run:
        detail = "; ".join(filter(None, [f"by {generator}" if generator else "", note]))
        services.history.add("regenerate", sku=version.asset.sku, version_id=version.id, by=by, detail=detail)
    return run


def available_generators(services: Services, version: Version) -> list[str]:
    """Who can make an asset of this kind: our own code and the providers."""
    kind = RunKind(version.asset.kind)
    known = services.rules.current()
    deliverable = known.deliverable(version.asset.deliverable)
    if deliverable is None or deliverable.made_from != PHOTO:
        return []
    found = [LOCAL]
    for name in known.provider:
        with suppress(ConfigError):
            found += [name] if kind in services.provider(name).capabilities.kinds else []
    return found


def _check_generator(services: Services, version: Version, generator: str) -> None:
    if generator not in (able := available_generators(services, version)):
        raise Refused(generator, "regenerate", f"it cannot make this; known: {', '.join(able) or 'none'}")


def _why_rejected(services: Services, version: Version) -> str:
    """What the reviewer said who rejected this version last."""
    for found in services.decisions.of_version(version.id):
        said = found.decision
        if said.verdict is Verdict.REJECTED and not found.undone:
            return "; ".join(filter(None, [", ".join(said.reasons), said.note]))
    return ""


def upscale(services: Services, version: Version, *, by: str, bulk: bool = False) -> RunId | None:
    """Make a version with twice the pixels; None when that was asked for already. Raises: StateConflict when it is no still picture."""
    if version.asset.kind != RunKind.IMAGE or version.spin_frames:
        raise StateConflict("only still pictures are enlarged")
    run = plan_follow_up(services, version, RunKind.UPSCALE, f"upscale:{version.id}", bulk=bulk)
    if run:
        services.history.add("upscale", sku=version.asset.sku, version_id=version.id, by=by)
    return run


def waive(services: Services, version: Version, waiver: Waiver) -> None:
    """Accept an issue code on a blocked version; once nothing blocks it, it goes into review.

    Raises: StateConflict when the version is not blocked, NotFound when it has no such issue.
    """
    if version.state is not VersionState.BLOCKED:
        raise StateConflict(f"version {version.id} is {version.state.value}, not blocked")
    if waiver.code not in {i.code for i in version.report.errors()}:
        raise NotFound("report", "waive", f"no open error has the code {waiver.code}")
    report = replace(version.report, waivers=(*version.report.waivers, waiver))
    services.assets.set_report(version.id, report)
    services.history.add(
        "waived",
        sku=version.asset.sku,
        version_id=version.id,
        by=waiver.by,
        detail=f"{waiver.code}: {waiver.reason}",
    )
    if not report.blocked:
        plan_follow_up(services, version, RunKind.REVIEW, f"review:{version.id}")
