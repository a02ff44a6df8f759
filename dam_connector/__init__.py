"""dam_connector: from product record to approved, published assets."""

__version__ = "0.1.0"
