"""Labels: every made file still says what it is. A label that was lost on the way is an error."""

from collections.abc import Iterator

from dam_connector.catalog.issue import Issue, issue
from dam_connector.catalog.rules import Rules
from dam_connector.errors import InputError
from worker.checks.subject import Subject
from worker.imaging.encode import read_xmp


def check(subject: Subject, rules: Rules) -> Iterator[Issue]:
    """Issues label.lost; files that are checked by hand need no label."""
    if subject.product is None:
        return
    for file in subject.pictures:
        if "DigitalSourceType" not in read_xmp(subject.read(file)):
            yield issue("label.lost", f"{file.name} has no digital source type.", pointer=f"/files/{file.name}")
    if subject.has("glb"):
        try:
            asset = subject.document.get("asset", {})
        except InputError:
            return  # the checks of the file say so
        if not isinstance(asset, dict) or asset.get("extras", {}).get("sku") != subject.product.sku:
            yield issue("label.lost", "The GLB's asset.extras do not name the SKU.", pointer="/asset/extras")
