"""Label the files with their subject and their origin: XMP and IPTC in pictures, asset.extras in GLBs."""

import hashlib
import json
from dataclasses import replace

from dam_connector import __version__
from dam_connector.domain.asset_texts import alt_text
from dam_connector.domain.file_names import GLB_FORMATS
from dam_connector.domain.issue import issue
from dam_connector.domain.product import INSPIRATION
from dam_connector.domain.rules import LOCAL, PHOTO
from dam_connector.domain.run import RunKind
from dam_connector.domain.version import SOURCE_MARK, VersionFile
from dam_connector.wiring import Services
from worker.gltf.container import read_json, replace_json
from worker.imaging.content_credentials import (
    SIGNABLE_MIME_TYPES,
    load_credential,
    read_manifest,
    sign_picture,
)
from worker.imaging.metadata import (
    clean_metadata,
    digital_source_type,
    picture_mime,
    read_metadata,
    write_metadata,
)
from worker.modeling.usdz_export import read_usdz_sku
from worker.work import PHOTO_LABEL_PREFIX, Work


def label_provenance(work: Work, services: Services) -> Work:
    """Write labels into all files, and content credentials into pictures where a certificate is configured.

    Reads: files, version, provenance. Adds: files, provenance, issue label.lost when a label cannot be read
    back.
    """
    labels = _labels(work)
    credential = load_credential(services.settings)
    ingredients = _ingredients(work, services) if credential else {}
    for file in work.files:
        data, lost = _label_file(services.blobs.get(file.sha256), file, _file_labels(work, file, labels))
        if credential and file.mime in SIGNABLE_MIME_TYPES:
            data = sign_picture(
                data,
                file.mime,
                credential,
                title=file.name,
                source_type=labels["source_type"],
                ingredients=ingredients,
            )
            if read_manifest(data, file.mime).get("title") != file.name:
                lost.append("signature")
        if lost:
            message = f"{file.name} lost its {', '.join(lost)}."
            work = work.with_issues(issue("label.lost", message, pointer=f"/files/{file.name}"))
        work = _with_replaced_file(work, replace(file, sha256=services.blobs.put(data), bytes=len(data)))
    return replace(work, provenance={**work.provenance, **_provenance(work, labels)})


def _labels(work: Work) -> dict[str, str]:
    """Return the labels that all files share; those of the photo are overwritten by ours."""
    product, deliverable = work.product, work.deliverable
    photo_labels = {
        name.removeprefix(PHOTO_LABEL_PREFIX): value
        for name, value in work.provenance.items()
        if name.startswith(PHOTO_LABEL_PREFIX)
    }
    generator = work.provenance.get("generator", LOCAL)
    return {
        **photo_labels,
        "sku": product.sku,
        "version": str(work.number),
        "run": work.run_id,
        "generator": generator,
        "title": product.name,
        "description": product.description,
        "tool": f"dam-connector {__version__}",
        "source_type": digital_source_type(
            rendered=deliverable.kind is RunKind.MODEL or deliverable.made_from != PHOTO,
            style=deliverable.style,
            generator=generator,
            photo_type=photo_labels.get("source_type", ""),
            cut_only="generated" in work.provenance,
        ),
    }


def _file_labels(work: Work, file: VersionFile, labels: dict[str, str]) -> dict[str, str]:
    """Return the labels of one file: the shared ones and its alt text."""
    view = file.view or str(work.facts.get("view") or work.deliverable.camera)
    return {**labels, "alt_text": alt_text(work.product, view, style=work.deliverable.style)}


def _provenance(work: Work, labels: dict[str, str]) -> dict[str, str]:
    """Return the entries that this step adds to the version's provenance."""
    product = work.product
    facts = json.dumps([product.sku, product.name, dict(product.attributes)], sort_keys=True)
    return {
        "generator": labels["generator"],
        "tool": labels["tool"],
        "digital_source_type": labels["source_type"],
        "facts_sha256": hashlib.sha256(facts.encode()).hexdigest(),
        "note": work.note,
        **{SOURCE_MARK + view: sha256 for view, sha256 in work.sources.items()},  # views, and a spin's frames
    }


def _ingredients(work: Work, services: Services) -> dict[str, tuple[str, bytes]]:
    """Return the photos that a picture is made from, as (MIME type, bytes) by view.

    Their own content credentials are kept in the picture's.
    """
    found = {}
    for view, sha256 in work.sources.items():
        data = services.blobs.get(sha256)
        mime = picture_mime(data)
        if view != INSPIRATION and mime in SIGNABLE_MIME_TYPES:
            found[view] = (mime, data)
    return found


def _with_replaced_file(work: Work, file: VersionFile) -> Work:
    return replace(work, files=tuple(file if f.name == file.name else f for f in work.files))


def _label_file(data: bytes, file: VersionFile, labels: dict[str, str]) -> tuple[bytes, list[str]]:
    """Return the labelled bytes, and the names of the labels that cannot be read back from them."""
    if file.format == "usdz":  # labelled when it was written: changing a package breaks its alignment
        return data, [] if read_usdz_sku(data) == labels["sku"] else ["sku"]
    labels = clean_metadata(labels)
    if file.format in GLB_FORMATS:
        data = _label_glb(data, labels)
        asset = read_json(data).get("asset")
        found = asset.get("extras", {}) if isinstance(asset, dict) else {}
    else:
        data = write_metadata(data, labels)
        found = read_metadata(data)
    return data, [name for name, value in labels.items() if found.get(name) != value]


def _label_glb(data: bytes, labels: dict[str, str]) -> bytes:
    """Return the GLB with labels in `asset.extras`. Its binary chunk stays as it is."""
    document = read_json(data)
    asset = document["asset"]
    assert isinstance(asset, dict)
    asset["extras"] = {**asset.get("extras", {}), **labels}
    if "rights" in labels:
        asset["copyright"] = labels["rights"]
    return replace_json(data, document)
