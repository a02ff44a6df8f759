"""The receipt of a webhook, while its sender waits: it is verified and stored."""

import structlog

from dam_connector.domain.ids import DeliveryId
from dam_connector.errors import DeliveryError
from dam_connector.ports import Dam, InboundWebhook, Pim, Provider
from dam_connector.wiring import Services

log = structlog.get_logger()


def receive_webhook(services: Services, connection: str, inbound: InboundWebhook) -> tuple[DeliveryId, bool]:
    """Verify a webhook and store it once.

    Args:
        connection: the connection's name in plugin.json.

    Returns:
        The id of the stored delivery, and whether it is new. The id is empty when nothing is stored: the
        sender is not proved, and the message names no task of ours.

    Raises:
        DeliveryError: with status 404 when there is no such connection, 401 when the sender is not proved,
            400 when a required header is missing.
        StorageUnavailable: there is less free disk than the reserve, or the database does not answer.
    """
    services.disk.require()
    try:
        verified = _find_adapter(services, connection).verify(inbound)
    except DeliveryError as error:  # a stranger may name any connection
        name = "unknown" if error.status == 404 else connection
        services.counters.add("deliveries_received", connection=name, result="refused")
        raise
    if not verified.is_proved and not _names_our_task(services, connection, inbound):
        services.counters.add("deliveries_received", connection=connection, result="unproved")
        return DeliveryId(""), False
    delivery_id, is_new = services.inbox.add(
        connection,
        verified.key,
        inbound,
        needs_handling=verified.is_event,
        has_own_id=verified.has_own_id,
        extra_headers=verified.headers_to_store,
    )
    result = "new" if is_new else "repeated"
    services.counters.add("deliveries_received", connection=connection, result=result)
    if is_new:
        log.info("delivery_received", origin=delivery_id, connection=connection)
    if is_new and verified.is_event:
        services.queue.wake("handle_delivery", [delivery_id])
    return delivery_id, is_new


def _names_our_task(services: Services, connection: str, inbound: InboundWebhook) -> bool:
    """Return whether a message of nobody in particular names a task that we wait for."""
    if connection not in services.rules.current().provider:
        return False
    ref = services.provider(connection).parse_webhook(inbound)
    return services.tasks.is_submitted(connection, ref)


def _find_adapter(services: Services, connection: str) -> Pim | Dam | Provider:
    rules = services.rules.current()
    if connection in rules.provider:
        return services.provider(connection)
    if connection in rules.dam:
        return services.dam(connection)
    if connection in rules.pim:
        return services.pim(connection)
    raise DeliveryError(404, "there is no such connection; see /connections in plugin.json")
