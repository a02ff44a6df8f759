"""The adapters for WooCommerce, one module per port."""
