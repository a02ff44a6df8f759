"""Notifications: events go from the outbox to webhooks and chats; owners get e-mails about what waits."""

import json
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import structlog

from dam_connector.adapters.common.webhook_signatures import make_signer
from dam_connector.adapters.smtp import send_mail
from dam_connector.domain.notify import MEANINGS, DigestRules, NotifyEvent, NotifyTarget
from dam_connector.domain.version import VersionState
from dam_connector.errors import AdapterError, ConfigError, Refused
from dam_connector.store.gallery import GalleryFilter
from dam_connector.store.outbox import OutboxMessage
from dam_connector.wiring import Services

log = structlog.get_logger()
BATCH = 100  # events or messages at once
MAX_COUNTED = 10_000  # versions of a category that wait
DIGEST_NOTE, OVERDUE_NOTE = "notify:digest", "notify:overdue"
NO_OWNER = "*"


def send_notifications(services: Services) -> int:
    """Distribute events to their targets and send the messages that are due; return how many were sent.

    A message that a target does not accept is sent again later, with the same id.
    """
    targets = services.rules.current().notify.targets
    for event in services.outbox.undistributed(BATCH):
        category = _category(services, event.sku)
        wanted = [name for name, target in targets.items() if target.wants(event.event, category)]
        services.outbox.distribute(event, wanted)
    sent = 0
    for message in services.outbox.due(BATCH):
        target = targets.get(message.target)
        if target is None:
            services.outbox.delete(message.id)
            continue
        try:
            _send(services, target, message)
        except (AdapterError, ConfigError) as error:
            is_put_off = services.outbox.put_off(message)
            log.warning(
                "notification_not_sent", target=message.target, error=str(error), given_up=not is_put_off
            )
            continue
        services.outbox.delete(message.id)
        sent += 1
    return sent


def _send(services: Services, target: NotifyTarget, message: OutboxMessage) -> None:
    body: dict[str, Any]
    headers = {"Content-Type": "application/json"}
    if target.kind == "webhook":
        body = {"type": message.event, "timestamp": message.at.isoformat(), "data": _data(services, message)}
    else:
        body = _chat_body(target.kind, message_text(services, message), _address(services, message))
    content = json.dumps(body, ensure_ascii=False)
    if target.kind == "webhook":
        at = services.clock.now()
        headers |= {
            "webhook-id": message.id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": make_signer(services.settings.secret(target.secret)).sign(
                message.id, at, content
            ),
        }
    url = services.settings.secret(target.url) if target.url.startswith("env/") else target.url
    services.http.allow_port(url)
    reply = services.http.request(
        "POST",
        url,
        vendor=f"notify {message.target}",
        operation="send",
        headers=headers,
        content=content.encode(),
    )
    if reply.status >= 300:
        raise Refused(f"notify {message.target}", "send", f"HTTP {reply.status}")


def _data(services: Services, message: OutboxMessage) -> dict[str, Any]:
    """Return the data of a webhook: what happened to which version, and where people look at it."""
    version = services.assets.get(message.version_id) if message.version_id else None
    data: dict[str, Any] = {
        "sku": message.sku,
        "category": _category(services, message.sku),
        "by": message.by,
        "detail": message.detail,
        "url": _address(services, message),
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


def _chat_body(kind: str, text: str, address: str) -> dict[str, Any]:
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


def _address(services: Services, message: OutboxMessage) -> str:
    base = services.settings.base_url
    if message.version_id:
        return f"{base}/versions/{message.version_id}"
    if message.event == NotifyEvent.RUN_FAILED:
        return f"{base}/runs?state=failed"
    if message.event == NotifyEvent.BATCH_DONE:
        return f"{base}/batches"
    return f"{base}/review"


def _category(services: Services, sku: str) -> str:
    record = services.products.get(sku) if sku else None
    return record.product.category if record else ""


def queue_address(services: Services, category: str) -> str:
    """Return the address of the versions of a category that wait for a decision."""
    query = urlencode({"state": VersionState.IN_REVIEW.value, "category": category})
    return f"{services.settings.base_url}/gallery?{query}"


def waiting_by_category(services: Services) -> dict[str, list[str]]:
    """Return the ids of the versions in review by category, the oldest first."""
    found = {}
    for category in services.gallery.tag_values("category"):
        in_review = GalleryFilter(category=category, states=(VersionState.IN_REVIEW,))
        if ids := services.gallery.ids(in_review, limit=MAX_COUNTED):
            found[category] = sorted(ids)
    return found


def remind_of_overdue(services: Services) -> int:
    """Tell once a day of the versions whose review takes longer than `due_days`; return how many."""
    due_days, now = services.rules.current().notify.due_days, services.clock.now()
    today = now.date().isoformat()
    if not due_days or services.notes.get(OVERDUE_NOTE) == today:
        return 0
    count = 0
    with services.transaction():
        services.notes.set(OVERDUE_NOTE, today)
        for version in _overdue(services, now - timedelta(days=due_days)):
            days = (now - version.created_at).days
            services.outbox.add(
                NotifyEvent.OVERDUE,
                sku=version.asset.sku,
                version_id=version.id,
                detail=f"{days} days",
            )
            count += 1
    return count


def _overdue(services: Services, before: datetime) -> list[Any]:
    oldest = services.assets.page(state=VersionState.IN_REVIEW, oldest_first=True, limit=BATCH)
    return [version for version in oldest if version.created_at < before]


def send_digests(services: Services) -> int:
    """Send each owner an e-mail about the categories in which versions wait; return how many were sent.

    Nobody gets an empty e-mail. The time of the last one is stored before the first is sent, so that a server
    that is away for some addresses does not repeat those to the others.
    """
    rules, now = services.rules.current(), services.clock.now()
    digest = rules.notify.digest
    if digest is None:
        return 0
    last = services.notes.get(DIGEST_NOTE)
    if last and now < datetime.fromisoformat(last) + timedelta(hours=digest.every_hours):
        return 0
    services.notes.set(DIGEST_NOTE, now.isoformat())
    by_owner: dict[str, dict[str, list[str]]] = {}
    for category, ids in waiting_by_category(services).items():
        owner = rules.review.owner_of(category) or NO_OWNER
        by_owner.setdefault(owner if owner in digest.addresses else NO_OWNER, {})[category] = ids
    return sum(_send_digest(services, digest, owner, found) for owner, found in sorted(by_owner.items()))


def _send_digest(services: Services, digest: DigestRules, owner: str, found: dict[str, list[str]]) -> bool:
    address = digest.addresses.get(owner)
    if address is None:
        return False
    total = sum(map(len, found.values()))
    lines = [
        f"{category}: {len(ids)}\n{queue_address(services, category)}" for category, ids in found.items()
    ]
    try:
        send_mail(
            services.settings.secret(digest.smtp),
            sender=digest.sender,
            to=address,
            subject=f"{total} {'version waits' if total == 1 else 'versions wait'} for a decision",
            text="\n\n".join(lines) + "\n",
        )
    except (AdapterError, ConfigError) as error:
        log.warning("digest_not_sent", owner=owner, error=str(error))
        return False
    return True
