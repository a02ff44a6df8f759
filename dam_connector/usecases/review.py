"""Reviewing: decisions and their undoing, the next version of an asset, and waivers.

Pages, API and DAMs all decide with the same functions.
"""

from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from dam_connector.domain.comment import summary_text
from dam_connector.domain.event import Decision, Verdict
from dam_connector.domain.ids import RunId
from dam_connector.domain.issue import Waiver
from dam_connector.domain.rules import JOINED, LOCAL, PHOTO, Deliverable
from dam_connector.domain.run import RunKind
from dam_connector.domain.shapes import PART_VERSIONS, SHAPE_VERSION
from dam_connector.domain.version import Version, VersionState
from dam_connector.errors import ConfigError, NotFound, Refused, StateConflict
from dam_connector.store.decisions import STATE_AFTER
from dam_connector.store.run_records import base_input_hash
from dam_connector.usecases import stages
from dam_connector.usecases.dam_sync.outbound import sync_to_dam
from dam_connector.usecases.follow_up_runs import plan_follow_up, unique_input_hash
from dam_connector.usecases.publish import require_product
from dam_connector.usecases.shared_shapes import parts_of_joined
from dam_connector.usecases.surplus import require_wanted
from dam_connector.wiring import Services

OPEN_FOR_REVIEW = (VersionState.IN_REVIEW, VersionState.APPROVED, VersionState.PUBLISHED)


def decide(
    services: Services,
    version: Version,
    decision: Decision,
    *,
    source: str,
    delay_s: float = 0,
    go_live_at: datetime | None = None,
    stage: str | None = None,
) -> bool:
    """Approve or reject a version in review, and plan the publication of an approved one.

    With stages the version stays in review until the last one has approved it.

    Args:
        source: where the decision was made: `page`, `api` or the name of a DAM.
        delay_s: seconds until the publication starts, in which the decision can be undone.
        go_live_at: the earliest time to go live; None: as soon as it is published.
        stage: the stage that the person saw; None: whichever is asked now.

    Returns:
        Whether the review ended with it.

    Raises:
        Refused: a time to go live, and further stages are asked.
        StateConflict: somebody else decided first, another stage is asked now, or the version is approved and
            its product was deleted, the rules do not want it, or its shape is not approved any more.
    """
    detail = "; ".join(filter(None, [", ".join(decision.reasons), decision.note]))
    with services.transaction():
        if decision.verdict is Verdict.APPROVED:
            _require_approvable(services, version)
        services.assets.lock_asset(version.asset.id)
        stage, is_final = stages.deciding_stage(
            services, version, decision.verdict, from_dam=source == version.dam, expected=stage
        )
        if go_live_at and not is_final:
            raise Refused("review", "decide", "only the last stage says when a version goes live")
        decision_id = services.decisions.record(version, decision, source, stage=stage, is_final=is_final)
        if not is_final:
            _pass_to_next_stage(services, version, decision, stage, source=source)
            return False
        services.assets.set_go_live_at(version.id, go_live_at)
        if source == version.dam:
            services.assets.set_dam_state(version.id, STATE_AFTER[decision.verdict])
        else:
            sync_to_dam(services, version)
        services.history.add(
            decision.verdict.value,
            sku=version.asset.sku,
            version_id=version.id,
            by=decision.by,
            detail="; ".join(filter(None, [stage and f"as {stage}", detail])),
        )
        if decision.verdict is Verdict.APPROVED:
            due_at = services.clock.now() + timedelta(seconds=delay_s) if delay_s else None
            counts_from = max(filter(None, (due_at, go_live_at)), default=None)
            _go_live(services, version, decision_id, by=decision.by, due_at=due_at, counts_from=counts_from)
    return True


