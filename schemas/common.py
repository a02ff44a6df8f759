"""Shared parts of the schemas: fields, and problems with JSON pointers and suggestions."""

import difflib
import itertools
from collections.abc import Iterator, Mapping
from datetime import UTC
from typing import Any

from marshmallow import Schema, fields, validate

from dam_connector.domain.outside_values import to_utc

SLUG = validate.Regexp(
    r"^[a-z][a-z0-9-]{0,39}$", error="use lower-case letters, digits and dashes, beginning with a letter"
)
LOCALE = validate.Regexp(
    r"^[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})?$", error='use a locale, e.g. "de" or "de-AT"'
)
# In rules, where no list means all categories.
CATEGORY = validate.Regexp(
    r"^(?=.*\S)(?!\s*\*\s*$)", error='name a category; for all of them leave the list out, without "*"'
)
NOT_EMPTY = validate.Length(min=1, error="name at least one, or leave it out")
# A hostile body may have a problem in each of a million keys.
MAX_PROBLEMS = 100
MAX_PROBLEM_CHARACTERS = 2000
MAX_KEY_CHARACTERS = 60  # for which a near name is looked for
COLOR = validate.Regexp(r"^#[0-9a-fA-F]{6}$", error='use "#rrggbb"')


def text_field(meaning: str, **more: Any) -> fields.String:
    """Return a text field with a description, which the JSON Schema and the docs show."""
    return fields.String(metadata={"description": meaning}, **more)


def lists_to_tuples(data: dict[str, Any]) -> dict[str, Any]:
    """Return the data with its lists replaced by tuples, for frozen dataclasses."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}


def json_pointer(path: tuple[str | int, ...]) -> str:
    """Return the JSON pointer (RFC 6901) of a path."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path) or "/"


def problem_lines(messages: Any, schema: Schema | None, path: tuple[str | int, ...] = ()) -> Iterator[str]:
    """Yield marshmallow's nested messages as lines of pointer and message, `MAX_PROBLEMS` at most.

    An example: `/deliverables/0/sise_px: unknown key, did you mean "size_px"?`

    Args:
        messages: The messages of a `ValidationError`.
        schema: The schema that was loaded, for suggestions; None: no suggestions.
        path: The path of the messages.
    """
    lines = _all_problem_lines(messages, schema, path)
    yield from (line[:MAX_PROBLEM_CHARACTERS] for line in itertools.islice(lines, MAX_PROBLEMS))
    if next(lines, None) is not None:
        yield f"{json_pointer(path)}: there are more than these {MAX_PROBLEMS} problems; correct them first"


def _all_problem_lines(messages: Any, schema: Schema | None, path: tuple[str | int, ...]) -> Iterator[str]:
    if isinstance(messages, Mapping):
        for key, below in messages.items():
            step = () if key in ("_schema", "key", "value") else (key,)
            if below == ["Unknown field."]:
                yield f"{json_pointer((*path, key))}: unknown key{suggestion(str(key), schema)}"
            else:
                yield from _all_problem_lines(below, schema_below(schema, key), path + step)
    else:
        for message in messages if isinstance(messages, list) else [messages]:
            yield from (
                _all_problem_lines(message, schema, path)
                if isinstance(message, Mapping)
                else (f"{json_pointer(path)}: {message}",)
            )


def schema_below(schema: Any, key: str | int) -> Any:
    """Return the schema below a key, or else the same schema; suggestions need its field names."""
    field = schema.fields.get(str(key)) if isinstance(schema, Schema) else schema
    for attribute in ("value_field", "inner"):
        field = getattr(field, attribute, None) or field
    return getattr(field, "schema", None) or schema if field is not None else schema


def suggestion(key: str, schema: Any) -> str:
    """Return `, did you mean "x"?` for a key that is similar to a known one, or else the known keys."""
    if not isinstance(schema, Schema):
        return ""
    known = [f.data_key or name for name, f in schema.fields.items()]
    near = difflib.get_close_matches(key[:MAX_KEY_CHARACTERS], known, n=1)
    return f', did you mean "{near[0]}"?' if near else f"; known here: {', '.join(sorted(known))}"


def schema_name(schema: Any) -> str:
    """Return the name of a marshmallow schema in JSON Schemas and in OpenAPI."""
    cls = schema if isinstance(schema, type) else type(schema)
    return str(cls.__name__).removesuffix("Schema").removesuffix("Out")


class StrictFloat(fields.Float):
    """A number that is written as a number; `"50"` in quotes is none."""

    default_error_messages = {
        "invalid": "write a number without quotes, e.g. 50",
        "null": "write a number, e.g. 50, or leave the key out",
        "special": "write a number, e.g. 50; NaN and Infinity are none",
    }

    def _validated(self, value: Any) -> float:
        if isinstance(value, str):
            raise self.make_error("invalid", input=value)
        return super()._validated(value)


class StrictBoolean(fields.Boolean):
    """true or false; a text such as "no" is neither."""

    default_error_messages = {"invalid": "write true or false, without quotes"}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **more: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class TimestampField(fields.AwareDateTime):
    """A time in ISO 8601, in a year that can be calculated with."""

    default_error_messages = {"year": "the year is out of range"}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **more: Any) -> Any:
        moment = super()._deserialize(value, attr, data, **more)
        if to_utc(moment) is None:
            raise self.make_error("year")
        return moment


class MomentField(TimestampField):
    """A date or a time in ISO 8601, in UTC if it names no zone. An empty text is None."""

    def __init__(self, **more: Any) -> None:
        super().__init__(format="iso", default_timezone=UTC, **more)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **more: Any) -> Any:
        text = str(value).strip()
        if not text:
            return None
        return super()._deserialize(
            f"{text}T00:00:00" if len(text) == len("2026-12-01") else text, attr, data, **more
        )


def nest_message(path: tuple[str, ...], message: str) -> dict[str, Any]:
    """Return a message nested under the keys of a path, as marshmallow expects it."""
    return {path[0]: nest_message(path[1:], message) if len(path) > 1 else [message]}
