"""The cause of a failed run, read from its error, e.g. `source.damaged: The picture is damaged.`"""

from dataclasses import dataclass

from dam_connector.domain.issue_codes import CODES, IssueCode, known_code


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureCause:
    """The cause of a failed run."""

    text: str  # for people, without a code
    code: IssueCode | None  # of the input that cannot be used; None: something else failed

    @property
    def lasts(self) -> bool:
        """Return whether the run would fail again: its input has to change, which makes a new run."""
        return self.code is not None

    @property
    def group(self) -> str:
        """Return the same text for causes that people handle together.

        Inputs that cannot be used are grouped by their code: each text has the product's own figures.
        """
        return self.code or self.text

    @property
    def meaning(self) -> str:
        """Return the cause without the figures of one product."""
        return CODES[self.code].meaning if self.code else self.text

    def remedy_for(self, *, is_admin: bool) -> str:
        """Return the remedy for a person; empty if only a retry can help."""
        if self.code is None:
            return ""
        spec = CODES[self.code]
        return f"{spec.remedy} {spec.admin}".strip() if is_admin else spec.remedy


def failure_cause(error: str) -> FailureCause:
    """Return the cause that the error of a run names."""
    code, colon, text = error.partition(": ")
    if colon and code in CODES:
        return FailureCause(text=text, code=known_code(code))
    return FailureCause(text=error, code=None)
