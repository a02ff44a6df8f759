"""The adapters for AEM Assets, one module per part."""
