"""The adapter for ResourceSpace, one module per part."""
