"""Why rows of a batch failed, in words by which a person corrects the sheet: column, limit and remedy."""

from collections.abc import Iterable, Mapping

from dam_connector.domain.failure_cause import failure_cause
from dam_connector.domain.issue import Issue
from dam_connector.domain.issue_codes import CODES
from dam_connector.usecases.row_texts import row_text


def run_error_text(error: str, issues: Iterable[Issue], mapping: Mapping[str, str]) -> str:
    """Return the error of a failed run in the words of its sheet, with what is wanted or the remedy.

    Args:
        error: of the run.
        issues: those of its product; the run added the one that stopped it.
        mapping: the sheet's column names by ours.
    """
    cause = failure_cause(error)
    if cause.code is None:
        return error
    found = next((i for i in issues if (i.code, i.message) == (cause.code, cause.text)), None)
    text = row_text(found, mapping) if found else cause.text.rstrip(".")
    remedy = cause.remedy_for(is_admin=False).rstrip(".")
    return text if text.endswith(remedy) else f"{text}. {remedy}"


def with_remedies(reason: str, codes: Iterable[str]) -> str:
    """Return why all versions of a product are blocked, with what helps against their errors."""
    found = set(codes)
    errors = [spec for code, spec in CODES.items() if code in found and spec.severity == "error"]
    remedies = " ".join(spec.remedy for spec in errors)
    return f"{reason}. {remedies.rstrip('.')}" if remedies else reason
