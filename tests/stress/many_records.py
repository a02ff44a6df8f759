"""A PostgreSQL database with the records of 100,000 assets, made by the server itself in seconds."""

from typing import Any

import sqlalchemy as sa

from dam_connector.store.batch_counts import BatchCounts
from dam_connector.store.database import Database

ASSETS = 100_000
# By table: the columns and their values for the number i, in SQL; {n} is the number of assets.
_AT = "(timestamp '2026-11-20 10:00' - i * interval '1 minute')"
_SHA = "md5(i::text) || md5((i + 1)::text)"
_VERSION_STATE = (
    "CASE WHEN i % 20 = 0 THEN 'in_review' WHEN i % 50 = 1 THEN 'blocked' WHEN i % 9 = 2 THEN 'rejected' "
    "WHEN i % 7 = 3 THEN 'superseded' ELSE 'published' END"
)
_RUN_STATE = (
    "CASE WHEN i % 500 = 0 THEN 'parked' WHEN i % 1000 = 1 THEN 'queued' WHEN i % 5000 = 2 THEN 'running' "
    "WHEN i % 200 = 3 THEN 'failed' ELSE 'done' END"
)
TABLES: dict[str, tuple[str, dict[str, str]]] = {
    "products": (
        "1, {n} / 3",
        {
            "id": "'prd_' || lpad(i::text, 8, '0')",
            "sku": "'S' || i",
            "name": "'Chair number ' || i",
            "category": "'cat' || i % 40",
            "facts": "json_build_object('sku', 'S' || i, 'name', 'Chair number ' || i, "
            "'category', 'cat' || i % 40)",
            "sources": "'{}'::json",
            "issues": "'[]'::json",
            "connection": "'main'",
            "source_time": _AT,
            "updated_at": _AT,
            "flagged": "i % 100 = 0",
        },
    ),
    "assets": (
        "1, {n}",
        {
            "id": "'ast_' || lpad(i::text, 8, '0')",
            "sku": "'S' || (i / 3)",
            "deliverable": "CASE i % 3 WHEN 0 THEN 'packshot' WHEN 1 THEN 'cutout' ELSE 'model' END",
            "slot": "1",
            "kind": "CASE i % 3 WHEN 2 THEN 'model' ELSE 'image' END",
            "latest": "1",
        },
    ),
    "versions": (
        "1, {n}",
        {
            "id": "'ver_' || lpad(i::text, 8, '0')",
            "asset_id": "'ast_' || lpad(i::text, 8, '0')",
            "number": "1",
            "run_id": "'run_' || lpad(i::text, 8, '0')",
            "state": _VERSION_STATE,
            "files": "json_build_array(json_build_object('role', 'primary', 'sha256', "
            + _SHA
            + ", 'name', 'S' || i || '.jpg', 'mime', 'image/jpeg', 'bytes', 1, "
            "'format', 'jpeg', 'view', ''))",
            "report": """'{"issues": [], "rows": []}'::json""",
            "provenance": "'{}'::json",
            "rules_fingerprint": "'f'",
            "dam": "'library'",
            "dam_ref": "'lib_' || i",
            "dam_state": _VERSION_STATE,
            "served": "i % 2 = 0",
            "created_at": _AT,
            "updated_at": _AT,
        },
    ),
    "version_files": (
        "1, {n}",
        {
            "version_id": "'ver_' || lpad(i::text, 8, '0')",
            "name": "'S' || i || '.jpg'",
            "sha256": _SHA,
            "mime": "'image/jpeg'",
        },
    ),
    "version_tags": (
        "1, {n}",
        {"version_id": "'ver_' || lpad(i::text, 8, '0')", "tag": "'category:cat' || i % 40"},
    ),
    "runs": (
        "1, {n}",
        {
            "id": "'run_' || lpad(i::text, 8, '0')",
            "kind": "CASE WHEN i % 500 = 0 THEN 'tell' WHEN i % 3 = 2 THEN 'model' ELSE 'image' END",
            "sku": "'S' || (i / 3)",
            "deliverable": "CASE i % 3 WHEN 0 THEN 'packshot' WHEN 1 THEN 'cutout' ELSE 'model' END",
            "slot": "1",
            "version_id": "CASE WHEN i % 500 = 0 THEN 'ver_' || lpad(i::text, 8, '0') END",
            "input_hash": _SHA,
            "rules_fingerprint": "'f'",
            "batch_id": "CASE WHEN i % 2 = 0 THEN 'bat_1' ELSE '' END",
            "state": _RUN_STATE,
            "work": "'{}'::json",
            "timings": """'{"make_renditions": 1.5}'::json""",
            "lease_until": f"CASE WHEN i % 5000 = 2 THEN {_AT} END",
            "due_at": f"CASE WHEN i % 500 = 0 OR i % 1000 = 1 THEN {_AT} END",
            "created_at": _AT,
        },
    ),
    "deliveries": (
        "1, {n}",
        {
            "id": "'dlv_' || lpad(i::text, 8, '0')",
            "connection": "'main'",
            "key": "'k' || i",
            "received_at": _AT,
            "headers": "'{}'::json",
            "body": "'\\x7b7d'::bytea",
            "state": "CASE WHEN i % 1000 = 0 THEN 'received' WHEN i % 500 = 1 THEN 'failed' "
            "ELSE 'handled' END",
            "due_at": f"CASE WHEN i % 1000 = 0 THEN {_AT} END",
        },
    ),
    "history": (
        "1, {n}",
        {
            "id": "'his_' || lpad(i::text, 8, '0')",
            "at": _AT,
            "sku": "'S' || (i / 3)",
            "version_id": "'ver_' || lpad(i::text, 8, '0')",
            "what": "'approved'",
        },
    ),
    "decisions": (
        "1, {n} / 2",
        {
            "id": "'dec_' || lpad(i::text, 8, '0')",
            "version_id": "'ver_' || lpad(i::text, 8, '0')",
            "verdict": "'approved'",
            "by": "'ann'",
            "reasons": "'[]'::json",
            "files": "'[]'::json",
            "at": _AT,
        },
    ),
    "live_requests": (
        "1, {n} / 2",
        {
            "asset_id": "'ast_' || lpad(i::text, 8, '0')",
            "number": "1",
            "version_id": "'ver_' || lpad(i::text, 8, '0')",
            "goes_live": "true",
            "at": _AT,
        },
    ),
    "publications": (
        "1, {n} / 2",
        {
            "asset_id": "'ast_' || lpad(i::text, 8, '0')",
            "channel": "'viewer'",
            "version_id": "'ver_' || lpad(i::text, 8, '0')",
            "at": _AT,
            "asked_at": _AT,
        },
    ),
    "tasks": (
        "1, {n} / 5",
        {
            "id": "'tsk_' || lpad(i::text, 8, '0')",
            "run_id": "'run_' || lpad(i::text, 8, '0')",
            "provider": "'demo'",
            "sku": "'S' || (i / 3)",
            "category": "'cat' || i % 40",
            "deliverable": "'model'",
            "state": "CASE WHEN i % 500 = 0 THEN 'submitted' WHEN i % 900 = 1 THEN 'waiting' "
            "ELSE 'settled' END",
            "order": "'{}'::json",
            "result": "'{}'::json",
            "estimate_usd": "0.3",
            "look_at": _AT,
            "heard": "i % 500 <> 0",
            "created_at": _AT.replace("1 minute", "10 minutes"),
            "updated_at": _AT.replace("1 minute", "10 minutes"),
        },
    ),
    "batches": (
        "1, 5",
        {
            "id": "'bat_' || i",
            "name": "'Batch ' || i",
            "owner": "'ann'",
            "state": "CASE i WHEN 1 THEN 'running' ELSE 'done' END",
            "created_at": _AT,
            "touched_at": _AT,
            "columns": "'[\"sku\"]'::json",
        },
    ),
    "batch_rows": (
        "1, {n} / 2",
        {
            "id": "'row_' || lpad(i::text, 8, '0')",
            "batch_id": "CASE WHEN i <= 1000 THEN 'bat_1' ELSE 'bat_' || (2 + i % 4) END",
            "line": "i",
            "sku": "'S' || (i / 3)",
            "state": "CASE WHEN i % 100 = 0 THEN 'waiting' WHEN i % 77 = 0 THEN 'failed' ELSE 'taken' END",
            "cells": "'{}'::json",
            "facts": "'{}'::json",
        },
    ),
    "audit": (
        "1, {n} / 2",
        {
            "id": "'aud_' || lpad(i::text, 8, '0')",
            "at": _AT,
            "by": "'ann'",
            "action": "'decide'",
            "subject": "'ver_' || lpad(i::text, 8, '0')",
        },
    ),
}


