"""Comments: writing them, replying to them, resolving them. Pages, API and guests use the same functions."""

from dam_connector.domain.comment import MAX_COMMENT_CHARS, Anchor, Comment, mentioned_names
from dam_connector.domain.version import Version
from dam_connector.errors import NotFound, Refused
from dam_connector.wiring import Services

COMMENT_EVENT = "comment"


def add(
    services: Services,
    version: Version,
    *,
    text: str,
    by: str,
    anchor: Anchor | None = None,
    parent_id: str = "",
) -> str:
    """Store a comment on a version and return its id.

    Args:
        text: what it says; `@name` mentions a user.
        by: the name of its author.
        anchor: where it is pinned; None: it is about the whole version.
        parent_id: the comment that it replies to; empty: it begins a thread.

    Raises:
        NotFound: there is no such comment to reply to.
        Refused: the text is empty or too long.
    """
    text = checked_text(text)
    parent = _comment(services, version, parent_id) if parent_id else None
    names = [user.name for user in services.users.all()] if "@" in text else []
    with services.transaction():
        comment_id = services.comments.add(
            version,
            text=text,
            by=by,
            anchor=None if parent else anchor,
            parent_id=(parent.parent_id or parent.id) if parent else None,
            mentions=mentioned_names(text, names),
        )
        services.assets.touch(version.id)
        place = f" ({anchor.text})" if anchor and not parent else ""
        services.history.add(
            COMMENT_EVENT, sku=version.asset.sku, version_id=version.id, by=by, detail=text + place
        )
    return comment_id


def checked_text(text: str) -> str:
    """Return the text of a comment as it is stored.

    Raises:
        Refused: it is empty, or longer than MAX_COMMENT_CHARS.
    """
    text = text.replace("\r\n", "\n").strip()  # browsers send each end of a line as two characters
    if not text:
        raise Refused("review", "comment", "the comment is empty")
    if len(text) > MAX_COMMENT_CHARS:
        problem = f"a comment has at most {MAX_COMMENT_CHARS:,} characters; this one has {len(text):,}"
        raise Refused("review", "comment", f"{problem}. Shorten it, or send it in parts")
    return text


def set_resolved(
    services: Services, version: Version, comment_id: str, *, by: str, resolved: bool = True
) -> None:
    """Record that a version resolves a comment on it or an earlier one, or open the comment again.

    Raises:
        NotFound: the version shows no such thread.
    """
    comment = _comment(services, version, comment_id)
    if comment.parent_id:
        raise NotFound("review", "resolve", "a reply is resolved with its thread")
    with services.transaction():
        services.assets.touch(version.id)
        services.comments.set_resolved(comment.id, version_id=version.id if resolved else None, by=by)
        services.history.add(
            "comment_resolved" if resolved else "comment_reopened",
            sku=version.asset.sku,
            version_id=version.id,
            by=by,
            detail=comment.text[:200],
        )


def threads(services: Services, version: Version) -> list[tuple[Comment, list[Comment]]]:
    """Return the comments that a version shows, each with its replies: the open ones first."""
    found = services.comments.of_version(version)
    replies: dict[str, list[Comment]] = {}
    for each in found:
        if each.parent_id:
            replies.setdefault(each.parent_id, []).append(each)
    firsts = sorted((c for c in found if c.parent_id is None), key=lambda c: (not c.is_open, c.id))
    return [(c, replies.get(c.id, [])) for c in firsts]


def _comment(services: Services, version: Version, comment_id: str) -> Comment:
    found = services.comments.get(comment_id)
    if found is None or found.asset_id != version.asset.id or found.version_number > version.number:
        raise NotFound("review", "comment", "there is no such comment on this version")
    return found
