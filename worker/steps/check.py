"""Check what was made: every check that applies, one report."""

from dataclasses import replace

from dam_connector.wiring import Services
from worker.checks import Subject, run_checks
from worker.work import Work


def check(work: Work, services: Services) -> Work:
    """The work with its report. Reads: files, issues, facts. Adds: report."""
    rules = work.rules(services)
    subject = Subject(
        product=work.product,
        deliverable=work.deliverable,
        slot=work.slot,
        number=work.number,
        files=work.files,
        read=lambda f: services.blobs.get(f.sha256),
    )
    return replace(work, report=run_checks(subject, rules, found_before=work.issues, facts=work.facts))
