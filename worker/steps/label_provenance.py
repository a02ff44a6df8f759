"""Label the files with where they came from: XMP with the IPTC digital source type in pictures, extras in the GLB."""

import hashlib
import json
from dataclasses import replace

from dam_connector import __version__
from dam_connector.catalog.issue import issue
from dam_connector.catalog.version import VersionFile
from dam_connector.wiring import Services
from worker.imaging.encode import ALGORITHMIC, RENDERED, read_xmp, relabel, xmp_packet
from worker.modeling.glb import glb_json
from worker.modeling.usdz import read_usdz_sku
from worker.work import Work


def label_provenance(work: Work, services: Services) -> Work:
    """The work with labelled files.

    Reads: files, version. Adds: files, provenance, issue label.lost when a label cannot be read back.
    """
    p = work.product
    labels = {
        "sku": p.sku,
        "version": str(work.number),
        "run": work.run_id,
        "generator": work.provenance.get("generator", "local"),
        "description": " ".join(filter(None, [p.name, f"by {p.brand}" if p.brand else "", p.color, p.material])),
    }
    for file in work.files:
        data = services.blobs.get(file.sha256)
        labelled, back = _label(data, file, labels)
        if p.sku not in back:
            work = work.with_issues(issue("label.lost", f"{file.name} lost its label.", pointer=f"/files/{file.name}"))
        work = _replaced(work, replace(file, sha256=services.blobs.put(labelled), bytes=len(labelled)))
    facts = hashlib.sha256(json.dumps([p.sku, p.name, dict(p.attributes)], sort_keys=True).encode()).hexdigest()
    provenance = {
        **work.provenance,
        "generator": labels["generator"],
        "tool": f"dam-connector {__version__}",
        "facts_sha256": facts,
        "note": work.note,
        **{f"source_{view}": sha for view, sha in work.sources.items()},
    }
    return replace(work, provenance=provenance)


def _replaced(work: Work, file: VersionFile) -> Work:
    return replace(work, files=tuple(file if f.name == file.name else f for f in work.files))


def _label(data: bytes, file: VersionFile, labels: dict[str, str]) -> tuple[bytes, str]:
    """The labelled bytes, and what is read back from them."""
    if file.format == "glb":
        labelled = relabel_glb(data, labels)
        return labelled, json.dumps(glb_json(labelled).get("asset", {}))
    if file.format == "usdz":
        return data, read_usdz_sku(data)  # labelled when it was written: a package cannot be changed without breaking its alignment
    labelled = relabel(data, xmp_packet(labels, RENDERED if file.view else ALGORITHMIC))
    return labelled, read_xmp(labelled)


def relabel_glb(data: bytes, labels: dict[str, str]) -> bytes:
    """The GLB with labels in `asset.extras`; the binary chunk stays as it is."""
    doc = glb_json(data)
    length = int.from_bytes(data[12:16], "little")
    asset = doc["asset"]
    assert isinstance(asset, dict)
    asset["extras"] = {**asset.get("extras", {}), **labels, "digitalSourceType": ALGORITHMIC}
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
