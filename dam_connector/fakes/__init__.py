"""Fake providers on loopback for the demo and the tests: real HTTP servers with the vendors' formats."""
