"""Image processing: decoding within limits, cut-out, composition, encoding, metadata.

Arrays are RGB, rows from the top. `F32` and `U8` in a signature give the type of the values, docstrings the
shape.
"""
