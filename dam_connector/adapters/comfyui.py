"""The provider adapter for a self-hosted ComfyUI: any workflow that it can run, for pictures or models.

Facts and setup: docs/connections/comfyui.md.
"""

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from dam_connector.adapters.common.context import (
    AdapterContext,
    check_options,
    choice_option,
    integer_option,
    number_option,
)
from dam_connector.adapters.common.provider_client import (
    BUDGET_OPTIONS,
    MAX_MODEL_BYTES,
    MAX_PICTURE_BYTES,
    SUBMIT,
    ProviderClient,
    picture_part,
)
from dam_connector.adapters.common.request_template import check_template, fill_template
from dam_connector.domain.run import RunKind
from dam_connector.errors import BadOutput, ConfigError
from dam_connector.ports import GenerationRequest, ProviderCapabilities, RemoteTask, RemoteTaskState

BASE_URL = "http://127.0.0.1:8188"
KINDS = {"picture": RunKind.IMAGE, "model": RunKind.MODEL}
IMAGE_TYPES = ("image/jpeg", "image/png", "image/webp")
MAX_UPLOAD_BYTES = 50_000_000
MAX_HISTORY_BYTES = 16_000_000  # a history entry repeats the workflow
_ID_NAMESPACE = uuid.UUID("6f0e6f2b-7d6c-4a0e-9d3f-0f2f6c1f5c11")  # our own, for prompt ids
_OUTPUT_NAMES = {RunKind.IMAGE: ("images",), RunKind.MODEL: ("3d", "mesh", "glb")}


class ComfyUiProvider(ProviderClient):
    """A `Provider` on ComfyUI. The adapter chooses a task's id, so that a repeat starts no second one."""

    vendor = "comfyui"

    def __init__(
        self,
        context: AdapterContext,
        *,
        base_url: str,
        workflow: dict[str, Any],
        kind: RunKind,
        views: tuple[str, ...],
        task_timeout_min: float,
        concurrency: int,
    ) -> None:
        super().__init__(context, base_url, {})
        self._workflow, self._kind, self._views = workflow, kind, views
        self.capabilities = ProviderCapabilities(
            kinds=(kind,),
            views=views,
            concurrency=concurrency,
            is_idempotent=True,
            takes_prompts=True,
            task_timeout_s=60 * task_timeout_min,
            poll_interval_s=2.0,
        )

    def estimate(self, request: GenerationRequest) -> float:
        return 0.0

    def submit(self, request: GenerationRequest) -> RemoteTask:
        prompt_id = str(uuid.uuid5(_ID_NAMESPACE, request.key))
        pictures = self.select_pictures(request, self._views, IMAGE_TYPES, MAX_UPLOAD_BYTES)
        file_names = {view: self._upload(f"{prompt_id}-{view}", data) for view, data in pictures.items()}
        body = {
            "prompt": fill_template(self._workflow, request, file_names),
            "client_id": "dam-connector",
            "prompt_id": prompt_id,
        }
        answer = self.request_json("POST", "/prompt", SUBMIT, json=body)
        return RemoteTask(ref=self.task_ref(answer, "prompt_id"), state=RemoteTaskState.WAITING)

    def poll(self, refs: Sequence[str]) -> dict[str, RemoteTask]:
        return {ref: _to_task(ref, self._history(ref, "poll")) for ref in refs}

    def fetch(self, ref: str) -> tuple[bytes, ...]:
        is_model = self._kind is RunKind.MODEL
        max_bytes = MAX_MODEL_BYTES if is_model else MAX_PICTURE_BYTES
        check = self.check_glb if is_model else self.check_picture
        outputs = list(self._outputs(self._history(ref, "fetch")))
        if not outputs:
            raise BadOutput("comfyui", "fetch", f"the workflow has no {self._kind.value} among its outputs")
        return tuple(
            check(self.request("GET", f"/view?{urlencode(output)}", "fetch", max_bytes=max_bytes).body)
            for output in outputs
        )

    def _upload(self, name: str, picture: bytes) -> str:
        """Upload a picture; return the name under which the workflow refers to it."""
        answer = self.request_json(
            "POST",
            "/upload/image",
            "upload",
            files=[picture_part("image", name, picture)],
            fields={"overwrite": "true"},
        )
        if not isinstance(answer.get("name"), str):
            raise BadOutput("comfyui", "upload", "the answer has no name")
        return "/".join(filter(None, [str(answer.get("subfolder") or ""), answer["name"]]))

    def _outputs(self, history: Mapping[str, Any]) -> Iterator[dict[str, str]]:
        """Yield the address parameters of the workflow's output files, without temporary ones."""
        nodes = history.get("outputs")
        for node in nodes.values() if isinstance(nodes, dict) else ():
            for name in _OUTPUT_NAMES[self._kind]:
                for file in (node.get(name) or ()) if isinstance(node, dict) else ():
                    if (
                        isinstance(file, dict)
                        and "filename" in file
                        and file.get("type", "output") == "output"
                    ):
                        yield {
                            "filename": str(file["filename"]),
                            "subfolder": str(file.get("subfolder", "")),
                            "type": "output",
                        }

    def _history(self, ref: str, operation: str) -> dict[str, Any]:
        """Return the history entry of a task; it is empty while the task waits or runs."""
        path = f"/history/{ref}"
        entry = self.request_json("GET", path, operation, max_bytes=MAX_HISTORY_BYTES).get(ref)
        return entry if isinstance(entry, dict) else {}


