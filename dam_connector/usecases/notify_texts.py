"""The texts of notifications: of webhooks, Slack, Teams and e-mails, with their links."""

from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlencode

from dam_connector.domain.notify import MEANINGS, NotifyEvent
from dam_connector.domain.version import VersionState
from dam_connector.store.outbox import OutboxMessage
from dam_connector.wiring import Services


def webhook_data(services: Services, message: OutboxMessage) -> dict[str, Any]:
    """Return the data of a webhook: the event, its version, and where people look at it."""
    version = services.assets.get(message.version_id) if message.version_id else None
    data: dict[str, Any] = {
        "sku": message.sku,
        "category": category_of(services, message.sku),
        "by": message.by,
        "detail": message.detail,
        "url": message_address(services, message),
    }
    if version:
        data |= {
            "version_id": version.id,
            "deliverable": version.asset.deliverable,
            "slot": version.asset.slot,
            "number": version.number,
            "state": version.state.value,
            "stage": version.stage,
        }
    return data


def message_text(services: Services, message: OutboxMessage) -> str:
    """Return a message for people, e.g. `CH123 packshot V2 was rejected by ann: colour`."""
    version = services.assets.get(message.version_id) if message.version_id else None
    subject = message.sku
    if version:
        subject += f" {version.asset.deliverable} V{version.number}"
    text = " ".join(filter(None, [subject, MEANINGS[NotifyEvent(message.event)]]))
    text += f" by {message.by}" if message.by else ""
    return f"{text}: {message.detail}" if message.detail else text


def chat_body(services: Services, kind: str, message: OutboxMessage) -> dict[str, Any]:
    """Return the body of a message for Slack or Teams, with a link to where people look at it."""
    text, address = message_text(services, message), message_address(services, message)
    if kind == "slack":
        plain = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return {"text": f"{plain}\n<{address}>"}
    card = {
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [{"type": "TextBlock", "text": text, "wrap": True}],
        "actions": [{"type": "Action.OpenUrl", "title": "Open", "url": address}],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
    return {"type": "message", "attachments": [attachment]}


def digest_text(services: Services, waiting: Mapping[str, Collection[str]]) -> tuple[str, str]:
    """Return the subject and the text of an owner's e-mail.

    Args:
        waiting: the ids of the versions that wait for a decision, by category.
    """
    total = sum(map(len, waiting.values()))
    lines = [
        f"{category}: {len(ids)}\n{queue_address(services, category)}" for category, ids in waiting.items()
    ]
    subject = f"{total} {'version waits' if total == 1 else 'versions wait'} for a decision"
    return subject, "\n\n".join(lines) + "\n"


def message_address(services: Services, message: OutboxMessage) -> str:
    """Return the address of the page that a message is about."""
    base = services.settings.base_url
    if message.version_id:
        return f"{base}/versions/{message.version_id}"
    if message.event == NotifyEvent.RUN_FAILED:
        return f"{base}/runs?state=failed"
    if message.event == NotifyEvent.BATCH_DONE:
        return f"{base}/batches"
    return f"{base}/review"


def category_of(services: Services, sku: str) -> str:
    """Return the category of a product, or an empty text."""
    record = services.products.get(sku) if sku else None
    return record.product.category if record else ""


def queue_address(services: Services, category: str) -> str:
    """Return the address of the versions of a category that wait for a decision."""
    query = urlencode({"state": VersionState.IN_REVIEW.value, "category": category})
    return f"{services.settings.base_url}/gallery?{query}"
