"""ComfyUI on a server of one's own: any workflow that it can run, for pictures or models. Facts: docs/connections/comfyui.md."""

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from dam_connector.adapters.common.context import AdapterContext, check_options, choice_option, number_option
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
TAKEN = ("image/jpeg", "image/png", "image/webp")
MAX_UPLOAD = 50_000_000
MAX_HISTORY = 16_000_000  # it repeats the workflow
_IDS = uuid.UUID("6f0e6f2b-7d6c-4a0e-9d3f-0f2f6c1f5c11")  # names our prompt ids
_OUTPUTS = {RunKind.IMAGE: ("images",), RunKind.MODEL: ("3d", "mesh", "glb")}


class ComfyUI(ProviderClient):
    """Tasks by the prompt id, which we choose: sent twice, it is one task."""

    vendor = "comfyui"

    def __init__(
        self,
        context: AdapterContext,
        base_url: str,
        workflow: dict[str, Any],
        kind: RunKind,
        views: tuple[str, ...],
        minutes: float,
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
            task_timeout_s=60 * minutes,
            poll_interval_s=2.0,
        )

    def estimate(self, request: GenerationRequest) -> float:
        return 0.0

    def submit(self, request: GenerationRequest) -> RemoteTask:
        prompt_id = str(uuid.uuid5(_IDS, request.key))
        names = {
            view: self._upload(f"{prompt_id}-{view}", data)
            for view, data in self.select_pictures(request, self._views, TAKEN, MAX_UPLOAD).items()
        }
        body = {
            "prompt": fill_template(self._workflow, request, names),
            "client_id": "dam-connector",
            "prompt_id": prompt_id,
        }
        return RemoteTask(
            ref=self.task_ref(self.request_json("POST", "/prompt", SUBMIT, json=body), "prompt_id"),
            state=RemoteTaskState.WAITING,
        )

    def _upload(self, name: str, picture: bytes) -> str:
        said = self.request_json(
            "POST",
            "/upload/image",
            "upload",
            files=[picture_part("image", name, picture)],
            fields={"overwrite": "true"},
        )
        if not isinstance(said.get("name"), str):
            raise BadOutput("comfyui", "upload", "the answer has no name")
        return "/".join(filter(None, [str(said.get("subfolder") or ""), said["name"]]))

    def poll(self, refs: Sequence[str]) -> dict[str, RemoteTask]:
        return {ref: self._task(ref, self._history(ref, "poll")) for ref in refs}

    def _task(self, ref: str, said: Mapping[str, Any]) -> RemoteTask:
        if not said:
            return RemoteTask(ref=ref, state=RemoteTaskState.RUNNING)
        status = said.get("status")
        if isinstance(status, dict) and status.get("status_str") == "error":
            return RemoteTask(ref=ref, state=RemoteTaskState.FAILED, cost_usd=0.0, error=_why(status))
        return RemoteTask(ref=ref, state=RemoteTaskState.SUCCEEDED, progress=100, cost_usd=0.0)

    def fetch(self, ref: str) -> tuple[bytes, ...]:
        most, what = (MAX_MODEL_BYTES, self.check_glb) if self._kind is RunKind.MODEL else (MAX_PICTURE_BYTES, self.check_picture)
        made = list(self._outputs(self._history(ref, "fetch")))
        if not made:
            raise BadOutput("comfyui", "fetch", f"the workflow put out no {self._kind.value}")
        return tuple(
            what(self.request("GET", f"/view?{urlencode(where)}", "fetch", max_bytes=most).body) for where in made
        )

    def _outputs(self, said: Mapping[str, Any]) -> Iterator[dict[str, str]]:
        """Where the files lie that the workflow put out for good."""
        outputs = said.get("outputs")
        for node in outputs.values() if isinstance(outputs, dict) else ():
            for name in _OUTPUTS[self._kind]:
                for each in (node.get(name) or ()) if isinstance(node, dict) else ():
                    if (
                        isinstance(each, dict)
                        and "filename" in each
                        and each.get("type", "output") == "output"
                    ):
                        yield {key: str(each.get(key, "")) for key in ("filename", "subfolder")} | {
                            "type": "output"
                        }

    def _history(self, ref: str, operation: str) -> dict[str, Any]:
        said = self.request_json("GET", f"/history/{ref}", operation, max_bytes=MAX_HISTORY).get(ref)
        return said if isinstance(said, dict) else {}


def _why(status: Mapping[str, Any]) -> str:
    """What a failed workflow says: the node and the words of its exception."""
    for kind, detail in status.get("messages") or ():
        if kind == "execution_error" and isinstance(detail, dict):
            return (
                f"node {detail.get('node_id')} {detail.get('node_type')}: {detail.get('exception_message')}"[
                    :300
                ]
            )
    return "the workflow failed"


def _workflow(path: Path) -> dict[str, Any]:
    """Raises: ConfigError unless the file is a workflow in API format."""
    try:
        data = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"workflow: {path.name} cannot be read ({type(error).__name__}); it lies beside plugin.json"
        ) from error
    if (
        not isinstance(data, dict)
        or not data
        or not all(isinstance(n, dict) and "class_type" in n for n in data.values())
    ):
        raise ConfigError(
            f"workflow: {path.name} is no workflow in API format; export it with Save (API Format)"
        )
    check_template(data, f"workflow: {path.name}")
    return data


def connect(options: Mapping[str, Any], context: AdapterContext) -> ComfyUI:
    check_options(options, "base_url", "workflow", "makes", "views", "longest_minutes", "concurrency", *BUDGET_OPTIONS)
    name = str(options.get("workflow", ""))
    if not name or Path(name).name != name:
        raise ConfigError("workflow: name the file of a workflow that lies beside plugin.json")
    return ComfyUI(
        context,
        base_url=str(options.get("base_url", BASE_URL)),
        workflow=_workflow(context.rules_folder / name),
        kind=KINDS[choice_option(options, "makes", "picture", KINDS)],
        views=tuple(options.get("views", ())),
        minutes=number_option(options, "longest_minutes", 20, 1, 600),
        concurrency=int(number_option(options, "concurrency", 2, 1, 100)),
    )
