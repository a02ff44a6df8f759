"""The official Khronos glTF validator (npm `gltf-validator`), in-process in V8."""

import json
from typing import Any

from worker.javascript import Script, ScriptFailed

MAX_ISSUES = 100
VALIDATOR = Script("gltf_validator.dart.js")
_RUN = """
exports.validateBytes(input, {maxIssues: %d, format: '%s', writeTimestamp: false}).then(
  function(report) { answer = JSON.stringify(report); }, function(error) { answer = JSON.stringify({failed: String(error)}); });
"""


def validate(data: bytes, *, format: str = "glb", max_issues: int = MAX_ISSUES) -> dict[str, Any]:
    """The validator's own report on a GLB (or glTF), or `{"failed": why}`; nothing where the validator is not installed."""
    if not VALIDATOR.path.exists():
        return {}
    try:
        answer, _ = VALIDATOR.run(_RUN % (max_issues, format), {"input": data})
    except ScriptFailed as error:
        return {"failed": str(error)}
    found: dict[str, Any] = json.loads(answer)
    return found
