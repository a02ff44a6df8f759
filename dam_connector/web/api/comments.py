"""Endpoints of the API for comments on versions."""

from typing import Any

from dam_connector.domain.comment import Comment
from dam_connector.store.users import UserRole
from dam_connector.usecases import comments as use
from dam_connector.web.api.blueprint import bp, idempotent
from dam_connector.web.api.versions import detailed, requested_version
from dam_connector.web.request_context import requires, services, signed_in_user
from schemas import comments as s
from schemas.api_versions import VersionOut


@bp.get("/versions/<version_id>/comments")
@requires(UserRole.VIEWER)
@bp.response(200, s.CommentsOut)
def comments(version_id: str) -> dict[str, list[Comment]]:
    """List the comments on a version and on the earlier ones of its asset, the oldest first."""
    return {"items": services().comments.of_version(requested_version(version_id))}


@bp.post("/versions/<version_id>/comments")
@requires(UserRole.REVIEWER)
@idempotent
@bp.arguments(s.CommentIn)
@bp.response(201, VersionOut)
def comment(data: dict[str, Any], version_id: str) -> Any:
    """Write a comment, pinned to a place or not. `@name` mentions a user."""
    use.add(services(), requested_version(version_id), by=signed_in_user().name, **data)
    return detailed(version_id)


@bp.post("/versions/<version_id>/comments/<comment_id>/resolve")
@requires(UserRole.REVIEWER)
@idempotent
@bp.response(200, s.CommentOut)
def resolve_comment(version_id: str, comment_id: str) -> Any:
    """Record that the version resolves a comment on it or on an earlier one."""
    use.set_resolved(services(), requested_version(version_id), comment_id, by=signed_in_user().name)
    return services().comments.get(comment_id)


@bp.post("/versions/<version_id>/comments/<comment_id>/reopen")
@requires(UserRole.REVIEWER)
@idempotent
@bp.response(200, s.CommentOut)
def reopen_comment(version_id: str, comment_id: str) -> Any:
    """Open a resolved comment again."""
    version, by = requested_version(version_id), signed_in_user().name
    use.set_resolved(services(), version, comment_id, by=by, resolved=False)
    return services().comments.get(comment_id)
