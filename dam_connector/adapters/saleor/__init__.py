"""The adapters for Saleor, one module per port."""
