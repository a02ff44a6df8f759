"""Adapters of the port `Channel`: one file a vendor."""
