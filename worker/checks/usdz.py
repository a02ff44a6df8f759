"""USDZ for Quick Look: package, stage by OpenUSD's validators, unit, axes, textures and size.

Sources: the USDZ specification 1.3 (stored, aligned to 64 bytes, a USD layer first); Apple's notes on Quick
Look (Y up, metres, PNG and JPEG). The package is opened in the checker's own process: OpenUSD wants a file,
and a damaged one can crash it.
"""

import io
import zipfile
from collections.abc import Iterator
from pathlib import PurePosixPath

import numpy as np
from PIL import Image
from pxr import Usd, UsdGeom, UsdValidation

from dam_connector.domain.issue import Issue, issue
from dam_connector.domain.issue_codes import IssueCode
from dam_connector.domain.rules import Rules
from dam_connector.errors import InputError
from worker.measuring.check_subject import CheckSubject
from worker.measuring.product_size import size_difference, size_issues
from worker.modeling.usdz_export import open_usdz

ALIGNMENT = 64
LAYERS, PICTURES = (".usdc", ".usda", ".usd"), (".png", ".jpg", ".jpeg")
SOUNDS = (".m4a", ".mp3", ".wav")
SIZE_TOLERANCE = 0.002  # relative: both files hold the same numbers
MAX_MEMBERS = 200
MAX_UNPACKED_BYTES = 500_000_000
ZIP_HEADER_BYTES = 30  # bytes of a ZIP local header before the name


def check(subject: CheckSubject, rules: Rules) -> Iterator[Issue]:
    """Yield usdz.*"""
    for file in subject.files:
        if file.format != "usdz":
            continue
        data, where = subject.read(file), f"/files/{file.name}"
        subject.facts["usdz_bytes"] = len(data)
        layout_issues = list(_layout_issues(data, where))
        yield from layout_issues
        if not layout_issues:
            yield from _texture_issues(data, where, rules.checks.max_texture_px)
            yield from _stage_issues(subject, data, where, rules.checks.dimensions_tolerance_pct)


def _layout_issues(data: bytes, where: str) -> Iterator[Issue]:
    """Yield usdz.layout where the archive is not as the specification requires."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            members = package.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        yield issue("usdz.layout", "It is not a ZIP archive.", pointer=where)
        return
    if not members or not members[0].filename.endswith(LAYERS):
        yield issue("usdz.layout", "The first file is not a USD layer.", pointer=where)
    if len(members) > MAX_MEMBERS or sum(m.file_size for m in members) > MAX_UNPACKED_BYTES:
        yield issue(
            "usdz.layout",
            "It holds more files or bytes than any model needs.",
            pointer=where,
            measured=len(members),
            limit=MAX_MEMBERS,
        )
        return
    for member in members:
        name = PurePosixPath(member.filename)
        if (
            name.is_absolute()
            or ".." in name.parts
            or name.suffix.lower() not in (*LAYERS, *PICTURES, *SOUNDS)
        ):
            yield issue(
                "usdz.layout",
                f"{member.filename[:80]} is not allowed in a package.",
                pointer=where,
                limit=", ".join((*LAYERS, *PICTURES, *SOUNDS)),
            )
        extra = int.from_bytes(data[member.header_offset + 28 : member.header_offset + 30], "little")
        start = member.header_offset + ZIP_HEADER_BYTES + len(member.filename.encode()) + extra
        if member.compress_type != zipfile.ZIP_STORED or start % ALIGNMENT:
            yield issue(
                "usdz.layout",
                f"{member.filename[:80]} is compressed or not aligned.",
                pointer=where,
                measured=start % ALIGNMENT,
                limit=0,
            )


def _texture_issues(data: bytes, where: str, most_px: int) -> Iterator[Issue]:
    """Yield usdz.texture for images that do not open, or exceed the limit."""
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        for name in (n for n in package.namelist() if n.lower().endswith(PICTURES)):
            try:
                with Image.open(io.BytesIO(package.read(name)), formats=("PNG", "JPEG")) as picture:
                    side = max(picture.size)
            except (OSError, ValueError, SyntaxError, zipfile.BadZipFile, Image.DecompressionBombError):
                yield issue(
                    "usdz.texture", f"{name} is not a PNG or JPEG, or cannot be opened.", pointer=where
                )
                continue
            if side > most_px:
                yield issue(
                    "usdz.texture",
                    f"{name} is too large.",
                    pointer=where,
                    measured=f"{side} px",
                    limit=f"{most_px} px",
                )


def _stage_issues(subject: CheckSubject, data: bytes, where: str, tolerance_pct: float) -> Iterator[Issue]:
    """Yield the issues of the stage that OpenUSD reads from the package."""
    with open_usdz(data) as stage:
        if stage is None:
            yield issue("usdz.layout", "OpenUSD cannot open it.", pointer=where)
            return
        yield from _validator_issues(stage, where)
        if not stage.GetDefaultPrim():
            yield issue("usdz.stage", "It names no default prim: Quick Look may show nothing.", pointer=where)
        up, metres = str(UsdGeom.GetStageUpAxis(stage)), float(UsdGeom.GetStageMetersPerUnit(stage))
        if up != "Y":
            yield issue("usdz.axis", "Its up axis is not Y.", pointer=where, measured=up, limit="Y")
        box = UsdGeom.BBoxCache(
            Usd.TimeCode.Default(), [UsdGeom.Tokens.default_, UsdGeom.Tokens.render]
        ).ComputeWorldBound(stage.GetPseudoRoot())
        size = np.array(box.ComputeAlignedRange().GetSize()) * metres
        if subject.has("glb"):
            yield from _size_issues(subject, size, where)
        else:  # a package of its own, e.g. one that is checked by hand
            subject.facts["size_m"] = " x ".join(f"{float(v):.3f}" for v in size)
            yield from size_issues(size, subject.product, tolerance_pct)


def _validator_issues(stage: Usd.Stage, where: str) -> Iterator[Issue]:
    validators = UsdValidation.ValidationRegistry().GetOrLoadAllValidators()
    for error in UsdValidation.ValidationContext(validators).Validate(stage):
        kind = str(error.GetType()).rsplit(".", 1)[-1]
        code: IssueCode = "usdz.stage" if "Error" in kind else "usdz.advice"
        yield issue(code, f"{error.GetName()}: {error.GetMessage()[:300]}", pointer=where)


def _size_issues(
    subject: CheckSubject, size: np.ndarray[tuple[int], np.dtype[np.float64]], where: str
) -> Iterator[Issue]:
    """Yield usdz.differs where the size, in metres, is not the GLB's."""
    try:
        wanted = subject.surface.extent
    except InputError:
        return  # the checks of the GLB report it
    off = size_difference(size, wanted)
    if not off <= SIZE_TOLERANCE:
        measured, limit = (" x ".join(f"{v:.3f}" for v in s) + " m" for s in (size, wanted))
        yield issue(
            "usdz.differs",
            "It does not have the size of the GLB.",
            pointer=where,
            measured=measured,
            limit=limit,
        )
