"""Which of a product's photos our own code makes a deliverable from."""

from collections.abc import Collection, Mapping

from dam_connector.domain.brought_model import BROUGHT_MODEL
from dam_connector.domain.ids import Sha256
from dam_connector.domain.issue import Issue, issue
from dam_connector.domain.issue_codes import IssueCode
from dam_connector.domain.product import Product, View, capture_of_key, named_photos
from dam_connector.domain.rules import PHOTO, Deliverable
from dam_connector.domain.run import RunKind
from dam_connector.domain.shapes import SHAPE, shape_key

# In order of preference: our own code makes a rendition from the first usable view.
MODEL_VIEWS = (View.FRONT, View.RIGHT, View.BACK, View.LEFT, View.TOP, View.HERO)
RENDITION_VIEWS = (View.FRONT, View.HERO, View.RIGHT, View.LEFT, View.BACK, View.TOP)

# Issues of a product that a failed run of a deliverable adds; their messages begin with its name.
_MISSING_CODES: tuple[IssueCode, ...] = ("source.missing_view", "source.missing_model")


def views_of(deliverable: Deliverable) -> tuple[View, ...]:
    """Return the views that a deliverable can be made from, the preferred first."""
    if deliverable.views:
        return tuple(View(v) for v in deliverable.views)
    return RENDITION_VIEWS if deliverable.kind is RunKind.IMAGE else MODEL_VIEWS


def is_other_side(deliverable: Deliverable, views: Collection[str]) -> bool:
    """Return whether none of these views is the front, the corner or the first that the rules name."""
    wanted = {View.FRONT, View.HERO, views_of(deliverable)[0]}
    return bool(views) and wanted.isdisjoint(views)


def lacks_view(deliverable: Deliverable, product: Product, pictures: Collection[str]) -> bool:
    """Return whether a deliverable is made from photos, and a product has none of a view that it needs.

    Args:
        deliverable: One that is to be made of the product.
        product: The product.
        pictures: The keys of its pictures and of its model; they need not be fetched.
    """
    if deliverable.made_from != PHOTO or any(view.value in pictures for view in views_of(deliverable)):
        return False
    if deliverable.kind is RunKind.IMAGE:
        return True
    is_recoloured = deliverable.colours and product.swatch and shape_key(product, deliverable.colours)
    return not (is_recoloured or BROUGHT_MODEL in pictures or any(map(capture_of_key, pictures)))


def missing_view(deliverable: Deliverable) -> Issue:
    """Return the issue of a deliverable for a product that has no usable photo of a view that it needs."""
    views = [view.value for view in views_of(deliverable)]
    wanted = " or ".join(filter(None, [", ".join(views[:-1]), views[-1]]))
    pointer = f"/images/{views[0]}" if len(views) == 1 else "/images"
    message = f"{deliverable.name} needs a photo of the {wanted}."
    return issue("source.missing_view", message, pointer=pointer)


def lacking_deliverable(found: Issue) -> str:
    """Return the deliverable whose sources are missing, as an issue of a product says; else nothing."""
    return found.message.partition(" ")[0] if found.code in _MISSING_CODES else ""


def preferred_view(deliverable: Deliverable, photos: Mapping[str, Sha256]) -> str:
    """Return the view of the photo that a rendition is made from, if it is usable; empty if there is none."""
    return next((view.value for view in views_of(deliverable) if view in photos), "")


def unused_photos(deliverable: Deliverable, made_from: Mapping[str, Sha256]) -> list[set[str]]:
    """Return the views of photos without which our own code makes the same files, in the order of attempts.

    A rendition is made from one photo, or where it cannot be used from the next one; a model, and the colour
    of a shared shape, from all but details. Providers see all photos. The last set is empty.

    Args:
        deliverable: The deliverable, which is made from photos.
        made_from: The pictures and models that it is made from, by their keys.
    """
    photos = named_photos({key: sha256 for key, sha256 in made_from.items() if key != SHAPE})
    ordered = [view.value for view in views_of(deliverable) if view in photos]
    is_recoloured = SHAPE in made_from  # by our own code, whoever makes the others
    needs_photo = is_recoloured or len(photos) == len(made_from)  # there is no spin, walk or model either
    if not (deliverable.is_local_only or is_recoloured) or (needs_photo and not ordered):
        return [set()]
    if deliverable.kind is not RunKind.IMAGE:
        return [set(photos) - set(ordered), set()] if set(photos) - set(ordered) else [set()]
    if not ordered:
        return [set()]
    found = [set(photos) - set(ordered[: count + 1]) for count in range(len(ordered))]
    return [*found, set()] if found[-1] else found
