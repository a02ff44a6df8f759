"""Each provider's adapter with the server that plays its vendor, and what this vendor's answers can and cannot be."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, cast

from dam_connector.adapters import open_adapter
from dam_connector.adapters.common.context import AdapterContext
from dam_connector.adapters.http import HttpClient
from dam_connector.domain.rules import Connection
from dam_connector.domain.run import RunKind
from dam_connector.fakes import comfyui, fal, hunyuan3d, meshy, openai_images, server, stability, tripo
from dam_connector.ports import GenerationRequest, InboundWebhook, Provider, RemoteTask
from tests.support import picture, product

WORKFLOW = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "{{image:front}}"}},
    "3": {
        "class_type": "KSampler",
        "inputs": {"seed": "{{seed}}", "text": "a photo: {{prompt}}", "steps": 20},
    },
    "9": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "{{sku}}"}},
}


def generation_request(
    kind: RunKind = RunKind.MODEL, *, none: bool = False, key: str = "run_1", **views: bytes
) -> GenerationRequest:
    pictures = {} if none else views or {"front": picture()}
    return GenerationRequest(
        key=key,
        product=product(),
        pictures=pictures,
        kind=kind,
        prompt="a chair",
        max_triangles=10_000,
        seed=7,
    )


@dataclass
class ProviderHarness:
    """One vendor. fake: its server, None for memory. links: what it made lies behind links that die. failed: the operation and the fault with
    which its task fails. patient: whether its answer is waited for as long as a picture takes. odd, tells_model, knows_its_tasks: whether it
    tells a status, the model, and which tasks it does not know."""

    name: str
    context: AdapterContext
    fake: Any = None
    api_key: str = "(it has no key)"
    options: dict[str, Any] = field(default_factory=dict)
    has_links: bool = True
    link_fault: str = "task"
    failed: tuple[str, str] | None = ("task", "failed")
    failed_words: str = "content policy"
    reports_unknown_status: bool = True
    reports_model: bool = False
    knows_its_tasks: bool = True
    unknown_ref: str = "nothing"
    uploads: bool = False
    polls: bool = True
    patient: bool = False
    excluded_faults: tuple[str, ...] = ()

    def adapter(self, **options: Any) -> Provider:
        """The adapter, allowed to talk to its fake and to nothing else on loopback."""
        base = {"base_url": self.fake.base_url} if self.fake else {}
        http = HttpClient(frozenset({self.fake.host} if self.fake else ()), timeout_s=self.context.http.timeout_s)
        connection = Connection(adapter=self.name, options={**base, **self.options, **options})
        opened: Any = open_adapter("provider", self.name, connection, replace(self.context, http=http))
        if not self.fake:
            opened.results = (server.MINIMAL_GLB,)
        return opened  # type: ignore[no-any-return]

    def can_meet(self, operation: str, fault: str) -> bool:
        """Whether this vendor's operation can meet the fault."""
        if (
            not self.fake
            or fault in self.excluded_faults
            or (operation == "upload" and not self.uploads)
            or (operation == "poll" and not self.polls)
        ):
            return False
        generic = (*server.FAULTS_BEFORE_WORK, "lost", "500 after", "nonsense", "flood")
        return fault in self.fake.errors or (fault in generic and f"{operation} {fault}" not in self.excluded_faults)

    def task_after_fault(self, provider: Provider, operation: str, fault: str) -> RemoteTask:
        """The task as it is told when the vendor says this of it."""
        if provider.capabilities.tasks_per_poll:
            task = provider.submit(generation_request(provider.capabilities.kinds[0]))
            self.fake.faults[operation] = [fault]
            return provider.poll([task.ref])[task.ref]
        self.fake.faults[operation] = [fault]
        return provider.submit(generation_request(provider.capabilities.kinds[0]))

    def now(self) -> datetime:
        return self.context.clock.now()

    def inbound(self, headers: Mapping[str, str], body: bytes) -> InboundWebhook:
        return InboundWebhook(headers=headers, body=body, received_at=self.now())


