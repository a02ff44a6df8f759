"""The section `review` of plugin.json: who reviews, in which stages, and with which reasons they reject."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from dam_connector.domain.categories import of_category

OTHER_CATEGORIES = "*"  # the stages of categories that have none of their own


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewStage:
    """One stage of the review of a category: people who decide before the next ones are asked."""

    name: str  # e.g. "3D artist"
    category: str  # for which it is, or `OTHER_CATEGORIES`
    roles: tuple[str, ...] = ()  # users with these roles, or higher ones, decide
    people: tuple[str, ...] = ()  # and these users; all reviewers when nobody is named
    dam: bool = False  # a decision made in the DAM counts as this stage

    @property
    def key(self) -> str:
        """Return the text by which lists find the versions that wait in it, e.g. `lamps/brand`."""
        return f"{self.category}/{self.name}"

    def asks(self, name: str, roles: Collection[str]) -> bool:
        """Return True if a user decides in it.

        Args:
            name: the user's name.
            roles: all roles that the user's role includes.
        """
        return name in self.people or any(role in roles for role in self.roles or self._any_reviewer)

    @property
    def _any_reviewer(self) -> tuple[str, ...]:
        return () if self.people else ("reviewer",)

    @property
    def who(self) -> str:
        """Return who decides in it, for people."""
        return ", ".join([*self.people, *(f"every {role}" for role in self.roles or self._any_reviewer)])


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewRules:
    """Where versions are reviewed, by whom, and how they are rejected."""

    dam: str = "library"  # the DAM connection
    owners: Mapping[str, str] = field(default_factory=dict)  # who reviews, by category
    stages: Mapping[str, tuple[ReviewStage, ...]] = field(default_factory=dict)  # by category
    reasons: tuple[str, ...] = ("proportions", "colour", "missing part", "wrong product", "picture quality")
    checklist: tuple[str, ...] = (
        "Does it match the product photo?",
        "Are the proportions close to the real product?",
        "Do material and colour look right?",
        "Is the file fit for web and mobile?",
    )

    def stages_for(self, category: str) -> tuple[ReviewStage, ...]:
        """Return the stages of the review of a category in their order; none: one decision is enough."""
        return of_category(self.stages, category) or self.stages.get(OTHER_CATEGORIES, ())

    def owner_of(self, category: str) -> str:
        """Return who reviews a category; empty if nobody is named."""
        return of_category(self.owners, category) or ""
