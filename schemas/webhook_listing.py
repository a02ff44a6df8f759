"""The format of listings in signed webhooks: what is live of a product."""

from typing import Any

from dam_connector.domain.listing import Listing, Placement


def dump_listing(listing: Listing) -> dict[str, Any]:
    """Return a listing as JSON values. It is complete: what is missing from it is live no longer.

    Of two listings of a product, the one with the greater `sequence` is the newer.
    """
    translations = {
        locale: {"name": product.name, "description": product.description}
        for locale, product in listing.translated.items()
    }
    return {
        "sku": listing.product.sku,
        "name": listing.product.name,
        "page_url": listing.page_url,
        "sequence": listing.sequence,
        "assets": [_asset(placement) for placement in listing.placements],
        **({"translations": translations} if translations else {}),
    }


def _asset(placement: Placement) -> dict[str, Any]:
    version = placement.approved.version
    return {
        "deliverable": version.asset.deliverable,
        "slot": version.asset.slot,
        "kind": version.asset.kind,
        "version": version.number,
        "approved_by": placement.approved.approved_by,
        "alt_text": placement.alt_text,
        **({"alt_texts": dict(placement.alt_texts)} if placement.alt_texts else {}),
        "files": [
            {
                "name": f.name,
                "url": placement.links[f.name],
                "role": f.role.value,
                "format": f.format,
                "view": f.view,
                "mime": f.mime,
                "bytes": f.bytes,
                "sha256": f.sha256,
            }
            for f in version.channel_files
        ],
    }
