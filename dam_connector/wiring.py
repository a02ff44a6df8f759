"""The composition root: builds the Services from Settings and Rules."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, cast

from dam_connector.adapters import open_adapter
from dam_connector.adapters.common.context import AdapterContext
from dam_connector.adapters.http import HttpClient
from dam_connector.clock import SystemClock
from dam_connector.counters import SharedCounters
from dam_connector.domain.notify import NotifyRules
from dam_connector.domain.rules import Connection, Rules
from dam_connector.domain.sign_on import SignOnRules
from dam_connector.errors import ConfigError
from dam_connector.fleet_pace import FleetPace, read_limits
from dam_connector.ports import Blobs, Channel, Clock, Dam, Pim, Provider, Queue
from dam_connector.private_files import open_data_dir
from dam_connector.queue import BackgroundQueue, CommitQueue, RqQueue
from dam_connector.rules_file import RulesFile
from dam_connector.settings import Settings
from dam_connector.store.ar_counts import ArCounts
from dam_connector.store.assets import Assets
from dam_connector.store.audit import AuditLog
from dam_connector.store.batches import Batches
from dam_connector.store.blobs import open_blobs
from dam_connector.store.captures import Captures
from dam_connector.store.catalog_state import CatalogState
from dam_connector.store.channel_listings import ChannelListings
from dam_connector.store.comments import Comments
from dam_connector.store.database import Database, check_url
from dam_connector.store.decisions import Decisions, Publications
from dam_connector.store.disk_reserve import DiskReserve
from dam_connector.store.finished_files import FinishedFiles
from dam_connector.store.fleet_figures import FleetRecords
from dam_connector.store.gallery import Gallery
from dam_connector.store.guest_links import GuestLinks
from dam_connector.store.history import History
from dam_connector.store.idempotency import IdempotencyKeys
from dam_connector.store.inbox import Inbox
from dam_connector.store.library import LibraryRecords
from dam_connector.store.live_requests import LiveRequests
from dam_connector.store.named_locks import NamedLocks
from dam_connector.store.notes import Notes
from dam_connector.store.outbox import Outbox
from dam_connector.store.products import Products
from dam_connector.store.review_queue import ReviewQueue
from dam_connector.store.rules_archive import RulesArchive
from dam_connector.store.runs import Runs
from dam_connector.store.shape_records import ShapeRecords
from dam_connector.store.source_photos import SourcePhotos
from dam_connector.store.spend import Spend
from dam_connector.store.tasks import Tasks
from dam_connector.store.touch_ups import TouchUps
from dam_connector.store.users import Users
from schemas.adapter_options import option_problems

if TYPE_CHECKING:
    from dam_connector.adapters.openid import OpenIdProvider

_P = ParamSpec("_P")
PLACEHOLDER_SECRET = "whsec_cGxhY2Vob2xkZXItcGxhY2Vob2xkZXI="


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything that use cases and steps work with. There is one per process; threads may share it."""

    settings: Settings
    clock: Clock
    rules: RulesFile
    db: Database
    inbox: Inbox
    products: Products
    batches: Batches
    assets: Assets
    gallery: Gallery
    review_queue: ReviewQueue
    decisions: Decisions
    comments: Comments
    touch_ups: TouchUps
    captures: Captures
    source_photos: SourcePhotos
    finished_files: FinishedFiles
    guest_links: GuestLinks
    ar_counts: ArCounts
    shapes: ShapeRecords
    publications: Publications
    live_requests: LiveRequests
    channel_listings: ChannelListings
    runs: Runs
    spend: Spend
    tasks: Tasks
    users: Users
    history: History
    outbox: Outbox
    audit: AuditLog
    locks: NamedLocks
    notes: Notes
    rules_archive: RulesArchive
    catalog_state: CatalogState
    idempotency: IdempotencyKeys
    blobs: Blobs
    disk: DiskReserve
    queue: Queue
    counters: SharedCounters
    fleet: FleetRecords
    http: HttpClient
    adapter_context: AdapterContext
    _adapters: dict[tuple[str, str, str], Any] = field(default_factory=dict, repr=False)

    def transaction(self) -> AbstractContextManager[None]:
        """Make one database transaction of a promise: all that follows from it is stored with it, or nothing.

        Wake-ups that are sent in the block leave after the commit. The rules do not change in it.

        Raises:
            StorageUnavailable: the database does not answer, or cannot write.
        """
        with suppress(ConfigError):
            self.rules.current()
        return self.db.transaction()

    def pim(self, name: str) -> Pim:
        """Return the adapter of a PIM connection in plugin.json.

        Raises:
            ConfigError: there is no such connection, or its options are wrong.
        """
        return cast(Pim, self._adapter("pim", name, self.rules.current().pim))

    def dam(self, name: str) -> Dam:
        """Return the adapter of a DAM connection in plugin.json.

        Raises:
            ConfigError: there is no such connection, or its options are wrong.
        """
        return cast(Dam, self._adapter("dam", name, self.rules.current().dam))

    def channel(self, name: str) -> Channel:
        """Return the adapter of a channel connection in plugin.json.

        Raises:
            ConfigError: there is no such connection, or its options are wrong.
        """
        return cast(Channel, self._adapter("channel", name, self.rules.current().channel))

    def provider(self, name: str) -> Provider:
        """Return the adapter of a provider connection in plugin.json.

        Raises:
            ConfigError: there is no such connection, or its options are wrong.
        """
        return cast(Provider, self._adapter("provider", name, self.rules.current().provider))

    def sign_on(self) -> "OpenIdProvider":
        """Return the OpenID provider that plugin.json names.

        Raises:
            ConfigError: it names none, or the client's secret is not in the environment.
        """
        rules = self.rules.current().sign_on
        if rules is None:
            raise ConfigError("plugin.json has no section sign_on")
        key = ("sign_on", "", repr(rules))
        if key not in self._adapters:
            self._adapters[key] = _open_sign_on(rules, self.adapter_context)
        return cast("OpenIdProvider", self._adapters[key])

    def _adapter(self, port: str, name: str, connections: Mapping[str, Connection]) -> Any:
        if name not in connections:
            raise ConfigError(f"there is no connection {name!r} under /connections/{port} in plugin.json")
        # With the options in the key, a change in plugin.json opens a new adapter.
        key = (port, name, repr(connections[name]))
        if key not in self._adapters:
            self._adapters[key] = open_adapter(port, name, connections[name], self.adapter_context)
        return self._adapters[key]


