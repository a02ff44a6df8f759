"""The USDZ for Quick Look: its package, its stage by OpenUSD's own validators, its unit and axes, its textures, and the GLB's size.

Sources: the USDZ specification 1.3 (stored, aligned to 64 bytes, a USD layer first); Apple's notes on Quick Look (Y up, metres, PNG and JPEG).
The package is opened in the checker's own process: OpenUSD wants a file, and a damaged one can crash it.
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
from worker.modeling.usdz_export import open_usdz

ALIGNMENT = 64
LAYERS, PICTURES = (".usdc", ".usda", ".usd"), (".png", ".jpg", ".jpeg")
SOUNDS = (".m4a", ".mp3", ".wav")
SIZE_TOLERANCE = 0.002  # relative: the two hold the same numbers
MAX_MEMBERS = 200
MAX_UNPACKED_BYTES = 500_000_000
_HEADER = 30  # bytes of a ZIP local header before the name


def check(subject: CheckSubject, rules: Rules) -> Iterator[Issue]:
    """Issues usdz.*"""
    for file in subject.files:
        if file.format != "usdz":
            continue
        data, where = subject.read(file), f"/files/{file.name}"
        subject.measured["usdz_bytes"] = len(data)
        wrong = list(_layout(data, where))
        yield from wrong
        if not wrong:
            yield from _textures(data, where, rules.checks.max_texture_px)
            yield from _stage(subject, data, where)


def _layout(data: bytes, where: str) -> Iterator[Issue]:
    """The archive as the specification wants it."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            members = package.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        yield issue("usdz.layout", "It is no ZIP archive.", pointer=where)
        return
    if not members or not members[0].filename.endswith(LAYERS):
        yield issue("usdz.layout", "The first file is no USD layer.", pointer=where)
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
                f"{member.filename[:80]} has no place in a package.",
                pointer=where,
                limit=", ".join((*LAYERS, *PICTURES, *SOUNDS)),
            )
        extra = int.from_bytes(data[member.header_offset + 28 : member.header_offset + 30], "little")
        start = member.header_offset + _HEADER + len(member.filename.encode()) + extra
        if member.compress_type != zipfile.ZIP_STORED or start % ALIGNMENT:
            yield issue(
                "usdz.layout",
                f"{member.filename[:80]} is compressed or not aligned.",
                pointer=where,
                measured=start % ALIGNMENT,
                limit=0,
            )


def _textures(data: bytes, where: str, most_px: int) -> Iterator[Issue]:
    """Pictures that open, of a type Quick Look knows, within the limit."""
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        for name in (n for n in package.namelist() if n.lower().endswith(PICTURES)):
            try:
                with Image.open(io.BytesIO(package.read(name)), formats=("PNG", "JPEG")) as picture:
                    side = max(picture.size)
            except (OSError, ValueError, SyntaxError, zipfile.BadZipFile, Image.DecompressionBombError):
                yield issue("usdz.texture", f"{name} is no PNG or JPEG that can be opened.", pointer=where)
                continue
            if side > most_px:
                yield issue(
                    "usdz.texture",
                    f"{name} is too large.",
                    pointer=where,
                    measured=f"{side} px",
                    limit=f"{most_px} px",
                )


def _stage(subject: CheckSubject, data: bytes, where: str) -> Iterator[Issue]:
    """What OpenUSD reads in it."""
    with open_usdz(data) as stage:
        if stage is None:
            yield issue("usdz.layout", "OpenUSD cannot open it.", pointer=where)
            return
        yield from _validated(stage, where)
        if not stage.GetDefaultPrim():
            yield issue("usdz.stage", "It names no default prim: Quick Look may show nothing.", pointer=where)
        up, metres = str(UsdGeom.GetStageUpAxis(stage)), float(UsdGeom.GetStageMetersPerUnit(stage))
        if up != "Y":
            yield issue("usdz.axis", "Its up axis is not Y.", pointer=where, measured=up, limit="Y")
        box = UsdGeom.BBoxCache(
            Usd.TimeCode.Default(), [UsdGeom.Tokens.default_, UsdGeom.Tokens.render]
        ).ComputeWorldBound(stage.GetPseudoRoot())
        size = np.array(box.ComputeAlignedRange().GetSize()) * metres
        yield from _same_size(subject, size, where)


def _validated(stage: Usd.Stage, where: str) -> Iterator[Issue]:
    validators = UsdValidation.ValidationRegistry().GetOrLoadAllValidators()
    for error in UsdValidation.ValidationContext(validators).Validate(stage):
        kind = str(error.GetType()).rsplit(".", 1)[-1]
        code: IssueCode = "usdz.stage" if "Error" in kind else "usdz.advice"
        yield issue(code, f"{error.GetName()}: {error.GetMessage()[:300]}", pointer=where)


def _same_size(
    subject: CheckSubject, size: np.ndarray[tuple[int], np.dtype[np.float64]], where: str
) -> Iterator[Issue]:
    """The size in metres against the GLB's."""
    if not subject.has("glb"):
        return
    try:
        wanted = subject.surface.extent
    except InputError:
        return  # the checks of the GLB say so
    off = float(np.abs(size / np.maximum(wanted, 1e-9) - 1).max())
    if not off <= SIZE_TOLERANCE:
        told, limit = (" x ".join(f"{v:.3f}" for v in s) + " m" for s in (size, wanted))
        yield issue(
            "usdz.differs", "It does not have the size of the GLB.", pointer=where, measured=told, limit=limit
        )
