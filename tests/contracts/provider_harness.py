"""The harness of the provider contract suite: each adapter on a fake server of its vendor."""

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
    kind: RunKind = RunKind.MODEL, *, without_pictures: bool = False, key: str = "run_1", **views: bytes
) -> GenerationRequest:
    pictures = {} if without_pictures else views or {"front": picture()}
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
    """A provider's adapter on the fake server of its vendor, and the faults that this vendor can have."""

    name: str
    context: AdapterContext
    fake: Any = None  # the fake server; None for the memory provider
    api_key: str = "(it has no key)"
    options: dict[str, Any] = field(default_factory=dict)
    has_links: bool = True  # results are behind links that expire
    link_fault: str = "task"  # the operation that makes such a link
    failed: tuple[str, str] | None = ("task", "failed")  # the operation and the fault that make a task fail
    failed_words: str = "content policy"  # in the error of a failed task
    reports_unknown_status: bool = True
    reports_model: bool = False  # a task names the model that it was made with
    knows_its_tasks: bool = True  # it tells a task that it does not know from one that runs
    unknown_ref: str = "nothing"
    uploads: bool = False  # pictures are uploaded before the submission
    polls: bool = True
    cancels: bool = False
    patient: bool = False  # a submission lasts as long as its task
    excluded_faults: tuple[str, ...] = ()  # a fault, or an operation and a fault

    def adapter(self, **options: Any) -> Provider:
        """Open the adapter; it may connect to its fake and to nothing else on loopback."""
        base = {"base_url": self.fake.base_url} if self.fake else {}
        http = HttpClient(
            frozenset({self.fake.host} if self.fake else ()), timeout_s=self.context.http.timeout_s
        )
        connection = Connection(adapter=self.name, options={**base, **self.options, **options})
        opened: Any = open_adapter("provider", self.name, connection, replace(self.context, http=http))
        if not self.fake:
            opened.results = (server.MINIMAL_GLB,)
        return opened  # type: ignore[no-any-return]

    def can_meet(self, operation: str, fault: str) -> bool:
        """Return whether an operation of this vendor can have the fault."""
        if (
            not self.fake
            or fault in self.excluded_faults
            or (operation == "upload" and not self.uploads)
            or (operation == "poll" and not self.polls)
        ):
            return False
        generic = (*server.FAULTS_BEFORE_WORK, "lost", "500 after", "nonsense", "flood")
        return fault in self.fake.errors or (
            fault in generic and f"{operation} {fault}" not in self.excluded_faults
        )

    def task_after_fault(self, provider: Provider, operation: str, fault: str) -> RemoteTask:
        """Return a task that was reported with a fault."""
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
        "tripo",
        context,
        tripo.FakeTripo(glb),
        tripo.API_KEY,
        {"api_key": "env/KEY"},
        reports_model=True,
        uploads=True,
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
        cancels=True,
    )


def _stability(context: AdapterContext) -> ProviderHarness:
    fake = stability.FakeStability(glb)
    # Any answer is taken for the file, so that a wrong one is a failed task that was billed.
    excluded_faults = (
        "submit nonsense",
        "submit no json",
        "submit flood",
    )
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
        excluded_faults=excluded_faults,
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
    return ProviderHarness(
        "fal", context, fake, server.API_KEY, options, link_fault="link", unknown_ref=ref, cancels=True
    )


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
    return ProviderHarness(
        "memory", context, has_links=False, failed=None, reports_unknown_status=False, polls=False
    )


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
# For the choice of cases: nothing is opened, so that the context is not used.
ALL = {name: make(cast(AdapterContext, None)) for name, make in HARNESSES.items()}


def vendors_where(condition: Callable[[ProviderHarness], object]) -> list[str]:
    """Return the names of the vendors for which the condition holds."""
    return [name for name, harness in ALL.items() if condition(harness)]


def fault_cases(operation: str, faults: Iterable[str]) -> list[tuple[str, str]]:
    """Return (vendor, fault) for each of the faults that this operation of the vendor can have."""
    return [
        (name, fault)
        for name, harness in ALL.items()
        for fault in faults
        if harness.can_meet(operation, fault)
    ]