def _checking_connections(build: Callable[_P, Services]) -> Callable[_P, Services]:
    """Let the rules of the services that a function builds check the connections of a changed file."""

    @wraps(build)
    def build_checking(*args: _P.args, **options: _P.kwargs) -> Services:
        services = build(*args, **options)
        services.rules.check = lambda rules: check_rules(rules, with_placeholders(services))
        return services

    return build_checking


@_checking_connections
def build_services(
    settings: Settings, *, clock: Clock | None = None, queue: Queue | None = None, for_web: bool = False
) -> Services:
    """Build the services for some settings. Nothing is connected yet, except the database.

    Args:
        for_web: let wake-ups and object storage not hold up all threads. Tests replace the others.

    Raises:
        ConfigError: a setting is wrong.
    """
    clock, db = clock or SystemClock(), _open_database(settings)
    http = _open_http(settings, clock, counters := SharedCounters(settings.effective_redis_url))
    assets, spend, locks = Assets(db, clock), Spend(db, clock), NamedLocks(db, clock)
    return Services(
        settings=settings,
        clock=clock,
        rules=(rules := RulesFile(settings.plugin_json, RulesArchive(db, clock), db.in_transaction)),
        db=db,
        inbox=Inbox(db, clock),
        products=Products(db, clock),
        batches=Batches(db, clock),
        assets=assets,
        gallery=Gallery(db),
        review_queue=ReviewQueue(db),
        decisions=Decisions(db, clock, assets),
        comments=Comments(db, clock),
        touch_ups=TouchUps(db, clock),
        captures=Captures(db, clock),
        source_photos=SourcePhotos(db, clock),
        finished_files=FinishedFiles(db, clock),
        guest_links=GuestLinks(db, clock),
        ar_counts=ArCounts(db),
        shapes=ShapeRecords(db),
        publications=Publications(db, clock),
        live_requests=LiveRequests(db, clock),
        channel_listings=ChannelListings(db, clock),
        runs=Runs(db, clock),
        spend=spend,
        tasks=Tasks(db, clock, spend),
        users=Users(db, clock, settings.session_hours, settings.token_days, settings.sign_on_max_age_days),
        outbox=(outbox := Outbox(db, clock, _event_filter(rules))),
        history=(history := History(db, clock, outbox)),
        audit=AuditLog(db, clock),
        locks=locks,
        notes=Notes(db, clock),
        rules_archive=RulesArchive(db, clock),
        catalog_state=CatalogState(db),
        idempotency=IdempotencyKeys(db, clock),
        blobs=_open_storage(settings, for_web),
        disk=_disk_reserve(settings),
        queue=CommitQueue(queue or _open_queue(settings, for_web), db.after_commit),
        counters=counters,
        fleet=FleetRecords(db, clock),
        http=http,
        adapter_context=_adapter_context(settings, db, clock, http, history, locks),
    )


