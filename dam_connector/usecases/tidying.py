"""Tidying: what is of no use to anybody any more is forgotten, so that the books do not grow for ever."""

from datetime import timedelta

import structlog

from dam_connector.wiring import Services

log = structlog.get_logger()

ANSWERS_KEPT = timedelta(days=7)  # under their Idempotency-Key: nobody repeats a request later than that


def tidy(services: Services) -> int:
    """How many answers, tokens and links were forgotten."""
    answers = services.idempotency.delete_before(services.clock.now() - ANSWERS_KEPT)
    credentials = services.users.delete_expired_credentials()
    if answers or credentials:
        log.info("tidied", answers=answers, credentials=credentials)
    return answers + credentials
