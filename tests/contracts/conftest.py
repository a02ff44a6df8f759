"""Fixtures of the contract suites: a context without a database, provider harnesses on running servers."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from dam_connector.adapters import open_adapter
from dam_connector.adapters.common.context import AdapterContext
from dam_connector.adapters.http import HttpClient
from dam_connector.domain.rules import Connection
from dam_connector.ports import LibraryStore, Pim, Provider
from tests.contracts.documented_pims import FAKES, SECRETS
from tests.contracts.pim_servers import FakePim
from tests.contracts.provider_harness import HARNESSES, WORKFLOW, ProviderHarness
from tests.support import TestClock, http_to

TIMEOUT_S = 30.0  # a busy machine must not look like a fault of the vendor
SHORT_TIMEOUT_S = 1.0  # for tests of slow servers


@pytest.fixture
def context(clock: TestClock, tmp_path: Path, request: pytest.FixtureRequest) -> AdapterContext:
    """Return a context without the records of the built-in DAM; its timeout is short for the fault "slow"."""
    case = getattr(request.node, "callspec", None)
    is_slow = case and case.params.get("fault") == "slow"
    http = HttpClient(timeout_s=SHORT_TIMEOUT_S if is_slow else TIMEOUT_S)
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
    """Return a function that opens the harness of a vendor; its server stops after the test."""
    opened: list[ProviderHarness] = []
    (tmp_path / "workflow.json").write_text(json.dumps(WORKFLOW))
    context = replace(
        context, secret=lambda reference: opened[-1].api_key if reference == "env/KEY" else "wrong"
    )

    def open_one(name: str) -> ProviderHarness:
        harness = HARNESSES[name](context)
        opened.append(harness)
        if harness.fake:
            harness.fake.start()
            harness.unknown_ref = harness.unknown_ref.format(harness.fake.base_url)
        return harness

    yield open_one
    for harness in opened:
        if harness.fake:
            harness.fake.stop()


@pytest.fixture(params=list(HARNESSES))
def harness(request: pytest.FixtureRequest, vendor: Callable[[str], ProviderHarness]) -> ProviderHarness:
    return vendor(request.param)


@pytest.fixture
def provider_on_blocked_host(harness: ProviderHarness) -> Callable[[], Provider]:
    """Return a function that opens the adapter without permission to connect to its fake on loopback."""

    def opened() -> Provider:
        connection = Connection(
            adapter=harness.name, options={"base_url": harness.fake.base_url, **harness.options}
        )
        http = HttpClient(timeout_s=harness.context.http.timeout_s)
        return open_adapter("provider", "x", connection, replace(harness.context, http=http))

    return opened


@pytest.fixture
def opened(context: AdapterContext) -> Iterator[Callable[..., tuple[Pim, FakePim]]]:
    shops: list[FakePim] = []

    def open_one(name: str, **options: Any) -> tuple[Pim, FakePim]:
        answer, usual = FAKES[name]
        shops.append(FakePim(answer))
        own = replace(context, http=http_to(shops[-1].host, context), secret=SECRETS.__getitem__)
        found: Pim = open_adapter(
            "pim",
            "main",
            Connection(adapter=name, options={"base_url": shops[-1].url, **usual, **options}),
            own,
        )
        return found, shops[-1]

    yield open_one
    for shop in shops:
        shop.stop()
