"""The adapters for Shopify, one module per port."""
