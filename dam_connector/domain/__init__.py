"""The shared domain, pure standard library: what a product, an asset, a version, a run and an issue are."""
