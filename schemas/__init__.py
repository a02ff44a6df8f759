"""marshmallow schemas of our own wire formats; they build catalog objects."""
