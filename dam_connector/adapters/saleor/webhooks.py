"""The webhook that the connector needs in a Saleor shop: its events and its subscription."""

from collections.abc import Mapping
from typing import Any

_MEDIA, _PRODUCT = "productMedia { productId }", "product { id }"
_OF_PARENT = f"productVariant {{ {_PRODUCT} }}"
EVENTS = {  # the events that are subscribed to, and the place of the product's id in each
    "PRODUCT_CREATED": ("ProductCreated", _PRODUCT),
    "PRODUCT_UPDATED": ("ProductUpdated", _PRODUCT),
    "PRODUCT_DELETED": ("ProductDeleted", _PRODUCT),
    "PRODUCT_METADATA_UPDATED": ("ProductMetadataUpdated", _PRODUCT),
    "PRODUCT_MEDIA_CREATED": ("ProductMediaCreated", _MEDIA),
    "PRODUCT_MEDIA_UPDATED": ("ProductMediaUpdated", _MEDIA),
    "PRODUCT_MEDIA_DELETED": ("ProductMediaDeleted", _MEDIA),
    "PRODUCT_VARIANT_CREATED": ("ProductVariantCreated", _OF_PARENT),
    "PRODUCT_VARIANT_UPDATED": ("ProductVariantUpdated", _OF_PARENT),
    "PRODUCT_VARIANT_DELETED": ("ProductVariantDeleted", _OF_PARENT),
}
SUBSCRIPTION = """subscription {{ event {{
  issuedAt issuingPrincipal {{ ... on App {{ id name }} ... on User {{ id }} }}
  {}
}} }}""".format("\n  ".join(f"... on {name} {{ {place} }}" for name, place in EVENTS.values()))
APP_FIELDS = "id name webhooks { id name targetUrl isActive subscriptionQuery asyncEvents { eventType } }"
OWN_APP_QUERY = f"query OwnApp {{ app {{ {APP_FIELDS} }} }}"


def missing_events(webhook: Mapping[str, Any]) -> list[str]:
    """Return the events that a webhook does not tell of."""
    events = {each.get("eventType") for each in webhook.get("asyncEvents") or ()}
    return [] if "ANY_EVENTS" in events else [event for event in EVENTS if event not in events]