def approve_joined(services: Services, version: Version, deliverable: Deliverable) -> None:
    """Approve a version that was joined from approved ones, in the open transaction, by their approvals.

    Each of its parts was approved by people. If others are approved by now, it stays in review, and the run
    that they caused makes the next one.
    """
    parts = parts_of_joined(services, version.asset.sku, deliverable).values()
    if " ".join(part.id for part in parts) != version.provenance.get(PART_VERSIONS):
        return
    names = ", ".join(f"{part.asset.sku} V{part.number}" for part in parts)
    decision = Decision(verdict=Verdict.APPROVED, by=JOINED, note=f"made of approved models: {names}")
    decision_id = services.decisions.record(version, decision, JOINED)
    sync_to_dam(services, version)
    services.history.add(
        decision.verdict.value,
        sku=version.asset.sku,
        version_id=version.id,
        by=decision.by,
        detail=decision.note,
    )
    _go_live(services, version, decision_id, by=decision.by)


def _go_live(
    services: Services,
    version: Version,
    decision_id: str,
    *,
    by: str,
    due_at: datetime | None = None,
    counts_from: datetime | None = None,
) -> None:
    """Ask for a version to be live, and plan its publication."""
    services.live_requests.add(version, goes_live=True, by=by, due_at=counts_from)
    plan_follow_up(services, version, RunKind.PUBLISH, f"publish:{decision_id}", due_at=due_at)


def _require_approvable(services: Services, version: Version) -> None:
    """Check that a version's product is there, that the rules want it, and that its shape was approved."""
    require_product(services, version)
    require_wanted(services, version)
    shape = services.assets.get(str(version.provenance.get(SHAPE_VERSION, "")))
    is_withdrawn = bool(shape and shape.state is VersionState.WITHDRAWN)
    if shape and (is_withdrawn or not services.decisions.is_approved(shape)):
        name = f"{shape.asset.sku} V{shape.number}"
        raise StateConflict(f"its shape, {name}, is not approved any more; decide about that one first")


def _pass_to_next_stage(
    services: Services, version: Version, decision: Decision, stage: str, *, source: str
) -> None:
    """Ask the next stage. A DAM that shows the version as approved gets our state back."""
    stages.set_pending_stage(services, version)
    services.assets.touch(version.id)
    if source == version.dam:
        services.assets.set_dam_state(version.id, STATE_AFTER[decision.verdict])
        sync_to_dam(services, version)
    services.history.add(
        "stage_approved",
        sku=version.asset.sku,
        version_id=version.id,
        by=decision.by,
        detail="; ".join(filter(None, [f"as {stage}", decision.note])),
    )


def undo(services: Services, version: Version, *, by: str) -> None:
    """Undo the last decision about a version.

    It is in review again, or superseded if a newer version is. A rollback that is undone leaves the version
    as it was before. A publication that has begun is taken back in every channel. Of a version in review, the
    person's own approval by a stage is undone.

    Raises:
        StateConflict: the decision has taken effect.
    """
    with services.transaction():
        services.assets.lock_asset(version.asset.id)
        current = services.assets.get(version.id)
        if current and current.state is VersionState.IN_REVIEW:
            services.decisions.undo_stage(version, by=by)
            services.assets.touch(version.id)
            stages.set_pending_stage(services, version)
            services.history.add("undone", sku=version.asset.sku, version_id=version.id, by=by)
            return
        earlier = services.live_requests.of_version(version)[:-1]
        if earlier:  # the last request was a rollback: the decision itself is not undone
            before = VersionState.SUPERSEDED if earlier[-1].goes_live else VersionState.WITHDRAWN
            services.assets.transition(version.id, before, from_states=[VersionState.APPROVED])
        else:
            services.decisions.undo(version)
            _settle_after_undo(services, version)
            stages.set_pending_stage(services, version)
        services.assets.set_go_live_at(version.id, None)
        services.live_requests.undo_newest(version)
        sync_to_dam(services, version)
        services.history.add("undone", sku=version.asset.sku, version_id=version.id, by=by)
        if services.runs.has_started(version.id, RunKind.PUBLISH):
            plan_follow_up(services, version, RunKind.PUBLISH, unique_input_hash("undo", services))


def _settle_after_undo(services: Services, version: Version) -> None:
    """Keep at most one version of an asset in review: the newest one."""
    if services.assets.has_newer(version, OPEN_FOR_REVIEW):
        services.assets.transition(version.id, VersionState.SUPERSEDED)
    else:
        services.assets.supersede_others(version.id, [VersionState.IN_REVIEW])


