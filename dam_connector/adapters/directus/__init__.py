"""The adapters for Directus, one module per port."""
