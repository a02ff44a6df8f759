"""What the link of a guest may be for, and for how long."""

from enum import StrEnum

DEFAULT_DAYS = 14  # that a link is valid
MAX_DAYS = 90


class GuestScope(StrEnum):
    """What a link opens: the versions of one batch, category or SKU."""

    BATCH = "batch"
    CATEGORY = "category"
    SKU = "sku"
