"""What guests may see and do. Every route for guests asks here, and nowhere else."""

from difflib import get_close_matches

from dam_connector.domain.comment import Anchor, Comment
from dam_connector.domain.event import Decision
from dam_connector.domain.guest_link import GuestScope
from dam_connector.domain.version import Version, VersionState
from dam_connector.domain.visible_names import is_visible_name
from dam_connector.errors import NotFound, Refused, StateConflict
from dam_connector.store.gallery import GalleryFilter, VersionCard
from dam_connector.store.guest_links import GuestLink
from dam_connector.usecases import comments, review, stages
from dam_connector.wiring import Services

# States of versions that guests see: what waits for a decision, and what was decided.
SHOWN_STATES = (
    VersionState.IN_REVIEW,
    VersionState.APPROVED,
    VersionState.REJECTED,
    VersionState.PUBLISHED,
)
_SCOPE_NAMES = {GuestScope.SKU: "product with the SKU"} | {
    scope: scope.value for scope in (GuestScope.BATCH, GuestScope.CATEGORY)
}
_HINT = "; the field suggests those that there are"
MAX_SUGGESTED = 200  # names that the form for a link knows of each scope
MAX_SHOWN = 500  # versions in the list of a guest


def create(
    services: Services,
    *,
    name: str,
    scope: GuestScope,
    value: str,
    may_decide: bool,
    days: int,
    by: str,
    stage: str = "",
) -> tuple[str, str]:
    """Create a link and return its id and its secret.

    Raises:
        Refused: there is no such batch, category, SKU or stage, the name is another link's or none, or the
            guest is to decide where stages decide and the link is for none of them.
    """
    name = name.strip()
    if not is_visible_name(name):
        raise Refused("guest link", "create", "a guest needs a name of visible characters")
    value = _find_scope(services, scope, value)
    _require_stage(services, scope, value, stage, may_decide=may_decide)
    if services.guest_links.has_name(name):  # an author of comments and decisions is one link
        problem = f"there is or was a link for {name!r}; guests are told apart by name: take another"
        raise Refused("guest link", "create", problem)
    return services.guest_links.add(
        name=name, scope=scope, value=value, may_decide=may_decide, days=days, by=by, stage=stage
    )


def suggestions(services: Services, scope: GuestScope) -> list[str]:
    """Return the newest names that a link of this scope can be for."""
    if scope is GuestScope.BATCH:
        return [batch.name for batch in services.batches.page(limit=MAX_SUGGESTED)]
    if scope is GuestScope.CATEGORY:
        return services.gallery.tag_values("category", limit=MAX_SUGGESTED)
    return [record.product.sku for record in services.products.page(limit=MAX_SUGGESTED)]