def _to_task(ref: str, history: Mapping[str, Any]) -> RemoteTask:
    if not history:
        return RemoteTask(ref=ref, state=RemoteTaskState.RUNNING)
    status = history.get("status")
    if isinstance(status, dict) and status.get("status_str") == "error":
        error = _failure_reason(status)
        return RemoteTask(ref=ref, state=RemoteTaskState.FAILED, cost_usd=0.0, error=error)
    return RemoteTask(ref=ref, state=RemoteTaskState.SUCCEEDED, progress=100, cost_usd=0.0)


def _failure_reason(status: Mapping[str, Any]) -> str:
    """Return the node that failed and the message of its exception."""
    for kind, detail in status.get("messages") or ():
        if kind == "execution_error" and isinstance(detail, dict):
            node = f"node {detail.get('node_id')} {detail.get('node_type')}"
            return f"{node}: {detail.get('exception_message')}"[:300]
    return "the workflow failed"


def _load_workflow(path: Path) -> dict[str, Any]:
    """Read a workflow in API format.

    Raises:
        ConfigError: the file cannot be read, has another format, or uses unknown placeholders.
    """
    try:
        data = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        reason = f"{path.name} cannot be read ({type(error).__name__}); it must lie beside plugin.json"
        raise ConfigError(f"workflow: {reason}") from error
    if (
        not isinstance(data, dict)
        or not data
        or not all(isinstance(node, dict) and "class_type" in node for node in data.values())
    ):
        raise ConfigError(
            f"workflow: {path.name} is not a workflow in API format; export it with Save (API Format)"
        )
    check_template(data, f"workflow: {path.name}")
    return data


def connect(options: Mapping[str, Any], context: AdapterContext) -> ComfyUiProvider:
    """Open the adapter with the options of plugin.json."""
    check_options(
        options,
        "base_url",
        "workflow",
        "makes",
        "views",
        "longest_minutes",
        "concurrency",
        *BUDGET_OPTIONS,
    )
    name = str(options.get("workflow", ""))
    if not name or Path(name).name != name:
        raise ConfigError("workflow: the file name of a workflow that lies beside plugin.json")
    return ComfyUiProvider(
        context,
        base_url=str(options.get("base_url", BASE_URL)),
        workflow=_load_workflow(context.rules_folder / name),
        kind=KINDS[choice_option(options, "makes", "picture", KINDS)],
        views=tuple(options.get("views", ())),
        task_timeout_min=number_option(options, "longest_minutes", 20, 1, 600),
        concurrency=integer_option(options, "concurrency", 2, 1, 100),
    )
