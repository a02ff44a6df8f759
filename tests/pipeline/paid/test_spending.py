"""Spending: estimates, caps, reservations and what was billed, by batch and in total."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner

from dam_connector.app import create_app
from dam_connector.cli import batches as batch_commands
from dam_connector.cli import main
from dam_connector.cli import providers as provider_commands
from dam_connector.errors import Busy, OutOfCredit, StateConflict
from dam_connector.fakes.tripo import FakeTripo
from dam_connector.store.spend import SpendCaps
from dam_connector.store.tasks import TaskRecord, TaskState
from dam_connector.store.users import UserRole
from dam_connector.usecases.broker import Broker
from dam_connector.wiring import Services
from tests.pipeline.helpers import chair, send
from tests.pipeline.paid.helpers import CUBE, PRICE, place, run_broker
from tests.support import PhotoServer, TestClock, picture


def test_the_cost_of_a_sheet_is_shown_before_anything_is_spent(
    services: Services, photos: PhotoServer, rules: Callable, fake: FakeTripo, tmp_path: Path
) -> None:
    rules("tripo", "local")
    photos.files["a.jpg"] = picture()
    sheet = tmp_path / "s.csv"
    sheet.write_text(
        "sku,title,image_url,category\n"
        + "".join(f"T{n},Ball,{photos.url('a.jpg')},decor\n" for n in range(4))
    )
    batch, preview = batch_commands.run_import(
        services, sheet, name="x", owner="ada", columns={}, pictures=None, dry_run=True
    )
    assert (
        batch is None
        and preview.billed_counts == {"tripo": 4}
        and preview.cost_usd == pytest.approx(4 * PRICE)
        and fake.billed == 0
    )
    assert "4 billed by tripo: about $1.20" in "\n".join(batch_commands.preview_lines(preview))


def test_a_task_counts_for_the_one_batch_that_asked_for_it(
    services: Services, photos: PhotoServer, rules: Callable, rounds: Callable, tmp_path: Path
) -> None:
    rules("tripo")
    photos.files["a.jpg"] = picture()
    sheet, size = tmp_path / "s.csv", "30,30,30,cm"
    header = "sku,title,image_url,category,width,height,depth,unit\n"
    for name, color in (("first", "Ball"), ("second", "Other Ball")):
        sheet.write_text(header + f"T1,{color},{photos.url('a.jpg')},decor,{size}\n")
        batch_commands.run_import(
            services, sheet, name=name, owner="ada", columns={}, pictures=None, dry_run=False
        )
        rounds(3)
    send(services, chair(photos, dimensions=CUBE))
    rounds(3)
    by_batch = {
        services.batches.get(batch_id).name: (n, usd)
        for batch_id, n, usd in services.spend.totals_by("batch")
    }
    assert by_batch == {"first": (1, PRICE), "second": (1, PRICE)} and services.spend.totals_by(
        "provider"
    ) == [("tripo", 3, 0.9)]


def test_caps_hold_under_32_at_once(services: Services, rules: Callable) -> None:
    rules("tripo")
    entries = [place(services, n) for n in range(200)]

    def reserve(entry: TaskRecord) -> bool:
        try:
            services.tasks.begin_submission(entry, SpendCaps(day=3.0), 1000)
        except OutOfCredit:
            return False
        return True

    with ThreadPoolExecutor(32) as pool:
        assert sum(pool.map(reserve, entries)) == 10
    assert services.spend.spent("tripo")["day"] == pytest.approx(3.0)


def test_slots_hold_under_32_at_once(services: Services, rules: Callable) -> None:
    rules("tripo")
    entries = [place(services, n) for n in range(100)]

    def reserve(entry: TaskRecord) -> bool:
        try:
            services.tasks.begin_submission(entry, SpendCaps(), 7)
        except Busy:
            return False
        return True

    with ThreadPoolExecutor(32) as pool:
        assert sum(pool.map(reserve, entries)) == 7


def test_what_is_released_is_free_again_and_settled_once(
    services: Services, clock: TestClock, rules: Callable
) -> None:
    rules("tripo")
    caps = SpendCaps(day=PRICE, month=2 * PRICE)

    def begin(n: int) -> TaskRecord:
        entry = place(services, n)
        services.tasks.begin_submission(entry, caps, 10)
        return entry

    first = begin(1)
    with pytest.raises(OutOfCredit, match="a day"):
        begin(2)
    services.tasks.release(first, "refused")
    second = begin(3)
    services.tasks.mark_submitted(second, "ref", clock.now())
    services.tasks.settle(second, 0.2, {})
    with pytest.raises(StateConflict):
        services.tasks.settle(second, 0.3, {})
    assert (
        services.spend.spent("tripo")["day"] == pytest.approx(0.2)
        and services.tasks.newest("run_3", "tripo").state is TaskState.SETTLED
    )
    clock.forward(86_400)
    begin(4)
    with pytest.raises(OutOfCredit):
        begin(5)
    clock.forward(86_400)
    with pytest.raises(OutOfCredit, match="a month"):
        begin(6)
    assert services.spend.totals_by("provider") == [("tripo", 2, 0.5)]


def test_commands_and_the_page_tell_what_was_spent(
    services: Services,
    broker: Broker,
    rules: Callable,
    fake: FakeTripo,
    clock: TestClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rules("tripo", max_usd_per_day=0.7)
    place(services, 1)
    run_broker(broker)
    fake.faults["submit"] = ["lost"]
    place(services, 2)
    run_broker(broker)
    clock.forward(5)
    run_broker(broker)
    assert services.history.entries(sku="S2")[0].detail == "tripo: $0.60 of $0.7 for this day are used"
    monkeypatch.setattr(provider_commands, "open_services", lambda folder: services)

    def run_command(*command: str) -> tuple[int, str]:
        ran = CliRunner().invoke(main, list(command))
        return ran.exit_code, ran.output

    code, listed = run_command("provider", "list")
    assert code == 0 and "tripo\ttripo\tv3.1-20260211\tmodel\t0 of 10 slots\t$0.60 this day of $0.7" in listed
    assert (
        run_command("provider", "test", "tripo")[0] == 0
        and json.loads(run_command("provider", "balance", "tripo", "--json")[1])["balance_usd"] == 99.4
    )
    spend = json.loads(run_command("spend", "--json")[1])
    assert spend["category"] == [{"name": "decor", "tasks": 2, "usd": 0.6}] and [
        t["sku"] for t in spend["unknown"]
    ] == ["S2"]
    assert "lost answer\ttripo S2 model" in run_command("spend")[1]
    fake.faults["balance"] = ["401"]
    code, wrong = run_command("provider", "test", "tripo")
    assert code == 1 and "invalid api key" in wrong and "Traceback" not in wrong and "tsk_fake" not in wrong
    client = create_app(services).test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = (
        f"Bearer {services.users.add_token(services.users.add('mia', UserRole.MERCHANDISER), 'x')}"
    )
    page = client.get("/spend").text
    assert (
        "$0.60 of $0.7" in page and "Lost answers" in page and "86 % of the cap" in page and ">Spend<" in page
    )
