"""Adapters of the port `Pim`: one file a vendor."""
