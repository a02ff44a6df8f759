"""The adapter for Bynder, one module per part."""
