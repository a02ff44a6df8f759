"""`python -m dam_connector.cli`: the same as the command `dam-connector`."""

from dam_connector.cli import main

main()
