"""The adapter for Akeneo: the products in `pim`, the events in `webhooks`."""
