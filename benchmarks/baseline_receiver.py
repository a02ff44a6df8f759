"""Baseline of webhook_throughput: bare Flask, an HMAC over the raw body, one durable insert, no more."""

import base64
import hashlib
import hmac
import os
import sqlite3
import threading
from typing import cast

from flask import Flask, request

app = Flask(__name__)
_SECRET = base64.b64decode(os.environ["BENCH_SECRET"].removeprefix("whsec_"))
_local = threading.local()


def connection() -> sqlite3.Connection:
    """Return this thread's connection."""
    if not hasattr(_local, "db"):
        _local.db = sqlite3.connect(os.environ["BENCH_DB"], timeout=30, isolation_level=None)
        _local.db.execute("PRAGMA journal_mode=WAL")
        _local.db.execute("PRAGMA synchronous=FULL")
        _local.db.execute("CREATE TABLE IF NOT EXISTS inbox (key TEXT PRIMARY KEY, body BLOB)")
    return cast(sqlite3.Connection, _local.db)


@app.get("/healthz")
def healthz() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/webhooks/main")
def receive() -> tuple[dict[str, str], int]:
    """Verify a delivery and store it once."""
    body, key = request.get_data(), request.headers["webhook-id"]
    signed = f"{key}.{request.headers['webhook-timestamp']}.".encode() + body
    expected = b"v1," + base64.b64encode(hmac.new(_SECRET, signed, hashlib.sha256).digest())
    if not hmac.compare_digest(expected, request.headers["webhook-signature"].encode()):
        return {}, 401
    connection().execute("INSERT OR IGNORE INTO inbox VALUES (?, ?)", (key, body))
    return {"delivery_id": key}, 202
