"""States by a DAM's own labels: several of ours may be one there."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from dam_connector.domain.event import Verdict
from dam_connector.domain.version import Version, VersionFile, VersionState
from dam_connector.errors import BadOutput, ConfigError, NotFound, Refused

DAM_STATES = tuple(
    VersionState(name)
    for name in ("in_review", "approved", "rejected", "published", "superseded", "withdrawn")
)  # that a DAM is told of

VERDICT_BY_STATE = {
    VersionState.APPROVED: Verdict.APPROVED,
    VersionState.REJECTED: Verdict.REJECTED,
}  # what people decide there


def parse_state(text: Any, vendor: str) -> VersionState:
    """The state that we once wrote as this; in review where nothing is written. Raises: BadOutput for what somebody else wrote."""
    try:
        return VersionState(str(text or VersionState.IN_REVIEW.value))
    except ValueError as error:
        raise BadOutput(
            vendor,
            "standing",
            f"its state is {str(text)[:40]!r}, which is none of ours; reconcile --mend writes it again",
        ) from error


def labels_option(defaults: Mapping[VersionState, str], options: Mapping[str, Any]) -> dict[VersionState, str]:
    """A DAM's label of each state: its usual ones, over which plugin.json (`states`) has the last word. Raises: ConfigError."""
    own = options.get("states", {})
    if not isinstance(own, dict) or (wrong := [name for name in own if name not in DAM_STATES]):
        raise ConfigError(
            f"states: {wrong[0] if isinstance(own, dict) else own!r} is none of {', '.join(DAM_STATES)}"
        )
    labels = {**defaults, **{VersionState(name): str(label) for name, label in own.items()}}
    if len({labels[s] for s in (VersionState.IN_REVIEW, VersionState.APPROVED, VersionState.REJECTED)}) < 3:
        raise ConfigError("states: in_review, approved and rejected need labels of their own")
    return labels


def state_for_label(label: str, labels: Mapping[VersionState, str], version: Version, vendor: str) -> VersionState:
    """The state that a label stands for: that of the version on our side, where it may be meant. Raises: BadOutput for a label of none."""
    meant = [state for state in DAM_STATES if labels.get(state) == label]
    if not meant:
        raise BadOutput(
            vendor,
            "standing",
            f"its state is {label!r}, which is none of {', '.join(sorted(set(labels.values())))}",
        )
    return version.state if version.state in meant else meant[0]


def is_same_file(file: VersionFile, read: Callable[[], bytes]) -> bool:
    """Whether the bytes that `read` gives are this file's; not when there are none. Raises: what `read` does beyond NotFound and Refused."""
    try:
        return hashlib.sha256(read()).hexdigest() == file.sha256
    except (NotFound, Refused):
        return False
