"""The generated documents: docs/configuration.md, docs/issues.md and the JSON Schemas."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from dam_connector.domain.issue_codes import CODES
from dam_connector.domain.model_profiles import MEASURES, MODEL_PROFILES
from dam_connector.domain.picture_profiles import PICTURE_PROFILES
from dam_connector.settings import GENERATED_SECRETS, SECRETS_FILE, Settings
from schemas import report
from schemas.adapter_options import OPTIONS, definition_name
from schemas.plugin import json_schema

EXAMPLE_PRODUCT = {
    "sku": "CH123",
    "name": "Modern Dining Chair",
    "category": "furniture",
    "brand": "Norrvik",
    "color": "teal",
    "material": "oak, wool",
    "dimensions": {"width": 46, "height": 85.2, "depth": 48.9, "unit": "cm"},
    "images": {
        "front": "https://pim.example.com/ch123/front.jpg",
        "right": "https://pim.example.com/ch123/right.jpg",
    },
}


def documents() -> dict[str, str]:
    """Return the text of each generated file, by its path in the repository."""
    return {
        "docs/issues.md": "\n".join(_issues()) + "\n",
        "docs/configuration.md": "\n".join(_configuration()) + "\n",
        "schemas/plugin.schema.json": json.dumps(json_schema(), indent=2) + "\n",
        "schemas/report.schema.json": json.dumps(report.json_schema(), indent=2) + "\n",
    }


def write_documents(root: Path) -> list[str]:
    """Write the documents that changed; return their paths."""
    changed = []
    for path, text in documents().items():
        target = root / path
        if not target.exists() or target.read_text() != text:
            target.write_text(text)
            changed.append(path)
    return changed


def _issues() -> Iterator[str]:
    """Yield the lines of docs/issues.md."""
    yield from (
        "# Issue codes",
        "",
        "`make docs` writes this page from `dam_connector/domain/issue_codes/`. An admin changes a severity "
        "in plugin.json under `checks.severities`; `off` removes a code from all reports.",
        "",
    )
    rows = (
        (f"`{name}`", code.severity, code.meaning, f"{code.remedy} {code.admin}".strip())
        for name, code in CODES.items()
    )
    yield from _table(("code", "severity", "meaning", "what to do"), rows)
    yield from (
        "## Sources of the limits",
        "",
        "The defaults of `max_triangles`, `max_texture_px`, `max_materials`, `max_model_bytes` and of the "
        "tolerance of dimensions are those of the recommended schema of the Khronos 3D Commerce asset "
        "auditor 1.0.6. The default of `max_image_bytes` is the image limit of Google Merchant Center.",
    )


def _configuration() -> Iterator[str]:
    """Yield the lines of docs/configuration.md."""
    yield from (
        "# Configuration",
        "",
        "`make docs` writes this page.",
        "",
        "## Settings: the environment",
        "",
    )
    settings = (
        (f"`{f.metadata['env']}`", f"`{f.default}`" if str(f.default) else "empty", f.metadata["meaning"])
        for f in fields(Settings)
        if "env" in f.metadata
    )
    yield from _table(("variable", "default", "meaning"), settings)
    yield from (
        f"Secrets: {', '.join(f'`{n}`' for n in GENERATED_SECRETS)}. At the first start, the connector makes "
        f"those that the environment does not give, and keeps them in `{SECRETS_FILE}` in the data "
        "directory. Only the owner of the file may read it. `DAM_CONNECTOR_SECRET_KEY` signs login sessions: "
        "all web processes need the same. `DAM_CONNECTOR_METRICS_TOKEN` opens "
        "`/metrics` to Prometheus ([operations.md](operations.md#watch-it)); while it is not set, nobody may "
        "read them.",
        "",
        "## Rules: plugin.json",
        "",
        "An unknown key is refused; the message names its place and suggests a known key. `dam-connector "
        "check-config` shows the same. A change takes effect without a restart. When the changed file has "
        "errors, the last good rules stay in force. Secrets are references, `env/NAME`. Editors complete the "
        "file by its `$schema`.",
        "",
    )
    schema = json_schema()
    yield from _keys("plugin.json", schema)
    adapters = {definition_name(port, name) for port, names in OPTIONS.items() for name in names}
    for name, definition in schema["$defs"].items():
        if name in adapters:  # documented in docs/connections/
            continue
        yield from _keys(name, definition)
    yield from _picture_profiles()
    yield from _model_profiles()
    yield from (
        "## The product record",
        "",
        "The `standard` source sends this as `data`, and `dam-connector product add FILE.json` reads it:",
        "",
        "```json",
        json.dumps(EXAMPLE_PRODUCT, indent=2),
        "```",
        "",
        "Units: m, cm, mm, in, ft. Views: front, back, left, right, top, hero, detail. Left and right are "
        "those of the product itself when it is seen from the front.",
    )


def _picture_profiles() -> Iterator[str]:
    """Yield the section on profiles of pictures."""
    yield from (
        "## Profiles of pictures",
        "",
        "A deliverable names the profiles that it must satisfy under `profiles`. Its files are made to fit, "
        "and the report has a row for each limit.",
        "",
    )
    rows = (
        (
            f"`{name}`",
            limit.rule.replace("_", " "),
            ", ".join(limit.value) if isinstance(limit.value, tuple) else limit.value,
            limit.source,
        )
        for name, limits in PICTURE_PROFILES.items()
        for limit in limits
    )
    yield from _table(("profile", "limit", "value", "source"), rows)


def _model_profiles() -> Iterator[str]:
    """Yield the section on profiles of models."""
    yield from (
        "## Profiles of models",
        "",
        "A model deliverable names the profiles that it must satisfy under `profiles`. The report compares "
        "every model with all profiles; a limit of level `should` is advice. An admin adds a profile under "
        '`profiles`, e.g. `"web-shop": {"based_on": "shopify", "max_triangles": 60000, '
        '"max_file_bytes": 2000000}`.',
        "",
    )
    rows: list[tuple[object, ...]] = []
    for name, profile in MODEL_PROFILES.items():
        for limit in profile.limits:
            bounds = [_bound_text(bound) for bound in (limit.at_least, limit.at_most)]
            rows.append((f"`{name}`", MEASURES[limit.measure].title, *bounds, limit.level, limit.source))
        if profile.lower_case:
            names = "a to z, 0 to 9, _ and -, beginning with a letter"
            rows.append((f"`{name}`", "name", "", names, "must", profile.limits[0].source))
    yield from _table(("profile", "measure", "at least", "at most", "level", "source"), rows)


def _bound_text(bound: float | None) -> str:
    return "" if bound is None else f"{bound:g}" if bound < 1e5 else f"{bound:,.0f}"


def _keys(name: str, schema: dict[str, Any]) -> Iterator[str]:
    """Yield the section on the keys of one object in plugin.json."""
    required = schema.get("required", [])
    rows = (
        (
            f"`{key}`{' (required)' if key in required else ''}",
            _type_text(value),
            value.get("description", ""),
        )
        for key, value in schema.get("properties", {}).items()
    )
    yield from (f"### {name}", "")
    yield from _table(("key", "type", "meaning"), rows)


def _table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> Iterator[str]:
    """Yield the lines of a Markdown table, and an empty line after it."""
    yield "|" + "|".join(f" {cell} " if cell else " " for cell in head) + "|"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "|" + "|".join(f" {cell} " if cell != "" else " " for cell in row) + "|"
    yield ""


def _type_text(value: dict[str, Any]) -> str:
    """Return the type of a value in JSON Schema as a few words."""
    if "allOf" in value:  # a connection, and the options of each adapter
        return _type_text(value["allOf"][0])
    if "$ref" in value:
        name = value["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    if "enum" in value:
        return ", ".join(f"`{v}`" for v in value["enum"])
    if value.get("type") == "array":
        return f"list of {_type_text(value['items'])}"
    if value.get("type") == "object" and isinstance(value.get("additionalProperties"), dict):
        return f"by name: {_type_text(value['additionalProperties'])}"
    span = f" {value['minimum']} to {value['maximum']}" if "minimum" in value and "maximum" in value else ""
    return f"{value.get('type', 'any')}{span}"
