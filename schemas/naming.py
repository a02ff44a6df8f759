"""Patterns of names in plugin.json."""

import difflib
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from dam_connector.domain import channel_names, name_pattern_syntax
from schemas.common import nest_message, text_field


class NamingSchema(Schema):
    """Patterns of file names and folders."""

    default = text_field("Pattern for every deliverable that has no pattern of its own.")
    patterns = fields.Dict(
        keys=fields.String(), values=fields.String(), metadata={"description": "Patterns by deliverable."}
    )
    folder = text_field("Pattern of the folder of a product's files.")
    channels = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        metadata={"description": "Names in a channel: a pattern, or the preset `gs1` or `amazon`."},
    )
    codes = fields.Dict(
        keys=fields.String(),
        values=fields.String(validate=validate.Regexp(r"^[A-Za-z0-9]{1,12}$")),
        metadata={
            "description": "Codes for {view_code} and {amazon_code}, by deliverable or view, e.g. "
            '`{"swatch": "SWCH"}`; those of GS1 and Amazon when absent.'
        },
    )

    @validates_schema
    def patterns_are_patterns(self, data: dict[str, Any], **_: object) -> None:
        found: dict[tuple[str, ...], str | None] = {
            ("default",): data.get("default"),
            **{("patterns", k): v for k, v in data.get("patterns", {}).items()},
        }
        for path, pattern in found.items():
            if pattern is not None:
                _check_pattern(pattern, path)
        for part in filter(None, data.get("folder", "").split("/")):
            _check_fields(part, ("folder",))
        for channel, pattern in data.get("channels", {}).items():
            if pattern not in channel_names.PRESETS:
                _check_channel_pattern(pattern, ("channels", channel))


def _check_fields(
    pattern: str, path: tuple[str, ...], known: tuple[str, ...] = name_pattern_syntax.FIELDS
) -> list[str]:
    try:
        return [field for _, field, _ in name_pattern_syntax.pattern_parts(pattern, known)]
    except ValueError as error:
        raise ValidationError(nest_message(path, str(error))) from error


def _check_channel_pattern(pattern: str, path: tuple[str, ...]) -> None:
    """Refuse a pattern that gives every file the same name, such as a preset that is spelled wrongly."""
    if any(_check_fields(pattern, path, channel_names.FIELDS)):
        return
    presets = list(channel_names.PRESETS)
    near = difflib.get_close_matches(pattern.strip().lower(), presets, n=1, cutoff=0.5)
    hint = f'did you mean "{near[0]}"? ' if near else ""
    raise ValidationError(
        nest_message(
            path,
            f"{pattern!r} is no preset, and has no field in braces, so that every file would have this name; "
            f"{hint}Presets: {', '.join(presets)}",
        )
    )


def _check_pattern(pattern: str, path: tuple[str, ...]) -> None:
    missing = {"sku", "version"} - set(_check_fields(pattern, path))
    if not missing and not name_pattern_syntax.is_reversible(pattern):
        raise ValidationError(
            nest_message(
                path,
                "names made by it cannot be read back; put `_` between fields, and {name:pascal} for {name}",
            )
        )
    if missing:
        raise ValidationError(
            nest_message(path, f"lacks {{{'}, {'.join(sorted(missing))}}}: names must be unique per version")
        )
