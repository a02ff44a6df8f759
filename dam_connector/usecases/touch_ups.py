"""Touch-ups: a person corrects the cut-out of a photo by strokes. Pages and API use the same function."""

from collections.abc import Sequence
from dataclasses import replace

from dam_connector.domain.ids import RunId
from dam_connector.domain.rules import LOCAL
from dam_connector.domain.run import RunKind
from dam_connector.domain.touch_up import MAX_PHOTO_STROKES, Stroke, TouchUp
from dam_connector.domain.version import Version
from dam_connector.errors import Refused
from dam_connector.usecases.follow_up_runs import plan_follow_up
from dam_connector.usecases.review import generation_hash
from dam_connector.wiring import Services


def touch_up(
    services: Services,
    version: Version,
    strokes: Sequence[Stroke],
    *,
    by: str,
    replaces: bool = False,
    mask_seen: bool = False,
) -> RunId | None:
    """Store strokes on the mask of a version, and plan the next version, which is cut out with them.

    The strokes belong to the photo: every later cut-out of it is corrected by them.

    Args:
        by: the name of the person.
        replaces: the earlier touch-ups of the photo no longer count.
        mask_seen: the person said that they looked at the whole mask. Without it, strokes that change hardly
            anything lift no doubt about the cut-out.

    Returns:
        The id of the new run.

    Raises:
        Refused: the version has no mask, its photo is no longer the product's, there is nothing to change, or
            the photo has too many strokes.
    """
    photo = version.masked_sha256
    if photo is None:
        raise Refused("review", "touch up", "this version has no mask; regenerate it first")
    with services.transaction():
        services.assets.lock_asset(version.asset.id)
        record = services.products.get(version.asset.sku)
        if record is None or photo not in record.sources.values():
            raise Refused(
                "review", "touch up", "the product has another photo now; regenerate the version first"
            )
        earlier = services.touch_ups.strokes(photo)
        if not strokes and not (replaces and earlier):
            raise Refused("review", "touch up", "there is no stroke; paint on the mask first")
        if len(strokes) + (0 if replaces else len(earlier)) > MAX_PHOTO_STROKES:
            problem = f"the photo has more than {MAX_PHOTO_STROKES} strokes; discard the earlier ones"
            raise Refused("review", "touch up", problem)
        strokes = [replace(stroke, mask_seen=mask_seen) for stroke in strokes]
        touch_up_id = services.touch_ups.add(photo, strokes, version_id=version.id, by=by, replaces=replaces)
        run = plan_follow_up(
            services,
            version,
            RunKind(version.asset.kind),
            f"{generation_hash(services, version)}~touch:{touch_up_id}",
            generator=LOCAL,
        )
        count = f"{len(strokes)} stroke{'s' if len(strokes) > 1 else ''}" if strokes else ""
        seen = "looked at the whole mask" if strokes and mask_seen else ""
        detail = "; ".join(filter(None, [count, seen, "earlier strokes discarded" if replaces else ""]))
        services.history.add("touched_up", sku=version.asset.sku, version_id=version.id, by=by, detail=detail)
    return run


def masked_pictures(services: Services, version: Version) -> list[Version]:
    """Return the newest pictures of the product that show masks of a version's photos, one for each photo.

    A model has no mask of its own: its photos' masks are corrected there.
    """
    photos = set(version.sources.values())
    found: dict[str, Version] = {}
    for each in sorted(services.assets.of_product(version.asset.sku), key=lambda v: v.number):
        if each.masked_sha256 in photos:
            found[str(each.masked_sha256)] = each
    return list(found.values())


def of_version(services: Services, version: Version) -> list[TouchUp]:
    """Return the touch-ups of the photo that a version is made from, the oldest first."""
    return services.touch_ups.of_photo(version.masked_sha256) if version.masked_sha256 else []
