"""Adapters of the port `Provider`: one file a vendor."""
