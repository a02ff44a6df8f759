"""File limits: the GLB's bytes, triangles, materials and textures against the limits of plugin.json."""

from collections.abc import Iterator

from dam_connector.domain.issue import Issue, issue
from dam_connector.domain.rules import Rules
from dam_connector.errors import InputError
from worker.measuring.check_subject import CheckSubject


def check(subject: CheckSubject, rules: Rules) -> Iterator[Issue]:
    """Yield file.*"""
    limits, size = rules.checks, len(subject.glb)
    subject.facts["bytes"] = size
    if size > limits.max_model_bytes:
        yield issue(
            "file.bytes",
            "The GLB is too large.",
            measured=f"{size / 1e6:.2f} MB",
            limit=f"{limits.max_model_bytes / 1e6:.2f} MB",
        )
    try:
        yield from _material_issues(subject, rules)
        yield from _texture_issues(subject, rules)
        triangles = sum(len(p.faces) for p in subject.document.primitives)
    except InputError as error:
        yield error.to_issue()
        return
    subject.facts["triangles"] = triangles
    subject.facts["vertices"] = sum(len(p.positions) for p in subject.document.primitives)
    if triangles > limits.max_triangles:
        yield issue("file.triangles", "Too many triangles.", measured=triangles, limit=limits.max_triangles)


def _material_issues(subject: CheckSubject, rules: Rules) -> Iterator[Issue]:
    materials = subject.document.rows("materials")
    subject.facts["materials"] = len(materials)
    if len(materials) > rules.checks.max_materials:
        yield issue(
            "file.materials", "Too many materials.", measured=len(materials), limit=rules.checks.max_materials
        )
    for number, material in enumerate(materials):
        pbr, where = material.get("pbrMetallicRoughness"), f"/materials/{number}"
        if not isinstance(pbr, dict):
            yield issue("file.not_pbr", "No pbrMetallicRoughness.", pointer=where)
        elif "baseColorTexture" not in pbr:
            yield issue("file.texture_missing", "No base colour texture.", pointer=where)
    if not materials:
        yield issue("file.texture_missing", "No material at all.", pointer="/materials")


def _texture_issues(subject: CheckSubject, rules: Rules) -> Iterator[Issue]:
    most = rules.checks.max_texture_px
    for texture in subject.textures:
        side = max(texture.width, texture.height)
        if side > most:
            yield issue(
                "file.texture_size",
                "The texture is too large.",
                pointer=f"/images/{texture.index}",
                measured=f"{side} px",
                limit=f"{most} px",
            )
    subject.facts["texture_px"] = max((max(t.width, t.height) for t in subject.textures), default=0)
