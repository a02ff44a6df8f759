"""Measurements of files, shared by the checks: each module is named for what it measures."""
