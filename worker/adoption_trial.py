"""The check of a finished file before it is adopted: the same steps and checks, without a version."""

from typing import Any

import structlog

from dam_connector.domain.ids import RunId
from dam_connector.domain.issue import Issue, issue
from dam_connector.domain.row_request import apply_request
from dam_connector.domain.run import RunKind
from dam_connector.errors import InputError, NotFound, Refused
from dam_connector.store.finished_files import CHECKED, WAITING, FinishedRecord
from dam_connector.usecases.adoption import ReadyFile, read_file
from dam_connector.wiring import Services
from worker.pipeline import ADOPT_MODEL, ADOPT_PICTURE
from worker.steps.assign_version import assign_version
from worker.steps.check_files import check_files
from worker.work import Work

log = structlog.get_logger()


def check_finished_file(services: Services, file_id: str) -> None:
    """Check a finished file that waits for it, and store what would block its version.

    Raises:
        Unavailable, RateLimited: Its DAM is away; the file keeps waiting.
    """
    waiting = services.finished_files.by_id(file_id)
    if waiting is None or waiting.state != WAITING:
        return
    record = services.products.get(waiting.source.sku)
    file: ReadyFile | str = "its product is gone"
    if record is not None:
        try:
            file = read_file(services, waiting.source, record.sources)
        except (NotFound, Refused) as error:
            file = str(error)
    if isinstance(file, str):
        found: tuple[Issue, ...] = (issue("file.unreadable", file, pointer="/files"),)
        services.finished_files.put(waiting.source, state=CHECKED, issues=found)
        return
    read: dict[str, Any] = {"sha256": file.sha256, "mime": file.mime}
    services.finished_files.put(waiting.source, state=WAITING, **read)
    services.finished_files.put(waiting.source, state=CHECKED, issues=_errors(services, waiting), **read)


def _errors(services: Services, waiting: FinishedRecord) -> tuple[Issue, ...]:
    """Return the issues that would block the version."""
    rules, record = services.rules.current(), services.products.get(waiting.source.sku)
    known = rules.deliverable(waiting.source.deliverable)
    deliverable = apply_request(known, record.product.request) if record and known else None
    if record is None or deliverable is None:
        return ()
    work = Work(
        run_id=RunId(""),
        product=record.product,
        deliverable=deliverable,
        slot=1,
        rules_fingerprint=rules.fingerprint,
        sources=record.sources,
        number=1,
    )
    steps = ADOPT_MODEL if deliverable.kind is RunKind.MODEL else ADOPT_PICTURE
    try:
        for step in steps[: steps.index(assign_version)]:
            work = step(work, services)
        work = check_files(work.with_file_names(services), services)
    except InputError as error:
        return (error.to_issue(),)
    except Exception as error:  # a bug of ours: it is said, and not tried for ever
        log.exception("finished_file_check_broke", sku=work.product.sku, deliverable=deliverable.name)
        message = (
            "The file could not be checked because of a fault in the connector. The log has the details."
        )
        return (issue("file.check_failed", message, measured=type(error).__name__),)
    return work.report.errors()