# By table with open work: what a record is like after which nothing is left to do, by column.
_CLOSED: dict[str, dict[str, str]] = {
    "runs": {"state": "'done'", "lease_until": "NULL", "due_at": "NULL"},
    "deliveries": {"state": "'handled'", "due_at": "NULL"},
    "tasks": {"state": "'settled'", "heard": "true"},
    "batch_rows": {"state": "'taken'"},
    "versions": {"state": "'published'", "dam_state": "'published'"},
    "products": {"flagged": "false"},
}


def fill(database: Database, assets: int = ASSETS, *, open_within: int = 0, deliveries: int = 0) -> None:
    """Insert the records of so many assets, and let the server look at them.

    Args:
        database: An empty, migrated one on PostgreSQL.
        assets: How many.
        open_within: Only so many records of a table may have open work, the newest; 0 means all may, so that
            open work grows with the records.
        deliveries: How many there are, 0 for as many as assets.
    """
    with database._writer.connect() as connection:
        connection.execute(sa.text("SET synchronous_commit = off"))
        for table, (bounds, columns) in TABLES.items():
            closed = _CLOSED.get(table, {}) if open_within else {}
            names = ", ".join(f'"{name}"' for name in columns)
            values = ", ".join(
                f"CASE WHEN i > {open_within} THEN {closed[name]} ELSE {value} END"
                if name in closed
                else value
                for name, value in columns.items()
            )
            count = deliveries if deliveries and table == "deliveries" else assets
            series = f"generate_series({bounds.format(n=count)}) AS i"
            _execute(connection, f'INSERT INTO "{table}" ({names}) SELECT {values} FROM {series}')
        connection.commit()
        _execute(connection, "ANALYZE")
        connection.commit()
    counts = BatchCounts(database)
    while counts.keep_up():  # as the sweeper does while a batch is made
        pass
    with database._writer.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        _execute(connection, "VACUUM ANALYZE")  # as the server does in its own time


def _execute(connection: Any, statement: str) -> None:
    connection.exec_driver_sql(statement.replace("%", "%%"))
