"""The roles of users."""

from enum import StrEnum


class UserRole(StrEnum):
    """What a user may do. Each role may do everything that the roles before it may."""

    VIEWER = "viewer"
    MERCHANDISER = "merchandiser"
    REVIEWER = "reviewer"
    ADMIN = "admin"

    def includes(self, other: "UserRole") -> bool:
        """Return True if this role may do what another role may."""
        order = list(UserRole)
        return order.index(self) >= order.index(other)

    @property
    def included(self) -> list[str]:
        """Return all roles that this one includes, itself too."""
        return [role.value for role in UserRole if self.includes(role)]
