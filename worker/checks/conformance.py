"""Conformance: what the official Khronos glTF validator says, and what is inside compressed streams, which it does not look into."""

from collections.abc import Iterator, Mapping
from typing import Any

from dam_connector.domain.file_names import LODS, WEB_GLB
from dam_connector.domain.issue import Issue, issue
from dam_connector.domain.issue_codes import IssueCode
from dam_connector.domain.rules import Rules
from dam_connector.errors import InputError
from worker.gltf.mesh_compression import DRACO, MESHOPT, MESHOPT_KHR
from worker.measuring.check_subject import CheckSubject
from worker.measuring.khronos_validator import MAX_ISSUES, validate

_CODES: Mapping[int, IssueCode] = {0: "conformance.error", 1: "conformance.warning"}
SHOWN = 20  # of one kind; the rest is counted


def check(subject: CheckSubject, rules: Rules) -> Iterator[Issue]:
    """Issues conformance.*, file.stream; hints and infos are left out."""
    report = subject.validation
    if not report:
        yield issue("conformance.not_tested", "The Khronos validator is not installed here.")
        return
    if "failed" not in report:
        found = report["issues"]
        subject.measured["validator"] = (
            f"{found['numErrors']} errors, {found['numWarnings']} warnings, {found['numInfos']} infos, {found['numHints']} hints"
        )
    yield from _said(report, "")
    yield from _streams(subject)
    for file in subject.files:
        if file.format in (WEB_GLB, *LODS):
            yield from _said(validate(subject.read(file)), f"/files/{file.name}")


def _said(report: dict[str, Any], where: str) -> Iterator[Issue]:
    """The validator's errors and warnings. where: before its pointers."""
    if "failed" in report:
        yield issue(
            "conformance.error",
            f"The validator could not read the file: {report['failed'][:200]}",
            pointer=where,
        )
        return
    found = report["issues"]
    shown = [m for m in found["messages"] if m["severity"] in _CODES]
    for message in shown[:SHOWN]:
        yield issue(
            _CODES[message["severity"]],
            f"{message['code']}: {message['message']}",
            pointer=where + message.get("pointer", ""),
        )
    if len(shown) > SHOWN:
        more = f"{'more than ' if found.get('truncated') else ''}{min(len(shown), MAX_ISSUES) - SHOWN}"
        yield issue(
            _CODES[min(m["severity"] for m in shown[SHOWN:])],
            f"There are {more} further findings of the validator.",
            pointer=where,
        )


def _streams(subject: CheckSubject) -> Iterator[Issue]:
    """Draco and meshopt streams, decoded: counts and bounds are those that the accessors promise."""
    try:
        document = subject.document
        used = document.json.get("extensionsUsed")
        if not isinstance(used, list) or not {DRACO, MESHOPT, MESHOPT_KHR} & {str(u) for u in used}:
            return
        for p in document.primitives:
            yield from _promised(subject, p.where, len(p.positions))
    except InputError as error:
        yield issue(error.issue_code, str(error), pointer=error.pointer)


def _promised(subject: CheckSubject, where: str, vertices: int) -> Iterator[Issue]:
    """What the accessor of the positions promises, against what the stream holds."""
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
