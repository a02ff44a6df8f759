"""Synchronization of version states with DAMs: `outbound` writes ours there, `inbound` reads theirs.

Two modules, since reviewing and publishing import `outbound`, and `inbound` imports reviewing and publishing.
"""
