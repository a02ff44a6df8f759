"""Helpers that DAM adapters share: the labels of states in a DAM, and the comparison of stored files."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from dam_connector.domain.event import Verdict
from dam_connector.domain.version import Version, VersionFile, VersionState
from dam_connector.errors import BadOutput, ConfigError, NotFound, Refused

DAM_STATES = tuple(  # the states that are written into a DAM
    VersionState(name)
    for name in ("in_review", "approved", "rejected", "published", "superseded", "withdrawn")
)
DECIDED_STATES = {  # the states that a person sets in a DAM, and what they mean in a decision
    VersionState.APPROVED: Verdict.APPROVED,
    VersionState.REJECTED: Verdict.REJECTED,
}


def parse_state(text: Any, vendor: str) -> VersionState:
    """Parse a state that the connector wrote into a DAM; an empty one means "in review".

    Raises:
        BadOutput: somebody else wrote another value there.
    """
    try:
        return VersionState(str(text or VersionState.IN_REVIEW.value))
    except ValueError as error:
        raise BadOutput(
            vendor,
            "remote_state",
            f"its state is {str(text)[:40]!r}, which is none of ours; reconcile --mend writes it again",
        ) from error


def labels_option(
    defaults: Mapping[VersionState, str], options: Mapping[str, Any]
) -> dict[VersionState, str]:
    """Read the option `states`: the DAM's own label of each state. Several states may share a label.

    Args:
        defaults: the labels of a DAM as it is installed.
        options: all options of the connection.

    Raises:
        ConfigError: an unknown state, or the same label for two of in_review, approved and rejected.
    """
    own = options.get("states", {})
    if not isinstance(own, dict) or (unknown := [name for name in own if name not in DAM_STATES]):
        raise ConfigError(
            f"states: {unknown[0] if isinstance(own, dict) else own!r} is none of {', '.join(DAM_STATES)}"
        )
    labels = {**defaults, **{VersionState(name): str(label) for name, label in own.items()}}
    if len({labels[s] for s in (VersionState.IN_REVIEW, VersionState.APPROVED, VersionState.REJECTED)}) < 3:
        raise ConfigError("states: in_review, approved and rejected need labels of their own")
    return labels


def state_for_label(
    label: str, labels: Mapping[VersionState, str], version: Version, vendor: str
) -> VersionState:
    """Return the state of a label; if several states have it, prefer the version's own state.

    Raises:
        BadOutput: no state has this label.
    """
    states = [state for state in DAM_STATES if labels.get(state) == label]
    if not states:
        raise BadOutput(
            vendor,
            "remote_state",
            f"its state is {label!r}, which is none of {', '.join(sorted(set(labels.values())))}",
        )
    return version.state if version.state in states else states[0]


def is_same_file(file: VersionFile, read: Callable[[], bytes]) -> bool:
    """Return whether the DAM still holds a file's bytes.

    Args:
        file: the file as it was pushed.
        read: downloads the file from the DAM. NotFound and Refused mean that it is gone; other errors pass.
    """
    try:
        return hashlib.sha256(read()).hexdigest() == file.sha256
    except (NotFound, Refused):
        return False
