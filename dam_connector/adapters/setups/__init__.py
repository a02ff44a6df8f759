"""Setting up the other side of a connection: one file a vendor, called PORT_ADAPTER."""
