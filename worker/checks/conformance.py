"""Conformance: findings of the Khronos glTF validator, and in streams, which it does not decode."""

from collections.abc import Iterator, Mapping
from typing import Any

from dam_connector.domain.file_names import LODS, WEB_GLB
from dam_connector.domain.issue import Issue, issue
from dam_connector.domain.issue_codes import IssueCode
from dam_connector.domain.rules import Rules
from dam_connector.errors import InputError
from worker.gltf.features import unknown_required_extensions
from worker.gltf.mesh_compression import DRACO, MESHOPT, MESHOPT_KHR
from worker.measuring.check_subject import CheckSubject
from worker.measuring.khronos_validator import MAX_ISSUES, validate_gltf

_CODES: Mapping[int, IssueCode] = {0: "conformance.error", 1: "conformance.warning"}
# A web GLB has no tangents where viewers can compute them: they would be an eighth of its bytes.
WEB_GLB_REMARKS = ("MESH_PRIMITIVE_GENERATED_TANGENT_SPACE",)
# The validator knows no KTX2, which KHR_texture_basisu allows.
_KTX2, _KTX2_REMARKS = "'image/ktx2'", ("VALUE_NOT_IN_LIST", "IMAGE_UNRECOGNIZED_FORMAT")
MAX_SHOWN = 20  # findings of one file that are issues of their own; the others are counted


def check(subject: CheckSubject, rules: Rules) -> Iterator[Issue]:
    """Yield conformance.*, file.stream, file.padding and file.extension_unknown.

    Hints and infos of the validator are left out.
    """
    yield from _container_issues(subject)
    report = subject.validator_report
    if not report:
        yield issue("conformance.not_tested", "The Khronos validator is not installed here.")
        return
    if "failed" not in report:
        found = report["issues"]
        subject.facts["validator"] = (
            f"{found['numErrors']} errors, {found['numWarnings']} warnings, "
            f"{found['numInfos']} infos, {found['numHints']} hints"
        )
    yield from _validator_issues(report, "")
    yield from _stream_issues(subject)
    for file in subject.files:
        if file.format in (WEB_GLB, *LODS):
            ignored = WEB_GLB_REMARKS if file.format == WEB_GLB else ()
            yield from _validator_issues(validate_gltf(subject.read(file)), f"/files/{file.name}", ignored)


def _container_issues(subject: CheckSubject) -> Iterator[Issue]:
    """Yield file.padding and file.extension_unknown."""
    behind = len(subject.stored_glb) - len(subject.glb)
    if behind:
        yield issue("file.padding", f"{behind:,} bytes lie behind its end.", measured=behind, limit=0)
    try:
        unknown = unknown_required_extensions(subject.document)
    except InputError:
        return  # another check reports it
    for name in unknown:
        yield issue(
            "file.extension_unknown",
            f"It requires {name[:80]}.",
            pointer="/extensionsRequired",
            measured=name[:80],
        )


def _validator_issues(report: dict[str, Any], where: str, ignored: tuple[str, ...] = ()) -> Iterator[Issue]:
    """Yield an issue for each error and warning of the validator.

    Args:
        report: The validator's report.
        where: It is put before the report's pointers.
        ignored: Codes that are no issue here.
    """
    if "failed" in report:
        yield issue(
            "conformance.error",
            f"The validator could not read the file: {report['failed'][:200]}",
            pointer=where,
        )
        return
    found = report["issues"]
    pointers = [m.get("pointer", "") for m in found["messages"] if _KTX2 in m["message"]]
    ktx2 = {pointer.removesuffix("/mimeType") for pointer in pointers}
    shown = [
        m
        for m in found["messages"]
        if m["severity"] in _CODES
        and m["code"] not in ignored
        and not (m["code"] in _KTX2_REMARKS and m.get("pointer", "").removesuffix("/mimeType") in ktx2)
    ]
    for message in shown[:MAX_SHOWN]:
        yield issue(
            _CODES[message["severity"]],
            f"{message['code']}: {message['message']}",
            pointer=where + message.get("pointer", ""),
        )
    if len(shown) > MAX_SHOWN:
        more = f"{'more than ' if found.get('truncated') else ''}{min(len(shown), MAX_ISSUES) - MAX_SHOWN}"
        yield issue(
            _CODES[min(m["severity"] for m in shown[MAX_SHOWN:])],
            f"There are {more} further findings of the validator.",
            pointer=where,
        )


def _stream_issues(subject: CheckSubject) -> Iterator[Issue]:
    """Yield file.stream for streams that cannot be decoded, or differ from their accessors."""
    try:
        document = subject.document
        used = document.json.get("extensionsUsed")
        if not isinstance(used, list) or not {DRACO, MESHOPT, MESHOPT_KHR} & {str(u) for u in used}:
            return
        for p in document.primitives:
            yield from _count_issues(subject, p.where, len(p.positions))
    except InputError as error:
        yield issue(error.issue_code, str(error), pointer=error.pointer)


def _count_issues(subject: CheckSubject, where: str, vertices: int) -> Iterator[Issue]:
    """Yield file.stream when the stream holds another number of vertices than its accessor states."""
    _, _, mesh, _, number = where.split("/")
    row = subject.document.rows("meshes")[int(mesh)]["primitives"][int(number)]
    accessor = row["attributes"]["POSITION"]
    count = subject.document.rows("accessors")[accessor].get("count") if isinstance(accessor, int) else None
    if count != vertices:
        yield issue(
            "file.stream",
            "The stream holds another number of vertices than its accessor.",
            pointer=where,
            measured=vertices,
            limit=count,
        )
