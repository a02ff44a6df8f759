"""The conditions of a search in the gallery, as queries."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from dam_connector.domain.search_tags import MAX_TAG_LENGTH
from dam_connector.domain.version import VersionState
from dam_connector.store.tables import version_tags
from dam_connector.store.tables import versions as t

LAST_CHARACTER = "\U0010ffff"  # sorts behind every other character


@dataclass(frozen=True, slots=True)
class Condition:
    """One filter of a search."""

    matching_ids: Any  # query for the ids of all versions that pass it; of a tag, the oldest first
    matches_column: Callable[[Any], Any]  # expression: the version with the id in this column passes it
    tag: str = ""  # if it is the condition of one tag
    column: Any = None  # of `matching_ids`, if an index has it in order: the search can follow it


def state_condition(states: list[str]) -> Condition:
    """Return the condition that a version has one of some states."""
    other = t.alias("held")
    matching = sa.select(t.c.id).where(t.c.state.in_(states))
    if len(states) > len(VersionState) / 2:  # faster: test that it is in none of the other states
        rest = [s.value for s in VersionState if s not in states]
        return Condition(matching, lambda key: ~sa.exists().where(other.c.state.in_(rest), other.c.id == key))
    return Condition(matching, lambda key: sa.exists().where(other.c.state.in_(states), other.c.id == key))


def id_condition(matching_ids: Any) -> Condition:
    """Return the condition that the id of a version is among those of a query."""
    return Condition(matching_ids, lambda key: key.in_(matching_ids))


def tag_condition(tag: str) -> Condition:
    """Return the condition that a version has a tag."""
    condition = version_tags.c.tag == tag
    ids = sa.select(version_tags.c.version_id).where(condition).order_by(version_tags.c.version_id)
    return Condition(ids, lambda key: sa.exists().where(version_tags.c.version_id == key, condition), tag)


def prefix_condition(prefix: str) -> Condition:
    """Return the condition that a version has a tag with a prefix."""
    condition = sa.and_(
        version_tags.c.tag >= prefix, version_tags.c.tag < (prefix + LAST_CHARACTER)[: MAX_TAG_LENGTH + 1]
    )
    passes = lambda key: sa.exists().where(version_tags.c.version_id == key, condition)  # noqa: E731
    return Condition(sa.select(version_tags.c.version_id).where(condition), passes)


def stage_condition(stages: Collection[str]) -> Condition:
    """Return the condition that a version in review waits in one of some stages."""
    other = t.alias("waiting")
    waits = (t.c.stage.in_(stages), t.c.state == VersionState.IN_REVIEW.value)
    return Condition(
        sa.select(t.c.id).where(*waits),
        lambda key: sa.exists().where(other.c.id == key, other.c.stage.in_(stages)),
    )
