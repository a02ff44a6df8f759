"""Providers played on loopback, for demonstrations and tests: real HTTP servers that speak the vendors' own formats."""
