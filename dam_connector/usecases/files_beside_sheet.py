"""Files that were uploaded beside a sheet: the cells of its rows name them, and rows get their addresses."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from dam_connector.domain.brought_model import is_model_name
from dam_connector.domain.capture_folders import no_frames, sort_folder
from dam_connector.domain.ids import Sha256
from dam_connector.domain.issue import Issue, issue
from dam_connector.domain.picture_names import PictureFinder
from dam_connector.domain.product import Capture, Product
from dam_connector.domain.unnamed_pictures import is_removal
from dam_connector.usecases.row_texts import column_at
from dam_connector.usecases.source_images import HELD_PREFIX, is_image_url


class FilesBesideSheet:
    """The files that were uploaded beside a sheet: its pictures, its models, and those that nobody reads."""

    def __init__(self, files: Mapping[str, Sha256], unread: Mapping[str, str] | None = None) -> None:
        """Sort the stored files, by path; `unread` says by path why others are not read."""
        self.unread = PictureFinder(unread or {})
        models = {path: sha256 for path, sha256 in files.items() if is_model_name(path)}
        self.models = PictureFinder(models)
        self.pictures = PictureFinder({p: sha256 for p, sha256 in files.items() if p not in models})


def resolve_file_names(
    product: Product, beside: FilesBesideSheet, notes: list[str]
) -> tuple[Product, list[Issue]]:
    """Replace file names by the addresses of the uploaded files; return issues for those that are missing.

    Notes about files that are left out are added to `notes`.
    """
    images, issues = [], []
    for image in product.images:
        url = _resolve_file_name(image.url, f"/images/{image.view}", beside)
        if isinstance(url, Issue):
            issues.append(url)
        images.append(image if isinstance(url, Issue) else replace(image, url=url))
    inspiration = product.inspiration_image
    if inspiration:
        url = _resolve_file_name(inspiration, "/inspiration_image", beside)
        if isinstance(url, Issue):
            issues.append(url)
        else:
            inspiration = url
    model_url = product.model_url
    if model_url:
        url = _resolve_file_name(model_url, "/model_url", beside, beside.models)
        if isinstance(url, Issue):
            issues.append(url)
        else:
            model_url = url
    swatch = product.swatch
    if product.swatch_url:
        url = _resolve_file_name(swatch, "/swatch", beside)
        if isinstance(url, Issue):
            issues.append(url)
        else:
            swatch = url
    captures: dict[Capture, tuple[str, ...]] = {}
    for kind in Capture:
        addresses = _resolve_capture(kind, product.captured(kind), beside, notes)
        if isinstance(addresses, Issue):
            issues.append(addresses)
        else:
            captures[kind] = addresses
    if len(captures) < len(Capture):
        return product, issues
    found = replace(product, images=tuple(images), inspiration_image=inspiration, model_url=model_url)
    spin, walk = captures[Capture.SPIN], captures[Capture.WALK]
    return replace(found, spin_images=spin, walk_images=walk, swatch=swatch), issues


def _resolve_capture(
    kind: Capture, named: tuple[str, ...], beside: FilesBesideSheet, notes: list[str]
) -> tuple[str, ...] | Issue:
    """Return the addresses of a spin or a walk; those of the pictures in the folder that its cell names."""
    least, most = kind.counts
    of_what = "pictures of a full turn" if kind is Capture.SPIN else "photos of a walk around the product"
    limit, pointer = f"{least} to {most} {of_what}", f"/{kind.field_name}"
    if len(named) == 1 and is_removal(named[0]):
        return named
    if all(map(is_image_url, named)):
        if named and not least <= len(named) <= most:
            message = f"The {kind} has {len(named)} addresses."
            return issue("row.picture", message, pointer=pointer, limit=limit)
        if masks := no_frames(named):
            message = f"{len(masks)} of {len(named)} pictures of the {kind} are no frames by their names."
            left = "frames without masks, depths and thumbnails"
            return issue("row.picture", message, pointer=pointer, measured=", ".join(masks[:4]), limit=left)
        return named
    found, others = beside.pictures.find_folder(named[0]), beside.unread.find_folder(named[0])
    files = dict(zip(found.paths, found.files, strict=True))
    sorted_files = sort_folder(kind, (*files, *others.paths))
    note = f" {sorted_files.note[:1].upper()}{sorted_files.note[1:]}." if sorted_files.note else ""
    measured = named[0][:80]
    if len(found.folders) > 1:
        message, limit = "Several folders have this name.", f"one of {', '.join(found.folders[:4])}"
    elif not files and not others.files:
        message = "No such folder of pictures beside the sheet, and no addresses."
        if reason := beside.unread.find(named[0]).file:
            message = f"{measured} {reason}."
        limit = "the name of a folder in the ZIP or folder that comes with the sheet"
    elif sorted_files.problem:
        message, limit = sorted_files.problem, ""
    elif least <= len(sorted_files.pictures) <= most:
        notes += [f"{kind} {measured}:{note}"] if note else []
        return tuple(f"{HELD_PREFIX}{files[path]}" for path in sorted_files.pictures)
    else:
        message = f"The folder of the {kind} holds {len(sorted_files.pictures)} pictures.{note}"
    return issue("row.picture", message, pointer=pointer, measured=measured, limit=limit)


def _resolve_file_name(
    cell: str, pointer: str, beside: FilesBesideSheet, finder: PictureFinder[Sha256] | None = None
) -> str | Issue:
    """Return the address of the file that a cell names; that of a picture unless another finder is given."""
    name = cell.strip()
    if is_image_url(name) or is_removal(name):
        return name
    found = (finder or beside.pictures).find(name)
    if found.file:
        return f"{HELD_PREFIX}{found.file}"
    if len(found.paths) > 1:
        message = f"{len(found.paths)} different files have this name."
        limit = f"one of {', '.join(found.paths[:4])}"
    elif reason := beside.unread.find(name).file:
        return issue("row.picture", f"{name[:80]} {reason}.", pointer=pointer)
    else:
        message = "No such file beside the sheet, and no address."
        limit = (
            ", ".join(found.paths)
            or "https://..., or the name of a file in the ZIP or folder that comes with the sheet"
        )
    return issue("row.picture", message, pointer=pointer, measured=name[:80], limit=limit)


def same_picture_notes(product: Product, mapping: Mapping[str, str]) -> Iterator[str]:
    """Yield a note about each picture that a row gives as a second view.

    Args:
        product: the product as the row alone says it, with the addresses of files beside the sheet.
        mapping: the sheet's column names by ours.
    """
    columns: dict[str, str] = {}
    for image in product.images:
        column = column_at(f"/images/{image.view}")
        column = mapping.get(column, column)
        first = columns.setdefault(image.url, column)
        if first != column and not is_removal(image.url):
            yield f"{first} and {column} are the same picture; give each view its own photo."
