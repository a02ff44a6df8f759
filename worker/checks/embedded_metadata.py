"""Embedded metadata: each file names its SKU, version, source type and alt text. A lost label is an error."""

from collections.abc import Iterator

from dam_connector.domain.issue import Issue, issue
from dam_connector.domain.rules import Rules
from dam_connector.errors import InputError
from worker.imaging.metadata import read_metadata
from worker.measuring.check_subject import CheckSubject

REQUIRED_LABELS = ("sku", "version", "source_type", "alt_text")


def check(subject: CheckSubject, rules: Rules) -> Iterator[Issue]:
    """Yield label.lost. Files that are checked by hand need no label."""
    if subject.product is None:
        return
    for file in subject.pictures:
        found = read_metadata(subject.read(file))
        lost = [name for name in REQUIRED_LABELS if not found.get(name)]
        if lost:
            yield issue("label.lost", f"{file.name} has no {', '.join(lost)}.", pointer=f"/files/{file.name}")
        elif found["sku"] != subject.product.sku:
            yield issue(
                "label.lost",
                f"{file.name} names another SKU.",
                pointer=f"/files/{file.name}",
                measured=found["sku"],
                limit=subject.product.sku,
            )
    if subject.has("glb"):
        try:
            asset = subject.document.json.get("asset", {})
        except InputError:
            return  # another check reports it
        if not isinstance(asset, dict) or asset.get("extras", {}).get("sku") != subject.product.sku:
            yield issue("label.lost", "The GLB's asset.extras do not name the SKU.", pointer="/asset/extras")
