"""In-memory adapters for tests, one module per port."""
