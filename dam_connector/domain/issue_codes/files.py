"""Issue codes about model files (GLB, USDZ) and about file names."""

from dam_connector.domain.issue_codes.code import IssueCode, IssueSpec

FILE_CODES: dict[IssueCode, IssueSpec] = {
    # the GLB
    "file.unreadable": IssueSpec(
        "error",
        "The file is not a glTF 2.0 binary that can be read.",
        "Export it again as GLB.",
    ),
    "file.too_complex": IssueSpec(
        "error",
        "The model is more complex than any viewer can show, so it was not checked further.",
        "Simplify the mesh, and remove repeated instances.",
    ),
    "file.harmful": IssueSpec(
        "error",
        "The check of the file crashed or used too much memory.",
        "Do not use this file: it is damaged or malicious. Export it again.",
    ),
    "file.too_slow": IssueSpec(
        "error",
        "A check of the file took too long. It says nothing about the file; the other checks were made.",
        "Simplify the model and check it again, or look at what the check tests and accept the error.",
    ),
    "file.padding": IssueSpec(
        "warning",
        "The GLB has bytes behind its end. Viewers do not read them.",
        "Export the file again, or cut it to the length that its header states.",
    ),
    "file.extension_unknown": IssueSpec(
        "error",
        "The GLB requires an extension that viewers do not know, so they refuse it.",
        "Export it without this extension.",
    ),
    "file.check_failed": IssueSpec(
        "error",
        "A check could not be run because of a fault in the connector; this says nothing about the file.",
        "Check the file yourself before you accept it.",
        admin="Report the fault with the traceback from the log.",
    ),
    "file.stream": IssueSpec(
        "error",
        "A Draco or meshopt stream cannot be decoded, or does not match its accessors.",
        "Compress the model again.",
    ),
    "file.bytes": IssueSpec(
        "error",
        "The file is larger than the rules allow.",
        "Shrink the textures, or compress the model.",
        admin="Or raise `checks.max_model_bytes`.",
    ),
    "file.triangles": IssueSpec(
        "error",
        "The model has more triangles than the rules allow.",
        "Simplify the mesh.",
        admin="Or raise `checks.max_triangles`.",
    ),
    "file.texture_size": IssueSpec(
        "error",
        "A texture is larger than the rules allow.",
        "Resize the texture.",
        admin="Or raise `checks.max_texture_px`.",
    ),
    "file.texture_missing": IssueSpec(
        "warning",
        "The model has no base colour texture.",
        "Bake a base colour texture.",
    ),
    "file.materials": IssueSpec(
        "warning",
        "The model has more materials than the rules allow.",
        "Merge materials into one atlas.",
    ),
    "file.not_pbr": IssueSpec(
        "warning",
        "A material does not use the metallic-roughness model.",
        "Convert the material to pbrMetallicRoughness.",
    ),
    # the Khronos validator
    "conformance.error": IssueSpec(
        "error",
        "The Khronos glTF validator reports an error.",
        "Correct the place that the pointer names. The message is the validator's.",
    ),
    "conformance.warning": IssueSpec(
        "warning",
        "The Khronos glTF validator reports a warning.",
        "Correct the place that the pointer names. The message is the validator's.",
    ),
    "conformance.not_tested": IssueSpec(
        "info",
        "The Khronos glTF validator could not be run.",
        "Check the file with another validator before you approve it.",
        admin="Run `make frontend`, which fetches the validator, then check again.",
    ),
    # the USDZ
    "usdz.layout": IssueSpec(
        "error",
        "Quick Look cannot open the USDZ package.",
        "Regenerate it. If the issue comes back, report it.",
    ),
    "usdz.stage": IssueSpec(
        "error",
        "The validators of OpenUSD report an error in the USDZ.",
        "Correct the place that the message names, or regenerate.",
    ),
    "usdz.advice": IssueSpec(
        "info",
        "The validators of OpenUSD advise a change.",
        "Correct the place that the message names, if it matters.",
    ),
    "usdz.axis": IssueSpec(
        "error",
        "The USDZ is not upright in Quick Look.",
        "Export with Y up.",
    ),
    "usdz.texture": IssueSpec(
        "error",
        "A texture in the USDZ has a format that Quick Look does not show, or is too large.",
        "Use PNG or JPEG within the limit.",
    ),
    "usdz.differs": IssueSpec(
        "error",
        "The USDZ does not have the size of the GLB.",
        "Set metersPerUnit to the unit of the coordinates, or regenerate.",
    ),
    "usdz.lost": IssueSpec(
        "warning",
        "The USDZ cannot hold all of the GLB's look or movement. The GLB keeps it.",
        "Compare both AR views. Bake what the message names into textures if Quick Look has to show it.",
    ),
    # further GLBs of the same model
    "lod.differs": IssueSpec(
        "error",
        "A level of detail does not have the size of the model, or is not lighter than it.",
        "Regenerate it. If the issue comes back, report it.",
    ),
    "lod.lost": IssueSpec(
        "warning",
        "The levels of detail cannot hold all of the model's look. The GLB keeps it.",
        "Compare them with the model.",
        admin="Or leave the levels out of `formats`.",
    ),
    "web.over_budget": IssueSpec(
        "warning",
        "The web GLB is over its budget. A further step would have changed its look too much, or was none.",
        "Supply a lighter model.",
        admin="Or raise `web_budget` of the deliverable, or lower its `min_ssim`.",
    ),
    "web.differs": IssueSpec(
        "error",
        "The web GLB does not contain the same model as the plain GLB.",
        "Regenerate it. If the issue comes back, report it.",
    ),
    # file names
    "naming.pattern": IssueSpec(
        "error",
        "A file name does not follow the naming rule.",
        "Rename the file as the report says.",
    ),
    "naming.profile": IssueSpec(
        "warning",
        "A file name does not follow the naming rule of a profile.",
        "Rename the file as the report says.",
        admin="Or give its deliverable a pattern of that kind.",
    ),
}
