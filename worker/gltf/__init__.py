"""glTF as it comes from outside: read without trust, down to the numbers."""
