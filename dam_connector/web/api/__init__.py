"""The API under /api/v1."""

from dam_connector.web.api.versions import bp

__all__ = ["bp"]
