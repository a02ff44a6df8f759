"""Models: shape from outlines, texture from photos, GLB and USDZ, rendering. Metres, Y up, +Z front, base at y = 0."""
