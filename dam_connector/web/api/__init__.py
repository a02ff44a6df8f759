"""The API under /api/v1: the same actions as the pages, for machines, by bearer token or by session with CSRF token."""

from dam_connector.web.api import products, runs, versions
from dam_connector.web.api.blueprint import bp

__all__ = ["bp", "products", "runs", "versions"]  # the modules add their endpoints to the blueprint
