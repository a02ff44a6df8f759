"""The adapters for Vendure, one module per port."""
