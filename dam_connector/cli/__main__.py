"""The entry of `python -m dam_connector.cli`, which is the command `dam-connector`."""

from dam_connector.cli import main

main()