def regenerate(
    services: Services, version: Version, *, note: str, by: str, bulk: bool = False, generator: str = ""
) -> RunId | None:
    """Plan the next version of an asset.

    Args:
        note: the reviewer's wishes; empty: those of the version's rejection. The open comments are added.
        bulk: the run is one of many, and waits behind those of single products.
        generator: who makes the next version; empty: by the rules.

    Returns:
        The id of the new run; None when the same was requested before.

    Raises:
        Refused: the generator cannot make this kind of asset.
    """
    if generator:
        _check_generator(services, version, generator)
    input_hash = f"{generation_hash(services, version)}~again:{version.id}"
    detail = "; ".join(filter(None, [f"by {generator}" if generator else "", note]))
    with services.transaction():
        run = plan_follow_up(
            services,
            version,
            RunKind(version.asset.kind),
            f"{input_hash}:{generator}" if generator else input_hash,
            note=_wishes(services, version, note),
            bulk=bulk,
            generator=generator,
        )
        if run:
            services.history.add(
                "regenerate", sku=version.asset.sku, version_id=version.id, by=by, detail=detail
            )
    return run


def generation_hash(services: Services, version: Version) -> str:
    """Return the input hash of the run that generated a version, or the original of an enlarged version."""
    run = services.runs.get(version.run_id)
    while run and run.kind is RunKind.UPSCALE and (original := services.assets.get(run.version_id or "")):
        run = services.runs.get(original.run_id)
    return base_input_hash(run.input_hash) if run else ""


def available_generators(services: Services, version: Version) -> list[str]:
    """Return the generators that can make the next version of an asset: `local` and names of providers.

    The list is empty for assets that are rendered from a model.
    """
    kind = RunKind(version.asset.kind)
    rules = services.rules.current()
    deliverable = rules.deliverable(version.asset.deliverable)
    if deliverable is None or deliverable.made_from != PHOTO:
        return []
    generators = [LOCAL]
    for name in rules.provider:
        with suppress(ConfigError):
            generators += [name] if kind in services.provider(name).capabilities.kinds else []
    return generators


def _check_generator(services: Services, version: Version, generator: str) -> None:
    if generator not in (available := available_generators(services, version)):
        names = ", ".join(available) or "none"
        raise Refused(generator, "regenerate", f"it cannot make this asset; these can: {names}")


def _wishes(services: Services, version: Version, note: str) -> str:
    """Return what the next version shall do better: a note or the rejection's, and the open comments."""
    comments = summary_text(services.comments.of_version(version))
    return "; ".join(filter(None, [note or _rejection_text(services, version), comments]))


def _rejection_text(services: Services, version: Version) -> str:
    """Return the reasons and the note of the last rejection of a version."""
    for found in services.decisions.of_version(version.id):
        decision = found.decision
        if decision.verdict is Verdict.REJECTED and not found.undone:
            return "; ".join(filter(None, [", ".join(decision.reasons), decision.note]))
    return ""


def upscale(services: Services, version: Version, *, by: str, bulk: bool = False) -> RunId | None:
    """Plan a version with twice the pixels on each side.

    Args:
        bulk: the run is one of many, and waits behind those of single products.

    Returns:
        The id of the new run; None when the same was requested before.

    Raises:
        StateConflict: the version is not a still picture.
    """
    if version.asset.kind != RunKind.IMAGE or version.spin_frames:
        raise StateConflict("only still pictures are enlarged")
    with services.transaction():
        run = plan_follow_up(services, version, RunKind.UPSCALE, f"upscale:{version.id}", bulk=bulk)
        if run:
            services.history.add("upscale", sku=version.asset.sku, version_id=version.id, by=by)
    return run


def waive(services: Services, version: Version, waiver: Waiver) -> None:
    """Waive an issue of a blocked version. A version without further errors goes into review.

    Raises:
        StateConflict: the version is not blocked.
        NotFound: the version has no open error with the waiver's code.
    """
    with services.transaction():
        services.assets.lock_asset(version.asset.id)
        version = services.assets.get(version.id) or version  # with the waivers of others
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
            plan_follow_up(services, version, RunKind.REVIEW, unique_input_hash("review", services))
