"""Object capture: models from many photos, of a spin or of a walk around the product."""