def _open_http(settings: Settings, clock: Clock, counters: SharedCounters) -> HttpClient:
    http = HttpClient(settings.allowed_hosts, timeout_s=settings.fetch_timeout_s)
    http.on_request = counters.count_request
    http.pace = FleetPace(settings.effective_redis_url, clock, read_limits(settings.rate_limits))
    return http


def _disk_reserve(settings: Settings) -> DiskReserve:
    min_free = settings.min_free_disk_mb * 1_000_000
    return DiskReserve(settings.effective_database_url, settings.effective_storage_url, min_free)


def _event_filter(rules: RulesFile) -> Callable[[str], bool]:
    """Return a function that says whether a target in plugin.json wants an event."""

    def is_wanted(event: str) -> bool:
        with suppress(ConfigError):
            return any(not t.events or event in t.events for t in rules.current().notify.targets.values())
        return False

    return is_wanted


def _open_database(settings: Settings) -> Database:
    check_url(settings.effective_database_url)
    open_data_dir(settings.data_dir)
    return Database(settings.effective_database_url, settings.database_connections)


def _adapter_context(
    settings: Settings, db: Database, clock: Clock, http: HttpClient, history: History, locks: NamedLocks
) -> AdapterContext:
    return AdapterContext(
        http=http,
        clock=clock,
        secret=settings.secret,
        public_url=settings.base_url,
        library=LibraryRecords(db, clock),
        rules_folder=settings.plugin_json.parent,
        log_history=lambda sku, message: history.add("sent", sku=sku, detail=message),
        lock=locks.lock,
    )


def _open_storage(settings: Settings, for_web: bool) -> Blobs:
    """Open the storage; in a web process a third of the threads may wait for it, and the others answer."""
    return open_blobs(settings.effective_storage_url, max(2, settings.web_threads // 3) if for_web else 0)


def _open_queue(settings: Settings, for_web: bool) -> Queue:
    queue = RqQueue(settings.effective_redis_url)
    return BackgroundQueue(queue) if for_web else queue


def _notify_problems(notify: NotifyRules, secret: Callable[[str], str]) -> Iterator[str]:
    """Yield a line for each secret of `notify` that is not set."""
    wanted = {"digest/smtp": notify.digest.smtp} if notify.digest else {}
    for name, target in notify.targets.items():
        wanted |= {f"targets/{name}/url": target.url, f"targets/{name}/secret": target.secret}
    for place, reference in wanted.items():
        if reference.startswith("env/"):
            try:
                secret(reference)
            except ConfigError as error:
                yield f"/notify/{place}: {error}"


def with_placeholders(services: Services) -> Services:
    """Return services for which each secret that the environment lacks is a placeholder.

    The other options of a connection are checked so, too, where the secrets are not at hand.
    """

    def secret(reference: str) -> str:
        if not reference.startswith("env/") or services.settings.environ.get(reference.removeprefix("env/")):
            return services.settings.secret(reference)
        return PLACEHOLDER_SECRET

    return replace(services, adapter_context=replace(services.adapter_context, secret=secret))


def check_rules(rules: Rules, services: Services) -> list[str]:
    """Open the adapter of each connection, and compare generators with deliverables. Nothing is sent.

    Args:
        rules: the rules to check, which need not be in force.

    Returns:
        One line for each problem; empty when there is none.
    """
    # Adapters allow the ports of their addresses. Those of rules that are not in force must not count.
    context = replace(services.adapter_context, http=HttpClient(services.settings.allowed_hosts))
    problems: list[str] = []
    for port, connections in (
        ("pim", rules.pim),
        ("dam", rules.dam),
        ("channel", rules.channel),
        ("provider", rules.provider),
    ):
        for name, connection in connections.items():
            if found := list(option_problems(port, name, connection.adapter, connection.options)):
                problems += found
                continue
            try:
                open_adapter(port, name, connection, context)
            except ConfigError as error:
                problems.extend(error.problems)
    if rules.sign_on:
        try:
            _open_sign_on(rules.sign_on, context)
        except ConfigError as error:
            problems.append(f"/sign_on/client_secret: {error}")
    problems += _notify_problems(rules.notify, context.secret)
    if problems:
        return problems
    kinds = {
        name: open_adapter("provider", name, connection, context).capabilities.kinds
        for name, connection in rules.provider.items()
    }
    return [
        f"/deliverables/{number}/generator: {name} ({rules.provider[name].adapter}) makes no {d.kind.value}"
        for number, d in enumerate(rules.deliverables)
        for name in d.generator
        if name in kinds and d.kind not in kinds[name]
    ]


def _open_sign_on(rules: SignOnRules, context: AdapterContext) -> "OpenIdProvider":
    from dam_connector.adapters.openid import OpenIdProvider  # its libraries are for those who use it

    return OpenIdProvider(rules, context)