def glb(pictures: Mapping[str, bytes]) -> bytes:
    return server.MINIMAL_GLB


def png(pictures: Mapping[str, bytes]) -> bytes:
    return picture(format="PNG")


def _tripo(context: AdapterContext) -> ProviderHarness:
    return ProviderHarness(
        "tripo", context, tripo.FakeTripo(glb), tripo.API_KEY, {"api_key": "env/KEY"}, reports_model=True, uploads=True
    )


def _meshy(context: AdapterContext) -> ProviderHarness:
    return ProviderHarness(
        "meshy",
        context,
        meshy.FakeMeshy(glb),
        server.API_KEY,
        {"api_key": "env/KEY"},
        reports_model=True,
        unknown_ref="image-to-3d/nothing",
    )


def _stability(context: AdapterContext) -> ProviderHarness:
    fake = stability.FakeStability(glb)
    unmet = (
        "submit nonsense",
        "submit no json",
        "submit flood",
    )  # a file is what it is: one that is none is paid for and told as failed
    return ProviderHarness(
        "stability",
        context,
        fake,
        server.API_KEY,
        {"api_key": "env/KEY"},
        has_links=False,
        polls=False,
        patient=True,
        failed=("task", "wrong magic"),
        reports_unknown_status=False,
        failed_words="GLB",
        excluded_faults=unmet,
    )


def _hunyuan3d(context: AdapterContext) -> ProviderHarness:
    return ProviderHarness(
        "hunyuan3d",
        context,
        hunyuan3d.FakeHunyuan3D(glb),
        has_links=False,
        failed=None,
        knows_its_tasks=False,
        excluded_faults=("401",),
    )


def _comfyui(context: AdapterContext) -> ProviderHarness:
    fake = comfyui.FakeComfyUI(png)
    options = {"workflow": "workflow.json"}
    return ProviderHarness(
        "comfyui",
        context,
        fake,
        options=options,
        has_links=False,
        failed=("history", "failed"),
        reports_unknown_status=False,
        knows_its_tasks=False,
        uploads=True,
        excluded_faults=("401",),
    )


def _fal(context: AdapterContext) -> ProviderHarness:
    fake = fal.FakeFal(png)
    options = {"api_key": "env/KEY", "model": "fal-ai/flux-pro/kontext"}
    ref = "nothing {0}/x/requests/nothing/status {0}/x/requests/nothing {0}/x/requests/nothing/cancel"
    return ProviderHarness("fal", context, fake, server.API_KEY, options, link_fault="link", unknown_ref=ref)


def _openai_images(context: AdapterContext) -> ProviderHarness:
    fake = openai_images.FakeOpenAIImages(png)
    failed = ("task", "wrong magic")
    return ProviderHarness(
        "openai_images",
        context,
        fake,
        server.API_KEY,
        {"api_key": "env/KEY"},
        has_links=False,
        failed=failed,
        polls=False,
        patient=True,
        failed_words="not usable",
        reports_unknown_status=False,
        excluded_faults=("submit flood",),
    )


def _memory(context: AdapterContext) -> ProviderHarness:
    return ProviderHarness("memory", context, has_links=False, failed=None, reports_unknown_status=False, polls=False)


HARNESSES = {
    "memory": _memory,
    "tripo": _tripo,
    "meshy": _meshy,
    "stability": _stability,
    "hunyuan3d": _hunyuan3d,
    "comfyui": _comfyui,
    "fal": _fal,
    "openai_images": _openai_images,
}
ALL = {
    name: make(cast(AdapterContext, None)) for name, make in HARNESSES.items()
}  # as they are described: nothing is opened


def vendors_where(which: Callable[[ProviderHarness], object]) -> list[str]:
    """The vendors of which this holds."""
    return [name for name, harness in ALL.items() if which(harness)]


def fault_cases(operation: str, faults: Iterable[str]) -> list[tuple[str, str]]:
    """Each vendor with each of these faults that this operation of it can meet."""
    return [
        (name, fault) for name, harness in ALL.items() for fault in faults if harness.can_meet(operation, fault)
    ]
