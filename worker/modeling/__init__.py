"""3D models: shape from outlines, texture from photos, GLB and USDZ, rendering.

Lengths are metres, Y is up, the front looks towards +Z, the base is at y = 0. `build.py` is the file to
read first.
"""
