"""What the provider suites share: a vendor's harness with its server running."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from dam_connector.adapters import open_adapter
from dam_connector.adapters.common.context import AdapterContext
from dam_connector.adapters.http import HttpClient
from dam_connector.domain.rules import Connection
from dam_connector.ports import LibraryStore, Provider
from tests.contracts.provider_harness import HARNESSES, WORKFLOW, ProviderHarness
from tests.support import TestClock

PATIENT_S = 30.0  # so that a busy machine is no fault of a vendor's
HURRIED_S = 2.0


@pytest.fixture
def context(clock: TestClock, tmp_path: Path, request: pytest.FixtureRequest) -> AdapterContext:
    """What an adapter is given, without a database: none of those that need this fixture looks into the shelf. It hurries where a test has
    a slow server."""
    given = getattr(request.node, "callspec", None)
    http = HttpClient(timeout_s=HURRIED_S if given and given.params.get("fault") == "slow" else PATIENT_S)
    return AdapterContext(
        http=http,
        clock=clock,
        secret=lambda reference: "wrong",
        public_url="https://dam.example",
        library=cast(LibraryStore, None),
        rules_folder=tmp_path,
    )


@pytest.fixture
def vendor(context: AdapterContext, tmp_path: Path) -> Iterator[Callable[[str], ProviderHarness]]:
    """Opens a vendor's harness; its server ends with the test."""
    opened: list[ProviderHarness] = []
    (tmp_path / "workflow.json").write_text(json.dumps(WORKFLOW))
    context = replace(context, secret=lambda reference: opened[-1].api_key if reference == "env/KEY" else "wrong")

    def open_one(name: str) -> ProviderHarness:
        opened.append(HARNESSES[name](context))
        if opened[-1].fake:
            opened[-1].fake.start()
            opened[-1].unknown_ref = opened[-1].unknown_ref.format(opened[-1].fake.base_url)
        return opened[-1]

    yield open_one
    for harness in opened:
        if harness.fake:
            harness.fake.stop()


@pytest.fixture(params=list(HARNESSES))
def harness(request: pytest.FixtureRequest, vendor: Callable[[str], ProviderHarness]) -> ProviderHarness:
    return vendor(request.param)


@pytest.fixture
def provider_on_blocked_host(harness: ProviderHarness) -> Callable[[], Provider]:
    """The adapter where plugin.json may name the fake, but nobody allowed its private address."""

    def opened() -> Provider:
        connection = Connection(
            adapter=harness.name, options={"base_url": harness.fake.base_url, **harness.options}
        )
        return open_adapter(
            "provider", "x", connection, replace(harness.context, http=HttpClient(timeout_s=harness.context.http.timeout_s))
        )

    return opened
