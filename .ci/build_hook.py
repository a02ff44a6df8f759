"""Build hook: a wheel or sdist without the files that `make frontend` fetches is not built.

The wheel gets the documents that the pages under /help show.
"""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FETCHED = (  # by `make frontend`: from npm (package-lock.json pins them) and PyPI (net-requirements.txt)
    "dam_connector/web/static/vendor/model-viewer.min.js",
    "dam_connector/web/static/vendor/model-viewer.LICENSE",
    "dam_connector/web/static/vendor/draco_decoder.wasm",
    "dam_connector/web/static/vendor/draco_wasm_wrapper.js",
    "dam_connector/web/static/vendor/draco.LICENSE",
    "dam_connector/web/static/vendor/swagger-ui-bundle.js",
    "dam_connector/web/static/vendor/swagger-ui.css",
    "dam_connector/web/static/vendor/swagger-ui.LICENSE",
    "worker/vendor/gltf_validator.dart.js",
    "worker/vendor/gltf_validator.LICENSE",
    "worker/vendor/meshopt_decoder.cjs",
    "worker/vendor/meshopt_encoder.js",
    "worker/vendor/meshopt_simplifier.js",
    "worker/vendor/meshoptimizer.LICENSE",
    "worker/vendor/u2netp.onnx",
    "worker/vendor/u2netp.LICENSE",
    "worker/vendor/selfie_segmentation.tflite",
    "worker/vendor/selfie_segmentation.LICENSE",
)


class FetchedFiles(BuildHookInterface):
    """Check that every fetched file is there and not empty, before anything is built."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Stop the build when a file is missing.

        An editable install (`version` is "editable") is allowed, since it runs before the files are fetched.
        """
        if version == "editable":
            return
        root = Path(self.root)
        missing = [
            name for name in FETCHED if not (root / name).is_file() or not (root / name).stat().st_size
        ]
        if missing:
            raise SystemExit(
                f"The build would lack {len(missing)} files: {', '.join(missing)}.\n"
                "Run `make frontend` (it fetches them from npm and PyPI), then build again."
            )
        if self.target_name == "wheel":
            documents = [*root.glob("docs/*.md"), *root.glob("docs/connections/*.md")]
            inside = {str(path): f"dam_connector/{path.relative_to(root).as_posix()}" for path in documents}
            build_data["force_include"].update(inside)
