"""The API under /api/v1: the actions of the pages for machines.

A request needs a bearer token, or the session of a login with its CSRF token.
"""

from dam_connector.web.api import audit, comments, guests, products, runs, versions
from dam_connector.web.api.blueprint import bp

__all__ = [
    "audit",
    "bp",
    "comments",
    "guests",
    "products",
    "runs",
    "versions",
]  # the modules add their endpoints to the blueprint
