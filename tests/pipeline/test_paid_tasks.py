"""Money: a provider's task is paid for once, whatever dies when; caps hold; what a task cost and who made it is on record."""

import json
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from dam_connector import batch_commands, spend_commands
from dam_connector.app import create_app
from dam_connector.catalog.version import Version
from dam_connector.cli import main
from dam_connector.errors import OutOfCredit, Refused, Unavailable
from dam_connector.fakes.tripo import FakeTripo
from dam_connector.flow import generating, sweeping
from dam_connector.flow.generating import Asked
from dam_connector.ports import Generation
from dam_connector.store.spend import Caps, TaskStanding
from dam_connector.store.users import UserRole
from dam_connector.wiring import Services
from tests.pipeline.helpers import Drain, chair, send, versions
from tests.support import PhotoServer, TestClock, picture, product
from tests.unit.shapes import ball
from worker.modeling.glb import write_glb

CUBE = {"width": 30, "height": 30, "depth": 30, "unit": "cm"}
PRICE = 0.30


class Killed(BaseException):
    """What ends a worker at once, without a word."""


@pytest.fixture
def fake() -> Iterator[FakeTripo]:
    server = FakeTripo(make=lambda pictures: write_glb(ball(3.0), "remote"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def allow_hosts(photos: PhotoServer, fake: FakeTripo) -> str:
    return f"{photos.host},{fake.base_url.removeprefix('http://')}"


@pytest.fixture
def rules(services: Services, write_rules: Callable, fake: FakeTripo) -> Callable[..., None]:
    """Rules with Tripo as a generator of models."""

    def write(*generator: str, **options: Any) -> None:
        connections = json.loads(services.settings.plugin_json.read_text())["connections"]
        tripo = {"adapter": "tripo", "api_key": "env/TRIPO_API_KEY", "base_url": fake.base_url, **options}
        model = {"name": "model", "kind": "model", "generator": list(generator or ("tripo",)), "formats": ["glb"], "texture_px": 512}
        write_rules(connections={**connections, "provider": {"tripo": tripo}}, deliverables=[model])

    write()
    return write


@pytest.fixture
def rounds(services: Services, drain: Drain, clock: TestClock) -> Callable[..., None]:
    """Let workers and the sweeper have some rounds."""

    def work(count: int = 4, pause_s: float = 60) -> None:
        for _ in range(count):
            drain()
            clock.forward(pause_s)
            sweeping.sweep(services, "me")
        drain()

    return work


def asked(n: int) -> Asked:
    order = Generation(key=f"run_{n}", product=product(f"S{n}"), pictures={"front": picture(size=(64, 64))}, seed=n)
    return Asked(run_id=f"run_{n}", name="tripo", category="decor", deliverable="model", order=order)


def model(services: Services) -> Version:
    return versions(services)["model"]


@pytest.mark.usefixtures("rules")
def test_a_model_comes_from_tripo_and_its_cost_is_on_record(services: Services, photos: PhotoServer, rounds: Callable, fake: FakeTripo) -> None:
    send(services, chair(photos, dimensions=CUBE))
    rounds()
    made = model(services)
    assert fake.billed == 1 and made.report.facts["size_m"] == "0.300 x 0.300 x 0.300"
    assert (made.provenance["generator"], made.provenance["cost_usd"], made.provenance["task"]) == ("tripo", "0.3", next(iter(fake.tasks)))
    assert made.provenance["model_asked"] == made.provenance["model_actual"] == "v3.1-20260211"
    assert services.spend.spent("tripo") == {"day": PRICE, "month": PRICE} and services.spend.by("category") == [("decor", 1, PRICE)]


@pytest.mark.usefixtures("rules")
def test_another_model_than_was_asked_for_is_told(services: Services, photos: PhotoServer, rounds: Callable, fake: FakeTripo) -> None:
    fake.faults["poll"] = ["other model"]
    send(services, chair(photos, dimensions=CUBE))
    rounds()
    found = {i.code: i for i in model(services).report.issues}["provider.other_model"]
    assert (found.measured, found.limit) == ("v9.9-later", "v3.1-20260211")


def test_a_lost_answer_is_not_asked_for_again_and_the_next_generator_goes_on(
    services: Services, photos: PhotoServer, rounds: Callable, rules: Callable, fake: FakeTripo
) -> None:
    rules("tripo", "local")
    fake.faults["submit"] = ["lost"]
    send(services, chair(photos, dimensions=CUBE))
    rounds()
    assert model(services).provenance["generator"] == "local" and fake.billed == 1
    assert [(task["provider"], task["sku"]) for task in services.spend.unknown()] == [("tripo", "CH123")]
    assert services.spend.spent("tripo")["day"] == PRICE  # until a person says otherwise


@pytest.mark.usefixtures("rules")
def test_what_proves_that_nothing_was_begun_is_tried_again(services: Services, photos: PhotoServer, rounds: Callable, fake: FakeTripo) -> None:
    fake.faults = {"upload": ["500", "closed"], "submit": ["rate", "busy"], "poll": ["500"]}
    send(services, chair(photos, dimensions=CUBE))
    rounds(8)
    assert model(services).provenance["generator"] == "tripo" and fake.billed == 1


@pytest.mark.usefixtures("rules")
def test_an_empty_account_lets_the_run_wait_until_there_is_credit(services: Services, photos: PhotoServer, rounds: Callable, fake: FakeTripo) -> None:
    fake.credits = 0
    send(services, chair(photos, dimensions=CUBE))
    rounds(2)
    (run,) = [r for r in services.runs.page() if r.deliverable == "model"]
    assert run.state == "parked" and "2010" in run.error and services.spend.spent("tripo")["day"] == 0
    fake.credits = 100
    rounds(3, pause_s=1000)
    assert model(services).provenance["generator"] == "tripo" and fake.billed == 1


def test_a_cap_lets_the_run_wait_too(services: Services, photos: PhotoServer, rounds: Callable, rules: Callable, fake: FakeTripo) -> None:
    rules("tripo", max_usd_per_day=0.5)
    generating.started(services, asked(1))
    send(services, chair(photos, dimensions=CUBE))
    rounds(2)
    (run,) = [r for r in services.runs.page() if r.deliverable == "model"]
    assert run.state == "parked" and "the cap of $0.5 a day is reached" in run.error and fake.billed == 1
    rules("tripo", max_usd_per_day=5)
    rounds(3, pause_s=1000)
    assert model(services).provenance["generator"] == "tripo" and fake.billed == 2


@pytest.mark.usefixtures("rules")
def test_a_task_that_never_ends_is_given_up(services: Services, photos: PhotoServer, rounds: Callable, fake: FakeTripo) -> None:
    fake.seconds = 1e6
    send(services, chair(photos, dimensions=CUBE))
    rounds(5, pause_s=1000)
    (run,) = [r for r in services.runs.page() if r.deliverable == "model"]
    assert run.state == "failed" and "did not end in time" in run.error and fake.billed == 1


@pytest.mark.usefixtures("rules")
def test_a_thousand_submissions_with_kills_pay_for_none_twice(services: Services, fake: FakeTripo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers die before the request, while it is under way, and before its answer is stored; some answers are lost, some requests fail."""
    chance, fake.concurrency, fake.credits = random.Random(7), 10_000, 1e9
    adapter = services.provider("tripo")
    submit, submitted, upload = adapter.submit, services.spend.submitted, adapter._upload  # type: ignore[attr-defined]
    monkeypatch.setattr(adapter, "_upload", lambda view, data: upload(view, data) if not fake.files else next(iter(fake.files)))

    def dying_submit(order: Generation) -> str:
        if chance.random() < 0.05:
            raise Killed("before the request")
        ref = submit(order)
        if chance.random() < 0.05:
            raise Killed("after the request")
        return ref

    def dying_submitted(task_id: str, ref: str) -> None:
        if chance.random() < 0.05:
            raise Killed("before the commit")
        submitted(task_id, ref)
        if chance.random() < 0.05:
            raise Killed("after the commit")

    monkeypatch.setattr(adapter, "submit", dying_submit)
    monkeypatch.setattr(services.spend, "submitted", dying_submitted)
    ended = {"ref": 0, "refused": 0}
    for n in range(1000):
        fake.faults["submit"] = [chance.choice(["lost", "500", "busy", "closed"])] if chance.random() < 0.1 else []
        for _ in range(20):
            try:
                assert generating.started(services, asked(n)) in fake.tasks
                ended["ref"] += 1
            except (Killed, Unavailable):
                continue
            except Refused:
                ended["refused"] += 1
            except Exception as error:
                assert "429" in str(error)
                continue
            break
    paid = [task.body["model_seed"] for task in fake.tasks.values()]
    assert len(paid) == len(set(paid)), "a run was paid for twice"
    assert sum(ended.values()) == 1000 and ended["refused"] == len(services.spend.unknown(limit=1000)) and ended["ref"] > 800
    counted = services.spend.spent("tripo")["day"]
    assert counted == pytest.approx(1000 * PRICE) and counted >= len(paid) * PRICE  # what may have been billed counts as spent


def test_a_sheets_cost_is_told_before_anything_is_spent(
    services: Services, photos: PhotoServer, rules: Callable, fake: FakeTripo, tmp_path: Path
) -> None:
    rules("tripo", "local")
    photos.files["a.jpg"] = picture()
    sheet = tmp_path / "s.csv"
    sheet.write_text("sku,title,image_url,category\n" + "".join(f"T{n},Ball,{photos.url('a.jpg')},decor\n" for n in range(4)))
    batch, said = batch_commands.run_import(services, sheet, name="x", owner="ada", given={}, pictures=None, dry_run=True)
    assert batch is None and said.paid == {"tripo": 4} and said.usd == pytest.approx(4 * PRICE) and fake.billed == 0
    assert "4 billed by tripo: about $1.20" in "\n".join(batch_commands.told(said))


def test_a_task_counts_for_the_one_batch_that_asked_for_it(
    services: Services, photos: PhotoServer, rules: Callable, rounds: Callable, tmp_path: Path
) -> None:
    rules("tripo")
    photos.files["a.jpg"] = picture()
    sheet, size = tmp_path / "s.csv", "30,30,30,cm"
    header = "sku,title,image_url,category,width,height,depth,unit\n"
    for name, color in (("first", "Ball"), ("second", "Other Ball")):
        sheet.write_text(header + f"T1,{color},{photos.url('a.jpg')},decor,{size}\n")
        batch_commands.run_import(services, sheet, name=name, owner="ada", given={}, pictures=None, dry_run=False)
        rounds(3)
    send(services, chair(photos, dimensions=CUBE))
    rounds(3)
    by_batch = {services.batches.get(batch_id).name: (n, usd) for batch_id, n, usd in services.spend.by("batch")}
    assert by_batch == {"first": (1, PRICE), "second": (1, PRICE)} and services.spend.by("provider") == [("tripo", 3, 0.9)]


def test_caps_hold_under_32_at_once(services: Services) -> None:
    def reserve(n: int) -> bool:
        try:
            return services.spend.begin(f"r{n}", "p", sku="S", category="c", deliverable="m", usd=PRICE, caps=Caps(day=3.0)).fresh
        except OutOfCredit:
            return False

    with ThreadPoolExecutor(32) as pool:
        assert sum(pool.map(reserve, range(200))) == 10
    assert services.spend.spent("p")["day"] == pytest.approx(3.0)


def test_what_is_released_is_free_again_and_settled_once(services: Services, clock: TestClock) -> None:
    caps = Caps(day=PRICE, month=2 * PRICE)

    def begin(run: str) -> str:
        return services.spend.begin(run, "p", sku="S", category="c", deliverable="m", usd=PRICE, caps=caps).id

    first = begin("a")
    with pytest.raises(OutOfCredit, match="a day"):
        begin("b")
    services.spend.release(first, "refused")
    second = begin("b")
    services.spend.submitted(second, "ref")
    services.spend.settle(second, 0.2)
    services.spend.settle(second, 0.2)
    assert services.spend.spent("p")["day"] == pytest.approx(0.2) and services.spend.find("b", "p").state is TaskStanding.SETTLED
    clock.forward(86_400)
    begin("c")
    with pytest.raises(OutOfCredit):
        begin("d")
    clock.forward(86_400)
    with pytest.raises(OutOfCredit, match="a month"):
        begin("d")
    assert services.spend.by("provider") == [("p", 2, 0.5)]


def test_commands_and_the_page_tell_what_was_spent(services: Services, rules: Callable, fake: FakeTripo, monkeypatch: pytest.MonkeyPatch) -> None:
    rules("tripo", max_usd_per_day=0.7)
    generating.started(services, asked(1))
    fake.faults["submit"] = ["lost"]
    with pytest.raises(Refused):
        generating.started(services, asked(2))
    monkeypatch.setattr(spend_commands, "services_on", lambda folder: services)

    def said(*command: str) -> tuple[int, str]:
        ran = CliRunner().invoke(main, list(command))
        return ran.exit_code, ran.output

    code, listed = said("provider", "list")
    assert code == 0 and "tripo\ttripo\tv3.1-20260211\t$0.60 this day of $0.7" in listed
    assert said("provider", "test", "tripo")[0] == 0 and json.loads(said("provider", "balance", "tripo", "--json")[1])["balance_usd"] == 99.4
    told = json.loads(said("spend", "--json")[1])
    assert told["category"] == [{"name": "decor", "tasks": 2, "usd": 0.6}] and [t["sku"] for t in told["unknown"]] == ["S2"]
    assert "lost answer\ttripo S2 model" in said("spend")[1]
    fake.faults["balance"] = ["401"]
    code, wrong = said("provider", "test", "tripo")
    assert code == 1 and "invalid api key" in wrong and "Traceback" not in wrong and "tsk_fake" not in wrong
    client = create_app(services).test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {services.users.add_token(services.users.add('mia', UserRole.MERCHANDISER), 'x')}"
    page = client.get("/spend").text
    assert "$0.60 of $0.7" in page and "Lost answers" in page and "86 % of the cap" in page and ">Spend<" in page
