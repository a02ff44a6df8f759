"""The command line `dam-connector`: one file per group of commands."""

from dam_connector.cli.service import main

__all__ = ["main"]
