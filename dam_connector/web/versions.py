"""The review pages: what needs a person, one version at a time, and where everything stands."""

from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from dam_connector.domain import report_text
from dam_connector.domain.checklist import answers
from dam_connector.domain.event import Decision, Verdict
from dam_connector.domain.issue import Waiver
from dam_connector.domain.run import OPEN
from dam_connector.domain.version import Version, VersionState
from dam_connector.errors import Refused, StateConflict
from dam_connector.store.users import UserRole
from dam_connector.usecases import intake, publish, review
from dam_connector.usecases.broker import PAUSED
from dam_connector.usecases.provider_orders import budget
from dam_connector.web import formatting
from dam_connector.web.request_context import PAGE, current_user, requires, services, signed_in
from schemas.report import report_json

bp = Blueprint("pages", __name__)
bp.app_template_filter("ago")(formatting.ago)
bp.app_template_filter("exact")(formatting.exact)
bp.app_template_filter("size")(formatting.size)
bp.app_template_filter("many")(formatting.many)
bp.app_template_filter("duration")(formatting.duration)
bp.app_template_filter("metres")(formatting.metres)


@bp.app_context_processor
def navigation() -> dict[str, Any]:
    """Counts for the navigation, and the user."""
    user = current_user()
    if user is None:
        return {"user": None}
    s = services()
    versions, runs, deliveries = (
        s.assets.counts("in_review", "blocked"),
        s.runs.counts("failed", *OPEN),
        s.inbox.counts("failed"),
    )
    return {
        "user": user,
        "may": lambda role: user.role.may(UserRole(role)),
        "undo_s": s.settings.undo_s,
        "buys": bool(s.rules.current().provider),
        "counts": {
            "review": versions.get("in_review", 0),
            "blocked": versions.get("blocked", 0),
            "flagged": s.products.counts()["flagged"],
            "failed": runs.get("failed", 0),
            "open": sum(runs[k] for k in OPEN),
            "lost": deliveries.get("failed", 0),
        },
    }


@bp.get("/")
@requires(UserRole.VIEWER)
def home() -> ResponseReturnValue:
    return redirect(url_for("pages.queue"))


@bp.get("/review")
@requires(UserRole.VIEWER)
def queue() -> ResponseReturnValue:
    """Versions by state, those that wait longest first."""
    state, deliverable = request.args.get("state", "in_review"), request.args.get("deliverable", "")
    if state not in set(VersionState):
        abort(404)
    waiting = state in ("in_review", "blocked")
    found = services().assets.page(
        state=state,
        deliverable=deliverable,
        before=request.args.get("cursor", ""),
        limit=PAGE,
        oldest_first=waiting,
    )
    names = services().products.names_of({v.asset.sku for v in found})
    return render_template(
        "queue.html",
        versions=found,
        names=names,
        state=state,
        deliverable=deliverable,
        states=list(VersionState),
        by_state=services().assets.counts(),
        deliverables=[d.name for d in services().rules.current().deliverables],
        next=found[-1].id if len(found) == PAGE else None,
    )


@bp.get("/versions/<version_id>")
@requires(UserRole.VIEWER)
def version(version_id: str) -> ResponseReturnValue:
    """One version: the product's photos beside what was made, the facts, the report, the history, the decision."""
    found, s = _version(version_id), services()
    record = s.products.get(found.asset.sku)
    siblings = [v for v in s.assets.of_product(found.asset.sku) if v.asset.id == found.asset.id]
    other = next((v for v in siblings if v.id == request.args.get("with")), None)
    following = next(
        (v for v in s.assets.page(state="in_review", before=found.id, limit=1, oldest_first=True)), None
    )
    before = next((v for v in reversed(_waiting_before(found))), None)
    return render_template(
        "version.html",
        v=found,
        record=record,
        siblings=siblings,
        other=other,
        following=following,
        before=before,
        decisions=s.decisions.of_version(found.id),
        publications=s.publications.of_version(found.id),
        history=s.history.entries(version_id=found.id),
        can_return=publish.can_return(s, found),
        waits_until=publish.may_go_live(s, record.product, found)
        if record and found.state is VersionState.APPROVED
        else None,
        review=s.rules.current().review,
        owner=s.rules.current().review.owners.get(record.product.category, "") if record else "",
        run=s.runs.get(found.run_id),
        makers=review.makers(s, found) if signed_in().role.may(UserRole.ADMIN) else [],
        answers=answers(found.report),
        profiles=report_text.matrix(found.report.rows),
    )


