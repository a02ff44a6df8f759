"""The view that each image of a product shows, where a record lists its images without saying so."""

import re
from collections.abc import Iterable

from dam_connector.domain.product import View

VIEWS = tuple(view.value for view in View)
_VIEW_WORDS = ("view", "side", "shot", "angle", "elevation")  # `back view`, `view from the left`
_EXTENSION = re.compile(r"\.(?:jpe?g|png|webp|tiff?|avif|gif|bmp|heic)$")
# behind a view in the names of files: numbers, sizes, versions
_SUFFIX = re.compile(r"(?:v?\d+|\d+x\d+|scaled|copy|final|web|large|small|thumb|hires|e\d+)")


def images_by_view(
    images: Iterable[tuple[str, str]], order: Iterable[str], *, name: str = ""
) -> dict[str, str]:
    """Return the image URL of each view.

    An image whose text names a view, e.g. `chair-left.jpg`, shows that view. The other images get the views
    of `order` that are still free. The first image that is then left over is the view `detail`.

    Args:
        images: the URL and the text of each image: file name and alt text, each on a line of its own.
        order: the views of images that name none.
        name: the product's name. Its words name no view, e.g. in `table-top-oak.jpg` of a `Table top oak`.
    """
    found: dict[str, str] = {}
    unnamed = []
    for url, text in images:
        view = next(filter(None, (named_view(line, name) for line in text.splitlines())), "")
        if view and view not in found:
            found[view] = url
        else:
            unnamed.append(url)
    free_views = [view for view in order if view not in found]
    found |= dict(zip(free_views, unnamed, strict=False))
    rest = unnamed[len(free_views) :]
    return {**found, **({"detail": rest[0]} if rest and "detail" not in found else {})}


def named_view(text: str, product_name: str = "") -> str:
    """Return the view that a file name or an alt text names; empty if it names none.

    A word such as `top` is often a part of the product, so it names a view only where people write views: as
    the last part of a file name, as the whole text, in brackets, or beside a word such as `view`.
    """
    plain = _EXTENSION.sub("", text.lower().rstrip().rpartition("/")[2]).strip()
    plain = _without_name(plain, product_name)
    if view := _view_beside_word(plain):
        return view
    in_brackets = re.findall(r"[(\[]([a-z]+)[)\]]", plain)
    parts = [part for part in re.split(r"[^a-z0-9]+", plain) if part]
    while len(parts) > 1 and _SUFFIX.fullmatch(parts[-1]):
        parts.pop()
    is_file_name = not re.search(r"[a-z0-9] [a-z]", plain)
    last = parts[-1:] if is_file_name or len(parts) == 1 else re.findall(r"[,:;|–—-] *([a-z]+)$", plain)
    first = parts[:1] if re.match(r"[a-z]+[-_][a-z-]*\d", plain) and is_file_name else []
    return next((each for each in (*in_brackets, *last, *first) if each in VIEWS), "")


def _without_name(text: str, product_name: str) -> str:
    """Return a text without the product's name at its beginning, however its words are joined."""
    words = [re.escape(word) for word in re.split(r"[^a-z0-9]+", product_name.lower()) if word]
    return re.sub(rf"^{'[^a-z0-9]+'.join(words)}(?![a-z0-9])", "", text).strip() if words else text


def _view_beside_word(text: str) -> str:
    """Return the view of `back view`, `left side` or `view from the top`."""
    views, words = "|".join(VIEWS), "|".join(_VIEW_WORDS)
    pattern = rf"(?<![a-z])(?:({views})[ _-]+(?:{words})|view[ _-]+(?:from[ _-]+)?(?:the[ _-]+)?({views}))"
    found = re.search(rf"{pattern}(?![a-z])", text)
    return (found[1] or found[2]) if found else ""
