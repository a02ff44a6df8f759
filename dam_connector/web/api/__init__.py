"""The API under /api/v1: the actions of the pages and commands for machines.

A request needs a bearer token, or the session of a login with its CSRF token.
"""

from dam_connector.web.api import (
    adoption,
    ar_counts,
    audit,
    bulk_actions,
    captures,
    comments,
    connections,
    guests,
    products,
    runs,
    touch_ups,
    uploads,
    users,
    versions,
)
from dam_connector.web.api.blueprint import bp

# the modules add their endpoints to the blueprint
__all__ = [
    "adoption",
    "ar_counts",
    "audit",
    "bp",
    "bulk_actions",
    "captures",
    "comments",
    "connections",
    "guests",
    "products",
    "runs",
    "touch_ups",
    "uploads",
    "users",
    "versions",
]
