"""Sending notifications: events go from the outbox to webhooks and chats, e-mails to owners of categories."""

import json
from datetime import datetime, timedelta
from typing import Any

import structlog

from dam_connector.adapters.common.webhook_signatures import make_signer
from dam_connector.adapters.smtp import send_mail
from dam_connector.domain.notify import DigestRules, NotifyEvent, NotifyTarget
from dam_connector.domain.version import VersionState
from dam_connector.errors import AdapterError, ConfigError, Refused
from dam_connector.store.gallery import GalleryFilter
from dam_connector.store.outbox import OutboxMessage
from dam_connector.usecases.notify_texts import category_of, chat_body, digest_text, webhook_data
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
        category = category_of(services, event.sku)
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
        body = {
            "type": message.event,
            "timestamp": message.at.isoformat(),
            "data": webhook_data(services, message),
        }
    else:
        body = chat_body(services, target.kind, message)
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
    subject, text = digest_text(services, found)
    try:
        send_mail(
            services.settings.secret(digest.smtp),
            sender=digest.sender,
            to=address,
            subject=subject,
            text=text,
        )
    except (AdapterError, ConfigError) as error:
        log.warning("digest_not_sent", owner=owner, error=str(error))
        return False
    return True