def _find_scope(services: Services, scope: GuestScope, text: str) -> str:
    """Return the id of the batch, the category or the SKU that a text names, whatever its case.

    Raises:
        Refused: there is none; the message names a near one.
    """
    text = text.strip()
    if text and scope is GuestScope.BATCH and (batch := services.batches.get(text)):
        return batch.id
    if text and scope is GuestScope.CATEGORY and services.products.page(category=text, limit=1):
        return text
    if text and scope is GuestScope.SKU and services.products.get(text):
        return text
    known = suggestions(services, scope)
    same = [name for name in known if name.casefold() == text.casefold()]
    if len(same) == 1 and same[0] != text:
        return _find_scope(services, scope, same[0])
    near = get_close_matches(text, known, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise Refused("guest link", "create", f"there is no {_SCOPE_NAMES[scope]} {text!r}{hint or _HINT}")


def _require_stage(
    services: Services, scope: GuestScope, value: str, stage: str, *, may_decide: bool
) -> None:
    """Check that a guest who decides has a stage where there are stages, and that there is such a stage.

    Raises:
        Refused: the stage is missing or unknown.
    """
    review = services.rules.current().review
    known = {s.name for listed in review.stages.values() for s in listed}
    if stage and stage not in known:
        raise Refused("guest link", "create", f"plugin.json has no stage {stage!r} under /review/stages")
    if not may_decide or not known:
        return
    by_category = {c: review.stages_for(c) for c in sorted(_categories(services, scope, value))}
    with_stages = {c: [s.name for s in listed] for c, listed in by_category.items() if listed}
    if with_stages and not any(stage in names for names in with_stages.values()):
        category, names = next(iter(with_stages.items()))
        problem = f"the review of {category or 'products without a category'} has stages: {', '.join(names)}"
        raise Refused(
            "guest link", "create", f"{problem}. Choose the one in which the guest decides, or let it comment"
        )


def _categories(services: Services, scope: GuestScope, value: str) -> set[str]:
    """Return the categories of the products that a link opens."""
    if scope is GuestScope.CATEGORY:
        return {value}
    if scope is GuestScope.BATCH:
        return {row.product.category for row in services.batches.all_rows(value) if row.product}
    record = services.products.get(value)
    return {record.product.category} if record else set()


def visible_version(services: Services, link: GuestLink, version_id: str) -> Version | None:
    """Return a version if a guest may see it, or None."""
    version = services.assets.get(version_id)
    if version is None or version.state not in SHOWN_STATES:
        return None
    return version if _is_in_scope(services, link, version.asset.sku, version.id) else None


def _is_in_scope(services: Services, link: GuestLink, sku: str, version_id: str) -> bool:
    if link.scope is GuestScope.SKU:
        return sku == link.value
    if link.scope is GuestScope.CATEGORY:
        record = services.products.get(sku)
        return record is not None and record.product.category == link.value
    return services.review_queue.has_tag(version_id, "batch", link.value)


def visible_cards(services: Services, link: GuestLink) -> list[VersionCard]:
    """Return the versions that a guest may see: those in review first."""
    if link.scope is GuestScope.SKU:
        found = [card for card in services.gallery.product_cards([link.value]) if card.state in SHOWN_STATES]
    else:
        by_tag = {link.scope.value: link.value}
        filters = GalleryFilter(**by_tag, states=SHOWN_STATES)  # type: ignore[arg-type]
        found = services.gallery.page(filters, limit=MAX_SHOWN)
    cards = [card for card in found if _is_in_scope(services, link, card.asset.sku, card.id)]
    return sorted(cards, key=lambda card: (card.state is not VersionState.IN_REVIEW, card.id))


def may_read_file(services: Services, link: GuestLink, sha256: str) -> bool:
    """Return whether a file is one of a version that a guest may see."""
    ids = services.review_queue.versions_with_file(sha256)
    return any(visible_version(services, link, each) is not None for each in ids)


def may_decide(services: Services, link: GuestLink, version: Version) -> bool:
    """Return whether a guest decides about a version now."""
    if not link.may_decide or version.state is not VersionState.IN_REVIEW:
        return False
    pending = stages.progress(services, version).pending
    return pending is None or pending.name == link.stage


def decide(
    services: Services, link: GuestLink, version: Version, decision: Decision, *, delay_s: float
) -> None:
    """Record the decision of a guest. It stays when the link is revoked.

    Raises:
        Refused: the link only allows comments, or another stage is asked.
        ProductDeleted: the product was deleted, so nothing of it can be approved.
        StateConflict: somebody else decided first.
    """
    if version.state is not VersionState.IN_REVIEW:
        raise StateConflict(f"version {version.id} is {version.state.value}")
    if not may_decide(services, link, version):
        raise Refused("guest link", "decide", "this link does not allow to decide here")
    stage = link.stage if stages.progress(services, version).pending else ""
    review.decide(services, version, decision, source="guest", delay_s=delay_s, stage=stage)


def threads(services: Services, link: GuestLink, version: Version) -> list[tuple[Comment, list[Comment]]]:
    """Return the guest's own comments, each with its replies. What others discuss stays inside."""
    return [(c, replies) for c, replies in comments.threads(services, version) if c.by == link.author]


def comment(
    services: Services,
    link: GuestLink,
    version: Version,
    text: str,
    anchor: Anchor | None,
    *,
    parent_id: str = "",
) -> str:
    """Add a comment of a guest, or a reply in one of its own threads; return its id.

    Raises:
        NotFound: the guest has no such thread.
        Refused: the text is empty or too long.
    """
    own = {each.id for first, replies in threads(services, link, version) for each in (first, *replies)}
    if parent_id and parent_id not in own:
        raise NotFound("review", "comment", "there is no such comment on this version")
    return comments.add(services, version, text=text, by=link.author, anchor=anchor, parent_id=parent_id)
