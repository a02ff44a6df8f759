"""Pictures: decoding within limits, cut-out, composition, encoding, labels. Arrays are RGB, rows from the top."""
