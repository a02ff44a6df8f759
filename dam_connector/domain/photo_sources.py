"""Photos in a DAM as source images: how plugin.json says which product and view a file belongs to."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dam_connector.domain.product import Product, SourceImage, View
from dam_connector.domain.sku_tokens import sku_of_token, sku_problem

FIELD, FOLDER, NAME = "field", "folder", "name"  # values of `sku_from`
SKU_ORIGINS = (FIELD, FOLDER, NAME)
DEFAULT_NAMES = ("{sku}_{view}", "{sku}-{view}", "{sku}")
PLACEHOLDERS = ("sku", "view", "any")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_NUMBERED = re.compile(r"(.+?)[-_ ]?\d{0,3}")  # a view with a number behind it


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoSources:
    """The option `sources` of a DAM connection."""

    sku_from: str = NAME  # where the SKU of a file is: one of `SKU_ORIGINS`
    sku_field: str = ""  # the DAM's field with the SKU
    view_field: str = ""  # the DAM's field with the view, if there is one
    names: tuple[str, ...] = DEFAULT_NAMES  # patterns of file names without their extension
    folder: str = ""  # only files in this folder, or in those below it; empty: all
    views: Mapping[str, str] = field(default_factory=dict)  # our view for each of their words
    order: tuple[str, ...] = (View.FRONT.value,)  # the views of photos that name none

    @property
    def fields(self) -> tuple[str, ...]:
        """Return the fields of the DAM that are read."""
        wanted = (self.sku_field if self.sku_from == FIELD else "", self.view_field)
        return tuple(dict.fromkeys(filter(None, wanted)))

    def is_in_folder(self, folder: str) -> bool:
        """Return whether a folder, as a path with slashes, is the one of the option or below it."""
        wanted, path = self.folder.strip("/").casefold(), folder.strip("/").casefold()
        return not wanted or path == wanted or path.startswith(f"{wanted}/")


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoFacts:
    """What a DAM says about one of its files."""

    name: str  # the file's name with its extension
    folder: str = ""  # its folder as a path with slashes; empty: none, or the DAM has no folders
    fields: Mapping[str, str] = field(default_factory=dict)  # values of `PhotoSources.fields`


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoPlace:
    """The product and the view that a file belongs to."""

    sku: str = ""  # empty: none
    view: str = ""  # empty: the file does not say
    problem: str = ""  # why there is no SKU


def read_photo_sources(options: Mapping[str, Any]) -> PhotoSources | None:
    """Return the option `sources` of a connection, or None if its photos are no sources.

    Raises:
        ValueError: the option is wrong, with its place and the remedy.
    """
    written = options.get("sources")
    if written is None:
        return None
    if not isinstance(written, Mapping):
        raise ValueError('sources: write an object, e.g. {"sku_from": "name"}')
    known = ("sku_from", "sku_field", "view_field", "names", "folder", "views", "order")
    if unknown := [name for name in written if name not in known]:
        raise ValueError(f"sources: unknown key {unknown[0]!r}; known: {', '.join(known)}")
    origin = str(written.get("sku_from", FIELD if written.get("sku_field") else NAME))
    if origin not in SKU_ORIGINS:
        raise ValueError(f"sources/sku_from: {origin!r} is none of {', '.join(SKU_ORIGINS)}")
    if origin == FIELD and not written.get("sku_field"):
        raise ValueError("sources/sku_field: name the DAM's field that holds the SKU")
    names = written.get("names", DEFAULT_NAMES)
    names = (names,) if isinstance(names, str) else tuple(map(str, names))
    for pattern in names:
        check_name_pattern(pattern, needs_sku=origin == NAME)
    return PhotoSources(
        sku_from=origin,
        sku_field=str(written.get("sku_field", "")),
        view_field=str(written.get("view_field", "")),
        names=names,
        folder=str(written.get("folder", "")),
        views={str(word).casefold(): _view(view) for word, view in dict(written.get("views", {})).items()},
        order=tuple(map(_view, written.get("order", (View.FRONT.value,)))),
    )


def _view(text: object) -> str:
    try:
        return View(str(text)).value
    except ValueError as error:
        raise ValueError(
            f"sources: {text!r} is no view; known: {', '.join(v.value for v in View)}"
        ) from error


def check_name_pattern(pattern: str, *, needs_sku: bool) -> None:
    """Check a pattern of file names, e.g. `{sku}_{view}`.

    Raises:
        ValueError: it has an unknown placeholder, or no `{sku}` although the SKU is in the name.
    """
    found = _PLACEHOLDER.findall(pattern)
    if unknown := [name for name in found if name not in PLACEHOLDERS]:
        shown = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
        raise ValueError(f"sources/names: {{{unknown[0]}}} is none of {shown}")
    if needs_sku and found.count("sku") != 1:
        raise ValueError(f'sources/names: {pattern!r} needs one {{sku}}, e.g. "{{sku}}_{{view}}"')


def place_of(photo: PhotoFacts, sources: PhotoSources) -> PhotoPlace:
    """Return the SKU and the view of a file.

    The view is that of the field, else that of the name; it is empty where neither says one.
    """
    in_name = _read_name(photo.name, sources)
    view = _known_view(photo.fields.get(sources.view_field, ""), sources) or in_name.get("view", "")
    if not sources.is_in_folder(photo.folder):
        return PhotoPlace(problem=f"it is not in the folder {sources.folder}")
    if sources.sku_from == FIELD:
        sku = photo.fields.get(sources.sku_field, "").strip()
        missing = f"its field {sources.sku_field} is empty"
    elif sources.sku_from == FOLDER:
        below = photo.folder.strip("/")[len(sources.folder.strip("/")) :].strip("/")
        sku, missing = _decoded(below.rpartition("/")[2]), "it is in no folder of a product"
    else:
        sku, missing = in_name.get("sku", ""), f"its name fits none of {', '.join(sources.names)}"
    problem = missing if not sku else sku_problem(sku)
    return PhotoPlace(problem=problem) if problem else PhotoPlace(sku=sku, view=view)


def _read_name(name: str, sources: PhotoSources) -> dict[str, str]:
    """Return `sku` and `view` of the first pattern that a file name fits."""
    stem = name.rpartition(".")[0] or name
    for pattern in sources.names:
        found = _expression(pattern).fullmatch(stem)
        if found is None:
            continue
        parts = found.groupdict()
        if "view" in parts and not (view := _known_view(parts["view"], sources)):
            continue
        read = {"view": view} if "view" in parts else {}
        return read | ({"sku": _decoded(parts["sku"])} if "sku" in parts else {})
    return {}


def _expression(pattern: str) -> re.Pattern[str]:
    pieces = {"sku": "(?P<sku>.+)", "view": "(?P<view>[^/]+?)", "any": ".*?"}
    parts = _PLACEHOLDER.split(pattern)  # texts and placeholders in turn
    return re.compile("".join(pieces[p] if i % 2 else re.escape(p) for i, p in enumerate(parts)), re.I)


def _known_view(word: str, sources: PhotoSources) -> str:
    """Return the view that a word means, e.g. of `Front`, `front 2` or a word of `views`; else empty."""
    plain = word.strip().casefold()
    numbered = _NUMBERED.fullmatch(plain)
    for text in (plain, numbered[1] if numbered else plain):
        if text in sources.views:
            return sources.views[text]
        if text in [view.value for view in View]:
            return text
    return ""


def _decoded(token: str) -> str:
    """Return the SKU of a name that may be written as our own file names write it."""
    try:
        return sku_of_token(token)
    except ValueError:
        return token


def with_photos(product: Product, urls: Mapping[str, str]) -> Product:
    """Return a product whose images are those of a DAM where it has them, and its own in the other views.

    Args:
        product: the product as its PIM sent it.
        urls: the addresses of the DAM's photos, by view.
    """
    if not urls:
        return product
    merged = {image.view.value: image.url for image in product.images} | dict(urls)
    views = sorted(merged, key=[view.value for view in View].index)
    return replace(product, images=tuple(SourceImage(view=View(v), url=merged[v]) for v in views))
