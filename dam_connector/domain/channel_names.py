"""Names of files by channel, e.g. as GS1 or Amazon prescribe them for the pictures of retailers."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath

from dam_connector.domain import name_pattern_syntax
from dam_connector.domain.file_names import file_suffix, pattern_values
from dam_connector.domain.product import Product
from dam_connector.domain.rules import Rules
from dam_connector.domain.trade_codes import AMAZON_MAIN, AMAZON_PARTS, amazon_id, gtin
from dam_connector.domain.version import Role, Version, VersionFile

# The names of presets, and their patterns. They name pictures only; models and turntables keep their names.
PRESETS = {"gs1": "{gtin:014}_{view_code}", "amazon": "{amazon_id}.{amazon_code}"}
FIELDS = (*name_pattern_syntax.FIELDS, "amazon_id", "amazon_code")
UNVERSIONED_ADAPTERS = ("folder", "storage")  # channels that know files by their bytes, not by their names
UNNAMED_ROLES = (Role.PREVIEW, Role.EVIDENCE)  # of files that no channel with names of its own gets


def channel_names(
    channel: str, product: Product, versions: Sequence[Version], rules: Rules
) -> list[dict[str, str]]:
    """Return the name in a channel of each file of some versions, by its own name, for each version.

    A channel with names of its own gets no previews of ours, and by a preset no smaller sizes, which it does
    not name. A name that another file has already is not given twice: the later file keeps its own name. So
    does a file that lacks a value that the pattern needs, e.g. the GTIN.

    Args:
        channel: the channel's name in plugin.json.
        product: the product of the versions.
        versions: all that is live in the channel, in its order.
        rules: the rules in force.
    """
    pattern = rules.naming.channels.get(channel, "")
    amazon_codes = iter(_amazon_codes(versions, rules))
    taken: set[str] = set()
    found = []
    for version in versions:
        amazon_code = next(amazon_codes)
        names = {}
        for file in version.files:
            if pattern and not is_named(pattern, file):
                continue
            new = _name(pattern, product, version, file, rules, amazon_code) if pattern else ""
            names[file.name] = file.name if not new or new in taken else new
            taken.add(names[file.name])
        found.append(names)
    return found


def missing_codes(channel: str, product: Product, rules: Rules) -> tuple[str, ...]:
    """Return which codes a channel's names need and the product lacks: `gtin`, `amazon_id`."""
    written = rules.naming.channels.get(channel, "")
    pattern = PRESETS.get(written, written)
    values = {"gtin": gtin(product), "amazon_id": amazon_id(product)}
    fields = {field for _, field, _ in name_pattern_syntax.pattern_parts(pattern, FIELDS)}
    return tuple(name for name, value in values.items() if name in fields and not value)


def is_named(written: str, file: VersionFile) -> bool:
    """Return whether a channel with names by a pattern or preset gets a file."""
    return file.role not in UNNAMED_ROLES and not (written in PRESETS and file.role is Role.SIZE)


def _amazon_codes(versions: Sequence[Version], rules: Rules) -> Iterator[str]:
    """Yield the code of each version: the admin's, MAIN for the first picture, then PT01 and so on."""
    parts, has_main = iter(AMAZON_PARTS), AMAZON_MAIN in rules.naming.codes.values()
    for version in versions:
        if code := rules.naming.codes.get(version.asset.deliverable):
            yield code
        elif version.asset.kind == "model":
            yield ""
        elif not has_main:
            has_main = True
            yield AMAZON_MAIN
        else:
            yield next(parts, "")


def _name(
    written: str, product: Product, version: Version, file: VersionFile, rules: Rules, amazon_code: str
) -> str:
    """Return a file's name by a pattern or preset; empty if the file keeps its own."""
    pattern = PRESETS.get(written, written)
    deliverable = rules.deliverable(version.asset.deliverable)
    is_still = file.role is Role.PRIMARY and not file.view and file.mime.startswith("image/")
    if deliverable is None or (written in PRESETS and not is_still):
        return ""
    values: Mapping[str, str | int] = {
        **pattern_values(file.format, product, deliverable, version.asset.slot, version.number, rules),
        "gtin": gtin(product),
        "amazon_id": amazon_id(product),
        "amazon_code": amazon_code,
    }
    fields = [field for _, field, _ in name_pattern_syntax.pattern_parts(pattern, FIELDS) if field]
    if any(not values.get(field) for field in fields if field in ("gtin", "amazon_id", "amazon_code")):
        return ""
    return (
        name_pattern_syntax.build_name(pattern, values, FIELDS)
        + file_suffix(file)
        + PurePath(file.name).suffix
    )
