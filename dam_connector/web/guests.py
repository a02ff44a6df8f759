"""Guest links: the pages on which guests review, and the page on which admins create and revoke links."""

from collections.abc import Mapping

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from dam_connector.domain.event import Decision, Verdict
from dam_connector.domain.guest_link import DEFAULT_DAYS, MAX_DAYS, GuestScope
from dam_connector.domain.outside_values import parse_integer
from dam_connector.errors import ProductDeleted, Refused, StateConflict
from dam_connector.store.users import UserRole
from dam_connector.usecases import guests, stages
from dam_connector.web.comments import Draft, requested_anchor, requested_draft
from dam_connector.web.files import source_response
from dam_connector.web.guest_access import SESSION_KEY, for_guests, guest_version, signed_in_guest
from dam_connector.web.rate_limit import limit_rate
from dam_connector.web.request_context import requested_text, requires, services, signed_in_user
from dam_connector.web.version_photos import shown_photos

bp = Blueprint("guests", __name__)
WRITES_PER_MINUTE = 60  # of one guest: comments and decisions
NO_RIGHTS = {"may": lambda role: False, "place": None}


@bp.get("/guests")
@requires(UserRole.ADMIN)
def index() -> ResponseReturnValue:
    """Show all guest links and the form for a new one."""
    return _index_page(request.args)


def _index_page(form: Mapping[str, str]) -> str:
    """Render the page of guest links. form: the values of the form for a new one, by field."""
    s = services()
    stages = {stage.name for listed in s.rules.current().review.stages.values() for stage in listed}
    return render_template(
        "guests.html",
        links=s.guest_links.all(),
        now=s.clock.now(),
        stages=sorted(stages),
        form={"scope": "category", "days": DEFAULT_DAYS, **form},
        scopes=list(GuestScope),
        known={scope: guests.suggestions(s, scope) for scope in GuestScope},
        batch_names={batch.id: batch.name for batch in s.batches.page(limit=guests.MAX_SUGGESTED)},
        max_days=MAX_DAYS,
    )


@bp.post("/guests")
@requires(UserRole.ADMIN)
def create() -> ResponseReturnValue:
    """Create a guest link and show it once."""
    form = request.form
    name = form.get("name", "").strip()[:80]
    days = parse_integer(form.get("days", str(DEFAULT_DAYS)), most=MAX_DAYS)
    if not name or form.get("scope") not in set(GuestScope):
        flash("No link was created: give the guest a name, and choose what the link opens.", "error")
        return _index_page(form), 422
    if not days:
        flash(f"A guest link is valid for 1 to {MAX_DAYS} days.", "error")
        return _index_page(form), 422
    try:
        _, secret = guests.create(
            services(),
            name=name,
            scope=GuestScope(form["scope"]),
            value=form.get("value", "").strip()[:500],
            may_decide=form.get("right") == "decide",
            days=days,
            by=signed_in_user().name,
            stage=form.get("stage", ""),
        )
    except Refused as error:
        reason = error.reason if error.reason.endswith("?") else f"{error.reason}."
        flash(f"No link was created: {reason}", "error")
        return _index_page(form), 422
    address = services().settings.base_url + url_for("guests.follow", secret=secret)
    return render_template("guest_created.html", name=name, address=address)


@bp.post("/guests/<link_id>/revoke")
@requires(UserRole.ADMIN)
def revoke(link_id: str) -> ResponseReturnValue:
    """Revoke a guest link at once. What the guest wrote and decided stays."""
    if services().guest_links.revoke(link_id, by=signed_in_user().name):
        flash("The link is revoked. What the guest decided stays.", "info")
    else:
        flash("The link is closed already.", "info")
    return redirect(url_for("guests.index"))


@bp.get("/guest/<secret>")
def follow(secret: str) -> ResponseReturnValue:
    """Show one button, so that link previews and virus scanners open nothing; or that the link is closed."""
    limit_rate(services().settings.logins_per_minute)
    if services().guest_links.by_secret(secret) is None:
        return render_template("guest_closed.html"), 401
    return render_template("guest_link.html", secret=secret)


