"""What libraries compile for each application or database, compiled once a test process.

Hundreds of tests open a database and an application of their own. Compiling the same templates, addresses
and SQL for each took a fifth of their time.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import jinja2
import sqlalchemy as sa
from flask import Flask
from jinja2.bccache import Bucket
from sqlalchemy.util import LRUCache
from werkzeug.routing import Rule

STATEMENTS = 3000  # more than the service has


def compile_once() -> None:
    """Share templates, addresses and SQL between all applications and databases of this process."""
    Flask.jinja_options = {**Flask.jinja_options, "bytecode_cache": TemplateCode()}
    Rule._compile_builder = _shared_builder  # type: ignore[method-assign]
    sa.event.listen(sa.Engine, "engine_connect", _share_statements)


class TemplateCode(jinja2.BytecodeCache):
    """The compiled templates, for all applications of this process."""

    def __init__(self) -> None:
        self._code: dict[tuple[str, str], Any] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._code.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        assert bucket.code is not None
        self._code[bucket.key, bucket.checksum] = bucket.code


_compile_builder = Rule._compile_builder
_builders: dict[tuple[object, ...], Callable[..., tuple[str, str]]] = {}


def _shared_builder(rule: Rule, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
    """Return the function that builds addresses of a rule; it knows nothing of the rule's application."""
    if rule.defaults:
        return _compile_builder(rule, append_unknown)
    key = (rule.rule, tuple(rule._trace), append_unknown)
    if key not in _builders:
        _builders[key] = _compile_builder(rule, append_unknown)
    return _builders[key]


@cache
def _statements(kind: str) -> tuple[list[sa.Dialect], LRUCache[Any, Any]]:
    """Return the dialect that databases of a kind share, once there is one, and its statements."""
    return [], LRUCache(STATEMENTS)


def _share_statements(connection: sa.Connection) -> None:
    """Give an engine, once connected, the dialect and the compiled statements of the first of its kind."""
    engine = connection.engine
    dialects, statements = _statements(engine.dialect.name + engine.dialect.driver)
    if engine._compiled_cache is not statements:
        dialects[:] = dialects or [engine.dialect]
        engine.dialect, engine._compiled_cache = dialects[0], statements
