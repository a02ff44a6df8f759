"""Levels of detail: each has the model's size, and fewer triangles than the level before."""

from collections.abc import Iterator

import numpy as np

from dam_connector.domain.file_names import LODS
from dam_connector.domain.issue import Issue, issue
from dam_connector.domain.rules import Rules
from dam_connector.errors import InputError
from worker.measuring.check_subject import CheckSubject
from worker.measuring.product_size import size_difference
from worker.modeling.glb_import import read_glb

TOLERANCE = 0.005  # relative, of a side


def check(subject: CheckSubject, rules: Rules) -> Iterator[Issue]:
    """Yield lod.differs and file.unreadable."""
    before = len(subject.surface.faces)
    for file in sorted((f for f in subject.files if f.format in LODS), key=lambda f: f.format):
        where = f"/files/{file.name}"
        try:
            model = read_glb(subject.read(file))
        except InputError as error:
            yield issue("file.unreadable", str(error), pointer=where)
            continue
        subject.facts[f"{file.format}_triangles"] = len(model.faces)
        off = size_difference(model.extent.astype(np.float64), subject.surface.extent)
        if off > TOLERANCE:
            yield issue(
                "lod.differs",
                "Its size differs from the model's.",
                pointer=where,
                measured=f"{off * 100:.1f} %",
                limit=f"{TOLERANCE * 100:.1f} %",
            )
        if len(model.faces) > before:
            yield issue(
                "lod.differs",
                "It has more triangles than the level before.",
                pointer=where,
                measured=len(model.faces),
                limit=before,
            )
        before = len(model.faces)
