"""Adapters of the port `Dam`: one file a vendor."""