REPORTS = {
    "md": ("text/markdown", report_text.markdown),
    "xml": ("application/xml", report_text.junit),
    "json": ("application/json", report_json),
}


@bp.get("/versions/<version_id>/report.<form>")
@requires(UserRole.VIEWER)
def report(version_id: str, form: str) -> ResponseReturnValue:
    """A version's report to take away: Markdown, JSON or JUnit XML."""
    found = _version(version_id)
    if form not in REPORTS:
        abort(404)
    mime, written = REPORTS[form]
    name = f"{found.asset.sku}_{found.asset.deliverable}_V{found.number}_report"
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}.{form}"}
    return Response(written(found.report, name), mimetype=mime, headers=headers)


def _waiting_before(version: Version) -> list[Version]:
    """The versions in review that are older, oldest first."""
    return [
        v
        for v in services().assets.page(state="in_review", limit=PAGE, oldest_first=True)
        if v.id < version.id
    ]


@bp.post("/versions/<version_id>/decide")
@requires(UserRole.REVIEWER)
def decide(version_id: str) -> ResponseReturnValue:
    """Record a decision and go on to the next version that waits."""
    found, form = _version(version_id), request.form
    if form.get("verdict") not in set(Verdict):
        abort(400)
    decision = Decision(
        verdict=Verdict(form["verdict"]),
        by=signed_in().name,
        reasons=tuple(r[:80] for r in form.getlist("reasons")[:9]),
        note=form.get("note", "")[:2000],
    )
    try:
        go_live_at = formatting.moment(form.get("go_live_at", ""))
        review.decide(
            services(),
            found,
            decision,
            source="page",
            delay_s=services().settings.undo_s,
            go_live_at=go_live_at,
        )
    except StateConflict:
        flash(
            f"Somebody was faster: this version is {_version(version_id).state.value.replace('_', ' ')} now.",
            "error",
        )
        return redirect(url_for("pages.version", version_id=version_id))
    flash(
        f"{found.asset.sku} {found.asset.deliverable} V{found.number} {decision.verdict.value}.|{found.id}",
        "undo",
    )
    following = services().assets.page(
        state="in_review", before=found.id, limit=1, oldest_first=True
    ) or services().assets.page(state="in_review", limit=1, oldest_first=True)
    return redirect(
        url_for("pages.version", version_id=following[0].id) if following else url_for("pages.queue")
    )


@bp.post("/versions/<version_id>/undo")
@requires(UserRole.REVIEWER)
def undo(version_id: str) -> ResponseReturnValue:
    try:
        review.undo(services(), _version(version_id), by=signed_in().name)
        flash("Undone: the version is in review again.", "info")
    except StateConflict:
        flash("Too late to undo: the version went on meanwhile.", "error")
    return redirect(url_for("pages.version", version_id=version_id))


@bp.post("/versions/<version_id>/regenerate")
@requires(UserRole.REVIEWER)
def regenerate(version_id: str) -> ResponseReturnValue:
    user, generator = signed_in(), request.form.get("generator", "")
    if generator and not user.role.may(UserRole.ADMIN):
        abort(403)
    try:
        run = review.regenerate(
            services(),
            _version(version_id),
            note=request.form.get("note", "")[:2000],
            by=user.name,
            generator=generator,
        )
        flash("The next version is being made." if run else "The next version was asked for before.", "info")
    except Refused as error:
        flash(f"Nothing is made: {error}.", "error")
    return redirect(url_for("pages.version", version_id=version_id))


@bp.post("/versions/<version_id>/upscale")
@requires(UserRole.REVIEWER)
def upscale(version_id: str) -> ResponseReturnValue:
    run = review.upscale(services(), _version(version_id), by=signed_in().name)
    flash("A version with twice the pixels is being made." if run else "It was asked for before.", "info")
    return redirect(url_for("pages.version", version_id=version_id))


