"""Label the files with what they show and where they came from: XMP and IPTC in pictures, extras in the GLB."""

import hashlib
import json
from dataclasses import replace

from dam_connector import __version__
from dam_connector.domain.asset_texts import alt_text
from dam_connector.domain.file_names import GLB_FORMATS
from dam_connector.domain.issue import issue
from dam_connector.domain.product import INSPIRATION
from dam_connector.domain.rules import PHOTO
from dam_connector.domain.run import RunKind
from dam_connector.domain.version import VersionFile
from dam_connector.wiring import Services
from worker.gltf.container import read_json
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
    """The work with labelled files.

    Reads: files, version, provenance. Adds: files, provenance, issue label.lost when a label cannot be read back.
    """
    p, d = work.product, work.deliverable
    kept = {
        k.removeprefix(PHOTO_LABEL_PREFIX): v
        for k, v in work.provenance.items()
        if k.startswith(PHOTO_LABEL_PREFIX)
    }
    generator = work.provenance.get("generator", "local")
    rendered = d.kind is RunKind.MODEL or d.made_from != PHOTO
    labels = {
        **kept,
        "sku": p.sku,
        "version": str(work.number),
        "run": work.run_id,
        "generator": generator,
        "title": p.name,
        "description": p.description,
        "tool": f"dam-connector {__version__}",
        "source_type": digital_source_type(
            rendered=rendered,
            style=d.style,
            generator=generator,
            photo_type=kept.get("source_type", ""),
            cut_only="generated" in work.provenance,
        ),
    }
    credential = load_credential(services.settings)
    ingredients = _ingredients(work, services) if credential else {}
    for file in work.files:
        own = {
            **labels,
            "alt_text": alt_text(p, file.view or str(work.facts.get("view") or d.camera), style=d.style),
        }
        labelled, lost = _labelled(services.blobs.get(file.sha256), file, own)
        if credential and file.mime in SIGNABLE_MIME_TYPES:
            labelled = sign_picture(
                labelled,
                file.mime,
                credential,
                title=file.name,
                source_type=labels["source_type"],
                ingredients=ingredients,
            )
            lost += [] if read_manifest(labelled, file.mime).get("title") == file.name else ["signature"]
        if lost:
            words = f"{file.name} lost its {', '.join(lost)}."
            work = work.with_issues(issue("label.lost", words, pointer=f"/files/{file.name}"))
        work = _replaced(work, replace(file, sha256=services.blobs.put(labelled), bytes=len(labelled)))
    facts = hashlib.sha256(
        json.dumps([p.sku, p.name, dict(p.attributes)], sort_keys=True).encode()
    ).hexdigest()
    provenance = {
        **work.provenance,
        "generator": generator,
        "tool": labels["tool"],
        "digital_source_type": labels["source_type"],
        "facts_sha256": facts,
        "note": work.note,
        **{f"source_{view}": sha for view, sha in work.sources.items()},
    }
    return replace(work, provenance=provenance)


def _ingredients(work: Work, services: Services) -> dict[str, tuple[str, bytes]]:
    """The photos that a picture is made from, their MIME type and bytes by view; their own content credentials go along."""
    found = {}
    for view, sha256 in work.sources.items():
        data = services.blobs.get(sha256)
        mime = picture_mime(data)
        if view != INSPIRATION and mime in SIGNABLE_MIME_TYPES:
            found[view] = (mime, data)
    return found


def _replaced(work: Work, file: VersionFile) -> Work:
    return replace(work, files=tuple(file if f.name == file.name else f for f in work.files))


def _labelled(data: bytes, file: VersionFile, labels: dict[str, str]) -> tuple[bytes, list[str]]:
    """The labelled bytes, and the names of the labels that cannot be read back from them."""
    if (
        file.format == "usdz"
    ):  # labelled when it was written: a package cannot be changed without breaking its alignment
        return data, [] if read_usdz_sku(data) == labels["sku"] else ["sku"]
    wanted = clean_metadata(labels)
    if file.format in GLB_FORMATS:
        data = relabel_glb(data, wanted)
        asset = read_json(data).get("asset")
        found = asset.get("extras", {}) if isinstance(asset, dict) else {}
    else:
        data = write_metadata(data, wanted)
        found = read_metadata(data)
    return data, [name for name, value in wanted.items() if found.get(name) != value]


def relabel_glb(data: bytes, labels: dict[str, str]) -> bytes:
    """The GLB with labels in `asset.extras`; the binary chunk stays as it is."""
    doc = read_json(data)
    length = int.from_bytes(data[12:16], "little")
    asset = doc["asset"]
    assert isinstance(asset, dict)
    asset["extras"] = {**asset.get("extras", {}), **labels}
    if "rights" in labels:
        asset["copyright"] = labels["rights"]
    text = json.dumps(doc, separators=(",", ":"), sort_keys=True).encode()
    text += b" " * (-len(text) % 4)
    rest = data[20 + length :]
    return (
        b"glTF"
        + (2).to_bytes(4, "little")
        + (20 + len(text) + len(rest)).to_bytes(4, "little")
        + len(text).to_bytes(4, "little")
        + b"JSON"
        + text
        + rest
    )
