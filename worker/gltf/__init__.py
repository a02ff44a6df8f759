"""Readers of glTF files from outside: nothing in them is trusted."""