@bp.post("/versions/<version_id>/comment")
@requires(UserRole.REVIEWER)
def comment(version_id: str) -> ResponseReturnValue:
    text = request.form.get("comment", "").strip()[:2000]
    if text:
        review.comment(services(), _version(version_id), text=text, by=signed_in().name)
    return redirect(url_for("pages.version", version_id=version_id))


@bp.post("/versions/<version_id>/waive")
@requires(UserRole.ADMIN)
def waive(version_id: str) -> ResponseReturnValue:
    reason, until = request.form.get("reason", "").strip(), formatting.day_end(request.form.get("until", ""))
    if len(reason) < 3:
        flash("Say why the finding is accepted.", "error")
    elif until is not None and until < services().clock.now():
        flash("That day is over: choose a later one, or none.", "error")
    else:
        waiver = Waiver(
            code=request.form.get("code", ""), by=signed_in().name, reason=reason[:500], until=until
        )
        review.waive(services(), _version(version_id), waiver)
        flash("Accepted, with your reason on record.", "info")
    return redirect(url_for("pages.version", version_id=version_id))


@bp.get("/runs")
@requires(UserRole.VIEWER)
def runs() -> ResponseReturnValue:
    state = request.args.get("state", "")
    found = services().runs.page(state=state, before=request.args.get("cursor", ""), limit=PAGE)
    ids = {r.sku: record.id for r in found if (record := services().products.get(r.sku))}
    return render_template(
        "runs.html",
        runs=found,
        state=state,
        by_state=services().runs.counts(),
        product_ids=ids,
        next=found[-1].id if len(found) == PAGE else None,
    )


@bp.post("/runs/<run_id>/retry")
@requires(UserRole.MERCHANDISER)
def retry(run_id: str) -> ResponseReturnValue:
    if intake.retry(services(), services().runs.get(run_id) or abort(404)):
        flash("Trying again.", "info")
    else:
        flash("Only failed and cancelled runs are retried.", "error")
    return redirect(url_for("pages.runs", state=request.form.get("state", "")))


@bp.get("/deliveries")
@requires(UserRole.VIEWER)
def deliveries() -> ResponseReturnValue:
    state = request.args.get("state", "")
    found = services().inbox.page(state=state, before=request.args.get("cursor", ""), limit=PAGE)
    return render_template(
        "deliveries.html",
        deliveries=found,
        state=state,
        by_state=services().inbox.counts(),
        next=found[-1].id if len(found) == PAGE else None,
    )


@bp.get("/deliveries/<delivery_id>")
@requires(UserRole.VIEWER)
def delivery(delivery_id: str) -> ResponseReturnValue:
    found = services().inbox.get(delivery_id) or abort(404)
    return render_template("delivery.html", d=found, body=formatting.pretty(found.inbound.body))


@bp.post("/deliveries/<delivery_id>/replay")
@requires(UserRole.MERCHANDISER)
def replay(delivery_id: str) -> ResponseReturnValue:
    intake.replay(services(), delivery_id)
    flash("The delivery is being handled once more.", "info")
    return redirect(url_for("pages.delivery", delivery_id=delivery_id))


@bp.get("/spend")
@requires(UserRole.MERCHANDISER)
def spend() -> ResponseReturnValue:
    """What providers cost, and how much of their caps is used."""
    s = services()
    tables = [(by, s.spend.by(by)) for by in ("batch", "category", "deliverable")]
    return render_template(
        "spend.html",
        budgets={name: budget(s, name) for name in s.rules.current().provider},
        unknown=s.spend.listed("unknown"),
        waiting=s.spend.listed("waiting"),
        paused={name: s.notes.get(PAUSED + name) for name in s.rules.current().provider},
        tables=tables,
        labels={b.id: b.name for b in s.batches.page(limit=200)},
    )


@bp.get("/rules")
@requires(UserRole.VIEWER)
def rules() -> ResponseReturnValue:
    current = services().rules.current()
    return render_template(
        "rules.html",
        rules=current,
        problem=services().rules.problem,
        text=services().rules_archive.get(current.fingerprint) or "",
    )


def _version(version_id: str) -> Version:
    return services().assets.get(version_id) or abort(404)
