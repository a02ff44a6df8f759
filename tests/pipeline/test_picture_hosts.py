"""Pictures are fetched several at once, with a limit a host; a slow host holds up no other deliveries."""

import threading
from collections.abc import Callable, Iterator

import pytest

import worker.jobs
from dam_connector.usecases import intake
from dam_connector.usecases.source_images import IMAGES_PER_HOST, store_source_images
from dam_connector.wiring import Services
from tests.support import PhotoServer, TestClock, event_body, inbound, picture, product, record, signed
from worker.jobs import DeliveryPool, handle_deliveries, start_delivery_pool


class Held(dict[str, bytes]):
    """Files that are served when they are let go."""

    def __init__(self, enough: int = 0) -> None:
        super().__init__()
        self.released, self.asked, self.most = threading.Event(), 0, 0
        self._lock, self._enough = threading.Lock(), enough

    def get(self, key: str, default: object = None) -> bytes:  # type: ignore[override]
        with self._lock:
            self.asked += 1
            self.most = max(self.most, self.asked)
            if self.asked == self._enough:
                self.released.set()
        assert self.released.wait(60), "nobody let it go"
        with self._lock:
            self.asked -= 1
        return self[key]


@pytest.fixture
def slow() -> Iterator[PhotoServer]:
    server = PhotoServer(files=Held())
    server.start()
    yield server
    server.files.released.set()
    server.stop()


@pytest.fixture
def allow_hosts(photos: PhotoServer, slow: PhotoServer) -> str:
    return f"{photos.host},{slow.host}"


def test_the_pictures_of_a_product_are_fetched_at_once(services: Services, slow: PhotoServer) -> None:
    """The server answers none before it was asked for all four."""
    slow.files = Held(enough=4)
    views = ("front", "back", "left", "right")
    for number, view in enumerate(views):
        slow.files[f"{view}.jpg"] = picture(ground=200 + number)
    facts = product(images={view: slow.url(f"{view}.jpg") for view in views})
    sources, issues = store_source_images(services, facts, connection="main", last_try=True)
    assert list(sources) == list(views) and len(set(sources.values())) == 4 and issues == []


def test_one_bad_picture_changes_nothing_about_the_others(services: Services, photos: PhotoServer) -> None:
    photos.files["a.jpg"], photos.files["b.jpg"] = picture(), picture(ground=200)
    photos.statuses["b.jpg"] = 404
    images = {"front": photos.url("a.jpg"), "back": photos.url("b.jpg"), "left": photos.url("a.jpg")}
    sources, issues = store_source_images(services, product(images=images), connection="main", last_try=True)
    assert list(sources) == ["front", "left"]
    assert [(i.code, i.pointer) for i in issues] == [("source.not_found", "/images/back")]


def deliver(services: Services, clock: TestClock, sku: str, url: str) -> str:
    body = event_body(record(sku, images={"front": url}), at=clock.now())
    delivery = inbound(body, signed(body, at=clock.now(), message=sku), clock.now())
    return intake.receive_webhook(services, "main", delivery)[0]


def test_a_slow_host_does_not_hold_up_other_deliveries(
    services: Services,
    clock: TestClock,
    photos: PhotoServer,
    slow: PhotoServer,
    eventually: Callable[..., None],
    rounds: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker.jobs, "services", lambda: services)
    monkeypatch.setattr(worker.jobs, "_pool", None)
    monkeypatch.setattr(
        services.http, "timeout_s", 120
    )  # no request to the slow host ends before it is released
    photos.files["a.jpg"] = slow.files["a.jpg"] = picture()
    held = [deliver(services, clock, f"SLOW{n}", slow.url("a.jpg")) for n in range(40)]
    fast = [deliver(services, clock, f"FAST{n}", photos.url("a.jpg")) for n in range(10)]
    pool = start_delivery_pool()
    handle_deliveries(*held, *fast)
    eventually(lambda: all(services.inbox.get(each).state == "handled" for each in fast), 60)
    assert not slow.files.released.is_set()
    assert slow.files.most == IMAGES_PER_HOST
    assert {services.inbox.get(each).state for each in held} == {"received"}
    slow.files.released.set()
    pool.close()
    assert {services.inbox.get(each).attempts for each in held} <= {0, 1}  # waiting is no attempt
    monkeypatch.setattr(worker.jobs, "_pool", None)
    for _ in range(6):
        clock.forward(30)
        handle_deliveries(*[each for each in held if services.inbox.get(each).state == "received"])
    assert {services.inbox.get(each).state for each in held} == {"handled"}


def test_a_delivery_that_is_under_way_is_not_handled_twice() -> None:
    handled, release = [], threading.Event()

    def handle(delivery_id: str) -> None:
        handled.append(delivery_id)
        assert release.wait(60)

    pool = DeliveryPool(handle, threads=2)
    for each in ("a", "b", "a", "b", "c"):
        if each != "c" or len(handled) == 2:
            pool.submit(each)
    release.set()
    pool.close()
    assert sorted(set(handled)) == sorted(handled)
    again = DeliveryPool(handled.append)
    again.submit("a")
    again.submit("z")
    again.close()
    assert handled.count("a") == 2 and "z" in handled  # an ended one is handled again


def test_a_delivery_that_fails_frees_its_thread() -> None:
    handled = []

    def handle(delivery_id: str) -> None:
        handled.append(delivery_id)
        raise RuntimeError(delivery_id)

    pool = DeliveryPool(handle, threads=1)
    for number in range(20):
        pool.submit(str(number))
    pool.close()
    assert len(handled) == 20
