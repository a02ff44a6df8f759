"""Each provider's adapter with the server that plays its vendor, and what this vendor's answers can and cannot be."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, cast

from dam_connector.adapters import open_adapter
from dam_connector.adapters.common.context import AdapterContext
from dam_connector.adapters.http import Http
from dam_connector.domain.rules import Connection
from dam_connector.domain.run import RunKind
from dam_connector.fakes import comfyui, fal, hunyuan3d, meshy, openai_images, server, stability, tripo
from dam_connector.ports import Generation, Inbound, Provider, Task
from tests.support import picture, product

WORKFLOW = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "{{image:front}}"}},
    "3": {
        "class_type": "KSampler",
        "inputs": {"seed": "{{seed}}", "text": "a photo: {{prompt}}", "steps": 20},
    },
    "9": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "{{sku}}"}},
}


def order(
    kind: RunKind = RunKind.MODEL, *, none: bool = False, key: str = "run_1", **views: bytes
) -> Generation:
    pictures = {} if none else views or {"front": picture()}
    return Generation(
        key=key,
        product=product(),
        pictures=pictures,
        kind=kind,
        prompt="a chair",
        max_triangles=10_000,
        seed=7,
    )


@dataclass
class Harness:
    """One vendor. fake: its server, None for memory. links: what it made lies behind links that die. failed: the operation and the fault with
    which its task fails. patient: whether its answer is waited for as long as a picture takes. odd, tells_model, knows_its_tasks: whether it
    tells a status, the model, and which tasks it does not know."""

    name: str
    kit: AdapterContext
    fake: Any = None
    key: str = "(it has no key)"
    options: dict[str, Any] = field(default_factory=dict)
    links: bool = True
    link_fault: str = "told"
    failed: tuple[str, str] | None = ("told", "failed")
    failed_words: str = "content policy"
    odd: bool = True
    tells_model: bool = False
    knows_its_tasks: bool = True
    unknown_ref: str = "nothing"
    uploads: bool = False
    polls: bool = True
    patient: bool = False
    unmet: tuple[str, ...] = ()

    def adapter(self, **options: Any) -> Provider:
        """The adapter, allowed to talk to its fake and to nothing else on loopback."""
        base = {"base_url": self.fake.base_url} if self.fake else {}
        http = Http(frozenset({self.fake.host} if self.fake else ()), timeout_s=self.kit.http.timeout_s)
        connection = Connection(adapter=self.name, options={**base, **self.options, **options})
        opened: Any = open_adapter("provider", self.name, connection, replace(self.kit, http=http))
        if not self.fake:
            opened.results = (server.GLB,)
        return opened  # type: ignore[no-any-return]

    def meets(self, operation: str, fault: str) -> bool:
        """Whether this vendor's operation can meet the fault."""
        if (
            not self.fake
            or fault in self.unmet
            or (operation == "upload" and not self.uploads)
            or (operation == "poll" and not self.polls)
        ):
            return False
        generic = (*server.BEFORE, "lost", "500 after", "nonsense", "flood")
        return fault in self.fake.errors or (fault in generic and f"{operation} {fault}" not in self.unmet)

    def after(self, provider: Provider, operation: str, fault: str) -> Task:
        """The task as it is told when the vendor says this of it."""
        if provider.capabilities.polls:
            task = provider.submit(order(provider.capabilities.makes[0]))
            self.fake.faults[operation] = [fault]
            return provider.poll([task.ref])[task.ref]
        self.fake.faults[operation] = [fault]
        return provider.submit(order(provider.capabilities.makes[0]))

    def now(self) -> datetime:
        return self.kit.clock.now()

    def inbound(self, headers: Mapping[str, str], body: bytes) -> Inbound:
        return Inbound(headers=headers, body=body, received_at=self.now())


def glb(pictures: Mapping[str, bytes]) -> bytes:
    return server.GLB


def png(pictures: Mapping[str, bytes]) -> bytes:
    return picture(format="PNG")


def _tripo(kit: AdapterContext) -> Harness:
    return Harness(
        "tripo", kit, tripo.FakeTripo(glb), tripo.KEY, {"api_key": "env/KEY"}, tells_model=True, uploads=True
    )


def _meshy(kit: AdapterContext) -> Harness:
    return Harness(
        "meshy",
        kit,
        meshy.FakeMeshy(glb),
        server.KEY,
        {"api_key": "env/KEY"},
        tells_model=True,
        unknown_ref="image-to-3d/nothing",
    )


def _stability(kit: AdapterContext) -> Harness:
    fake = stability.FakeStability(glb)
    unmet = (
        "submit nonsense",
        "submit no json",
        "submit flood",
    )  # a file is what it is: one that is none is paid for and told as failed
    return Harness(
        "stability",
        kit,
        fake,
        server.KEY,
        {"api_key": "env/KEY"},
        links=False,
        polls=False,
        patient=True,
        failed=("told", "wrong magic"),
        odd=False,
        failed_words="GLB",
        unmet=unmet,
    )


def _hunyuan3d(kit: AdapterContext) -> Harness:
    return Harness(
        "hunyuan3d",
        kit,
        hunyuan3d.FakeHunyuan3D(glb),
        links=False,
        failed=None,
        knows_its_tasks=False,
        unmet=("401",),
    )


def _comfyui(kit: AdapterContext) -> Harness:
    fake = comfyui.FakeComfyUI(png)
    options = {"workflow": "workflow.json"}
    return Harness(
        "comfyui",
        kit,
        fake,
        options=options,
        links=False,
        failed=("history", "failed"),
        odd=False,
        knows_its_tasks=False,
        uploads=True,
        unmet=("401",),
    )


def _fal(kit: AdapterContext) -> Harness:
    fake = fal.FakeFal(png)
    options = {"api_key": "env/KEY", "model": "fal-ai/flux-pro/kontext"}
    ref = "nothing {0}/x/requests/nothing/status {0}/x/requests/nothing {0}/x/requests/nothing/cancel"
    return Harness("fal", kit, fake, server.KEY, options, link_fault="link", unknown_ref=ref)


def _openai_images(kit: AdapterContext) -> Harness:
    fake = openai_images.FakeOpenAIImages(png)
    failed = ("told", "wrong magic")
    return Harness(
        "openai_images",
        kit,
        fake,
        server.KEY,
        {"api_key": "env/KEY"},
        links=False,
        failed=failed,
        polls=False,
        patient=True,
        failed_words="not to be had",
        odd=False,
        unmet=("submit flood",),
    )


def _memory(kit: AdapterContext) -> Harness:
    return Harness("memory", kit, links=False, failed=None, odd=False, polls=False)


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


def cases(which: Callable[[Harness], object]) -> list[str]:
    """The vendors of which this holds."""
    return [name for name, harness in ALL.items() if which(harness)]


def met(operation: str, faults: Iterable[str]) -> list[tuple[str, str]]:
    """Each vendor with each of these faults that this operation of it can meet."""
    return [
        (name, fault) for name, harness in ALL.items() for fault in faults if harness.meets(operation, fault)
    ]