@bp.post("/guest/<secret>")
def enter(secret: str) -> ResponseReturnValue:
    """Begin the review of a guest."""
    limit_rate(services().settings.logins_per_minute)
    link = services().guest_links.by_secret(secret)
    if link is None:
        return render_template("guest_closed.html"), 401
    session[SESSION_KEY] = secret
    session.permanent = True
    services().guest_links.note_use(link)
    return redirect(url_for("guests.queue"))


@bp.get("/guest/review")
@for_guests
def queue() -> ResponseReturnValue:
    """Show the versions that the guest may see: those in review first."""
    cards = guests.visible_cards(services(), signed_in_guest())
    names = services().products.names({card.asset.sku for card in cards})
    return render_template("guest_queue.html", guest=signed_in_guest(), cards=cards, names=names)


@bp.get("/guest/versions/<version_id>")
@for_guests
def version(version_id: str) -> ResponseReturnValue:
    """Show a version beside the photos of its product."""
    return _version_page()


def _version_page(draft: Draft | None = None) -> str:
    """Render the page of a version. draft: a comment that was not stored, to be shown in its form again."""
    guest, found, s = signed_in_guest(), guest_version(), services()
    ids = [card.id for card in guests.visible_cards(s, guest)]
    record = s.products.get(found.asset.sku)
    following = ids[ids.index(found.id) + 1 :] if found.id in ids else []
    return render_template(
        "guest_version.html",
        guest=guest,
        v=found,
        record=record,
        photos=shown_photos(found, record),
        threads=guests.threads(s, guest, found),
        may_decide=guests.may_decide(s, guest, found),
        waits_for=stages.progress(s, found).pending,
        draft=draft,
        reasons=s.rules.current().review.reasons,
        next_id=next(iter(following), None),
        **NO_RIGHTS,
    )


@bp.get("/guest/versions/<version_id>/photos/<view>")
@for_guests
def photo(version_id: str, view: str) -> Response:
    """Send a photo that the page of a version shows; a product's other sources are not for guests."""
    found = guest_version()
    photos = shown_photos(found, services().products.get(found.asset.sku))
    shown = (photo.sha256 for photo in photos if photo.view == view and not photo.is_newer)
    return source_response(next(shown, None), view)


@bp.post("/guest/versions/<version_id>/decide")
@for_guests
def decide(version_id: str) -> ResponseReturnValue:
    """Record the decision of the guest."""
    limit_rate(WRITES_PER_MINUTE)
    guest, found, form = signed_in_guest(), guest_version(), request.form
    if form.get("verdict") not in set(Verdict):
        abort(400, "choose Approve or Reject on the page of the version")
    decision = Decision(
        verdict=Verdict(form["verdict"]),
        by=guest.author,
        reasons=tuple(r[:80] for r in form.getlist("reasons")[:9] if r.strip()),
        note=requested_text("note"),
    )
    if decision.verdict is Verdict.REJECTED and not decision.reasons:
        flash("Choose a reason for the rejection. A note is optional.", "error")
        return redirect(url_for("guests.version", version_id=version_id))
    try:
        guests.decide(services(), guest, found, decision, delay_s=services().settings.undo_s)
        flash(f"{found.asset.sku} V{found.number} {decision.verdict.value}.", "info")
    except ProductDeleted:
        flash(
            "Not approved: this product was deleted, so nothing of it goes live. You can still comment.",
            "error",
        )
        return redirect(url_for("guests.version", version_id=version_id))
    except StateConflict:
        flash("Somebody else was faster: this version is decided.", "error")
    return redirect(url_for("guests.queue"))


@bp.post("/guest/versions/<version_id>/comment")
@for_guests
def comment(version_id: str) -> ResponseReturnValue:
    """Add a comment of the guest, or a reply in one of its threads."""
    limit_rate(WRITES_PER_MINUTE)
    draft, guest = requested_draft(), signed_in_guest()
    try:
        comment_id = guests.comment(
            services(), guest, guest_version(), draft.text, requested_anchor(), parent_id=draft.parent
        )
    except Refused as error:
        flash(f"Not stored: {error.reason}.", "error")
        return _version_page(draft), 422
    return redirect(url_for("guests.version", version_id=version_id, _anchor=f"comment-{comment_id}"))


@bp.post("/guest/leave")
@for_guests
def leave() -> ResponseReturnValue:
    """End the review of the guest in this browser."""
    session.pop(SESSION_KEY, None)
    return render_template("guest_closed.html", left=True)
