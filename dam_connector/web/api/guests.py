"""Endpoints of the API for guest links."""

from typing import Any

from flask import abort

from dam_connector.domain.guest_link import GuestScope
from dam_connector.store.users import UserRole
from dam_connector.usecases import guests
from dam_connector.web.api.blueprint import answers_with_secret, bp, idempotent
from dam_connector.web.request_context import requires, services, signed_in_user
from schemas import guests as s


@bp.get("/guest-links")
@requires(UserRole.ADMIN)
@bp.response(200, s.GuestLinksOut)
def guest_links() -> dict[str, Any]:
    """List the guest links, the newest first, without their secrets."""
    return {"items": services().guest_links.all()}


@bp.post("/guest-links")
@requires(UserRole.ADMIN)
@answers_with_secret
@bp.arguments(s.GuestLinkIn)
@bp.response(201, s.NewGuestLinkOut)
def add_guest_link(data: dict[str, Any]) -> dict[str, str]:
    """Create a guest link. The address is in this answer only.

    A repeat gets 422, since a name is given once. If the answer was lost, revoke the link and create one of
    another name.
    """
    data["scope"] = GuestScope(data["scope"])
    link_id, secret = guests.create(services(), by=signed_in_user().name, **data)
    return {"id": link_id, "url": f"{services().settings.base_url}/guest/{secret}"}


@bp.post("/guest-links/<link_id>/revoke")
@requires(UserRole.ADMIN)
@idempotent
@bp.response(200, s.GuestLinksOut)
def revoke_guest_link(link_id: str) -> dict[str, Any]:
    """Revoke a guest link at once. 404: there is none that is open."""
    if not services().guest_links.revoke(link_id, by=signed_in_user().name):
        abort(404, "there is no open guest link with this id")
    return {"items": services().guest_links.all()}
