"""The view that each image of a product shows, where a record lists its images without saying so."""

import re
from collections.abc import Iterable

from dam_connector.domain.product import View

VIEWS = tuple(view.value for view in View)
_VIEW_PATTERNS = {view: re.compile(rf"(?:^|[^a-z]){view}(?:$|[^a-z])") for view in VIEWS}


def images_by_view(images: Iterable[tuple[str, str]], order: Iterable[str]) -> dict[str, str]:
    """Return the image URL of each view.

    An image whose text names a view, e.g. `chair-left.jpg`, shows that view. The other images get the views
    of `order` that are still free. The first image that is then left over is the view `detail`.

    Args:
        images: the URL and the text (file name, alt text) of each image.
        order: the views of images that name none.
    """
    found: dict[str, str] = {}
    unnamed = []
    for url, text in images:
        view = next((view for view, pattern in _VIEW_PATTERNS.items() if pattern.search(text.lower())), "")
        if view and view not in found:
            found[view] = url
        else:
            unnamed.append(url)
    free_views = [view for view in order if view not in found]
    found |= dict(zip(free_views, unnamed, strict=False))
    rest = unnamed[len(free_views) :]
    return {**found, **({"detail": rest[0]} if rest and "detail" not in found else {})}
