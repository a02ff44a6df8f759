"""The official Khronos glTF validator (npm `gltf-validator`), run in V8 in this process."""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from worker.javascript import Script, ScriptFailed

MAX_ISSUES = 100
VALIDATOR = Script("gltf_validator.dart.js")
_RUN = """
var resources = %s;
var find = function(uri) {
  var name = resources[decodeURIComponent(uri)];
  return name === undefined ? Promise.reject('not there') : Promise.resolve(globalThis[name]);
};
var options = {maxIssues: %d, format: '%s', writeTimestamp: false, externalResourceFunction: find};
exports.validateBytes(input, options).then(
  function(report) { answer = JSON.stringify(report); },
  function(error) { answer = JSON.stringify({failed: String(error)}); });
"""


def validate_gltf(
    data: bytes,
    *,
    format: str = "glb",
    max_issues: int = MAX_ISSUES,
    resources: Mapping[str, bytes] = MappingProxyType({}),
) -> dict[str, Any]:
    """Validate a glTF file.

    Args:
        data: The file.
        format: `glb`, or `gltf` for a JSON file.
        max_issues: The validator stops after so many.
        resources: The files that it refers to, by their relative paths.

    Returns:
        The validator's own report; `{"failed": reason}` when it could not read the file; `{}` when it is not
        installed.
    """
    if not VALIDATOR.path.exists():
        return {}
    try:
        names = {path: f"resource_{number}" for number, path in enumerate(resources)}
        inputs = {"input": data, **{names[path]: content for path, content in resources.items()}}
        answer, _ = VALIDATOR.run(_RUN % (json.dumps(names), max_issues, format), inputs)
    except ScriptFailed as error:
        return {"failed": str(error)}
    found: dict[str, Any] = json.loads(answer)
    return found
