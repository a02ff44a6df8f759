"""The composition root: Settings and Rules become Services."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from dam_connector.adapters import open_adapter
from dam_connector.adapters.common.context import AdapterContext
from dam_connector.adapters.http import HttpClient
from dam_connector.clock import SystemClock
from dam_connector.domain.rules import Connection, Rules
from dam_connector.errors import ConfigError
from dam_connector.ports import Blobs, Channel, Clock, Dam, Pim, Provider, Queue
from dam_connector.queue import BackgroundQueue, RqQueue
from dam_connector.rules_file import RulesFile
from dam_connector.settings import Settings
from dam_connector.store.assets import Assets
from dam_connector.store.batches import Batches
from dam_connector.store.blobs import open_blobs
from dam_connector.store.database import Database, check_url
from dam_connector.store.decisions import Decisions, Publications
from dam_connector.store.gallery import Gallery
from dam_connector.store.history import History
from dam_connector.store.idempotency import IdempotencyKeys
from dam_connector.store.inbox import Inbox
from dam_connector.store.library import LibraryRecords
from dam_connector.store.locks import Locks
from dam_connector.store.notes import Notes
from dam_connector.store.products import Products
from dam_connector.store.rules_archive import RulesArchive
from dam_connector.store.runs import Runs
from dam_connector.store.spend import Spend
from dam_connector.store.tasks import Tasks
from dam_connector.store.users import Users


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything the flow works with. Made once a process; safe to share between threads."""

    settings: Settings
    clock: Clock
    rules: RulesFile
    db: Database
    inbox: Inbox
    products: Products
    batches: Batches
    assets: Assets
    gallery: Gallery
    decisions: Decisions
    publications: Publications
    runs: Runs
    spend: Spend
    tasks: Tasks
    users: Users
    history: History
    locks: Locks
    notes: Notes
    rules_archive: RulesArchive
    idempotency: IdempotencyKeys
    blobs: Blobs
    queue: Queue
    http: HttpClient
    adapter_context: AdapterContext
    _adapters: dict[tuple[str, str, str], Any] = field(default_factory=dict, repr=False)

    def pim(self, name: str) -> Pim:
        """Raises: ConfigError when there is no such connection."""
        return cast(Pim, self._adapter("pim", name, self.rules.current().pim))

    def dam(self, name: str) -> Dam:
        """Raises: ConfigError."""
        return cast(Dam, self._adapter("dam", name, self.rules.current().dam))

    def channel(self, name: str) -> Channel:
        """Raises: ConfigError."""
        return cast(Channel, self._adapter("channel", name, self.rules.current().channel))

    def provider(self, name: str) -> Provider:
        """Raises: ConfigError."""
        return cast(Provider, self._adapter("provider", name, self.rules.current().provider))

    def _adapter(self, port: str, name: str, connections: Mapping[str, Connection]) -> Any:
        if name not in connections:
            raise ConfigError(f"there is no connection {name!r} under /connections/{port} in plugin.json")
        key = (port, name, repr(connections[name]))  # options changed in plugin.json: a new adapter
        if key not in self._adapters:
            self._adapters[key] = open_adapter(port, name, connections[name], self.adapter_context)
        return self._adapters[key]


def build_services(
    settings: Settings,
    *,
    clock: Clock | None = None,
    queue: Queue | None = None,
    background_wakeups: bool = False,
) -> Services:
    """The services for these settings. Connects to nothing yet but the database.

    Raises: ConfigError.
    """
    check_url(settings.database)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    clock = clock or SystemClock()
    db = Database(settings.database)
    http = HttpClient(settings.allowed_hosts, timeout_s=settings.fetch_timeout_s)
    assets, spend = Assets(db, clock), Spend(db, clock)
    history, locks, rules_archive = History(db, clock), Locks(db, clock), RulesArchive(db, clock)
    if queue is None:
        native = RqQueue(settings.redis)
        queue = BackgroundQueue(native) if background_wakeups else native
    return Services(
        settings=settings,
        clock=clock,
        rules=RulesFile(settings.plugin_json, rules_archive),
        db=db,
        inbox=Inbox(db, clock),
        products=Products(db, clock),
        batches=Batches(db, clock),
        assets=assets,
        gallery=Gallery(db),
        decisions=Decisions(db, clock, assets),
        publications=Publications(db, clock),
        runs=Runs(db, clock),
        spend=spend,
        tasks=Tasks(db, clock, spend),
        users=Users(db, clock),
        history=history,
        locks=locks,
        notes=Notes(db, clock),
        rules_archive=rules_archive,
        idempotency=IdempotencyKeys(db, clock),
        blobs=open_blobs(settings.storage),
        queue=queue,
        http=http,
        adapter_context=AdapterContext(
            http=http,
            clock=clock,
            secret=settings.secret,
            public_url=settings.public,
            library=LibraryRecords(db, clock),
            rules_folder=settings.plugin_json.parent,
            log_history=lambda sku, words: history.add("sent", sku=sku, detail=words),
            lock=locks.lock,
        ),
    )


def check_rules(rules: Rules, services: Services) -> list[str]:
    """What is wrong with the connections: every adapter is opened once, and nothing is sent."""
    found: list[str] = []
    for port, connections in (
        ("pim", rules.pim),
        ("dam", rules.dam),
        ("channel", rules.channel),
        ("provider", rules.provider),
    ):
        for name, connection in connections.items():
            try:
                open_adapter(port, name, connection, services.adapter_context)
            except ConfigError as error:
                found.extend(error.problems)
    return found or [
        f"/deliverables/{number}/generator: {name} ({rules.provider[name].adapter}) makes no {d.kind.value}"
        for number, d in enumerate(rules.deliverables)
        for name in d.generator
        if name in rules.provider
        and d.kind
        not in open_adapter(
            "provider", name, rules.provider[name], services.adapter_context
        ).capabilities.kinds
    ]
