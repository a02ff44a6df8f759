"""The page "What needs me": all that failed or waits, by cause, and where its links lead."""

import html
import re
from collections.abc import Callable

import sqlalchemy as sa
from flask.testing import FlaskClient

from dam_connector.domain.issue import issue
from dam_connector.store.tables import runs
from dam_connector.usecases import intake
from dam_connector.wiring import Services
from tests.support import TestClock, inbound, product, signed
from tests.web.test_batch_pages import checked, hidden

Visitor = Callable[[str], FlaskClient]


def test_admins_see_everything_that_needs_them_with_its_remedy(
    failed: list[str], browser_like: Visitor, services: Services
) -> None:
    assert browser_like("reviewer").get("/needs").status_code == 403
    client = browser_like("admin")
    intake.add_product(services, product("FLAG", name=""), by="test")
    now = services.clock.now()
    intake.receive_webhook(services, "main", inbound(b"{}", signed(b"{}", at=now), now))
    for delivery in services.inbox.page():
        services.inbox.finish(delivery.id, "failed", error="no <event>")
    page = client.get("/needs").text
    for words in (
        "A field that the rules require for this category is missing.",
        "Retry 4",
        "&lt;b&gt;no credit",
        "no &lt;event&gt;",
        "No worker is running",
    ):
        assert words in page, words
    (lost,) = [d for d in services.inbox.page() if d.state == "failed"]
    assert ">Dismiss<" in client.get("/deliveries?state=failed").text
    assert "is dismissed" in client.post(f"/deliveries/{lost.id}/dismiss", follow_redirects=True).text
    assert "no &lt;event&gt;" not in client.get("/needs").text
    assert [(e.by, e.subject) for e in services.audit.page() if e.action == "delivery_dismissed"] == [
        ("admin", "main")
    ]
    assert "Only failed" in client.post(f"/deliveries/{lost.id}/dismiss", follow_redirects=True).text
    assert 'href="/audit"' in page and 'href="/guests"' in page
    assert re.search(r'href="/needs"\s*aria-current="true"', client.get("/audit").text)
    assert "Nothing needs you" not in page and client.get("/review").text.count('href="/needs"') == 1
    assert "Compare now" in client.get("/connections").text
    assert "Comparing" in client.post("/connections/compare", follow_redirects=True).text


def test_what_needs_me_shows_what_was_clicked(
    failed: list[str], browser_like: Visitor, services: Services
) -> None:
    client = browser_like("admin")
    for sku in ("N1", "N2"):
        intake.add_product(services, product(sku, name=""), by="test")
    services.products.add_issues("F1", (issue("source.damaged", "It is cut off.", pointer="/images/front"),))
    page = html.unescape(client.get("/needs").text)
    (flagged,) = re.findall(r'href="\s*(/products\?flagged=1&code=[^"]+)"', page)
    listed = client.get(flagged).text
    assert listed.count('<li class="flagged">') == 2 and "N1" in listed and "F1" not in listed
    assert "A field that the rules require" in listed and "Show all flagged" in listed
    shown = re.findall(r'href="(/runs\?state=failed&cause=[^"]+)"', page)
    texts = [client.get(address).text for address in shown]
    assert ["no photo" in text for text in texts] == [True, False]
    assert ["no credit" in text for text in texts] == [False, True]
    assert all("One cause." in text and text.count("Retry") > 0 for text in texts)
    assert client.get("/runs?state=failed&cause=none").status_code == 200
    assert client.get("/products?flagged=1&code=none").text.count('<li class="flagged">') == 3


def test_a_cause_counts_once_where_its_product_is_flagged_for_it(
    failed: list[str], browser_like: Visitor, services: Services
) -> None:
    cut_off = issue("source.damaged", "It is cut off.", pointer="/images/front")
    services.products.add_issues("F0", (cut_off,))
    with services.db.write() as c:
        c.execute(
            sa.update(runs).where(runs.c.error == "no photo").values(error="source.damaged: It is cut off.")
        )
    own, other = (len(services.runs.page(sku=sku)) for sku in ("F0", "F1"))
    page = browser_like("admin").get("/needs").text
    flagged, _, runs_part = page.partition("<h2>Failed runs")
    assert cut_off.meaning in flagged and f"{own} runs have failed by it" in flagged
    assert f"/products/{services.products.get('F0').id}" in flagged  # there is one such product
    assert f'<strong class="num">{other}</strong>' in runs_part  # of F1, which is not flagged
    services.products.add_issues("F1", (cut_off,))
    page = browser_like("admin").get("/needs").text
    assert f"{own + other} runs have failed by it" in page
    assert "It is cut off." not in page.partition("<h2>Failed runs")[2] and "no credit" in page


def test_failed_rows_of_sheets_are_listed_for_some_days(
    browser_like: Visitor, services: Services, clock: TestClock
) -> None:
    client = browser_like("admin")
    where = client.post("/batches", data=hidden(checked(client, "sku,title\n,<i>Lamp\n,Mug\n"))).location
    services.batches.counts.keep_up()
    page = client.get("/needs").text
    listed = page.partition("Failed rows of sheets")[2].partition("</section>")[0]
    assert "rows have failed in Autumn" in listed and f'href="{where}"' in listed and ">2<" in listed
    assert "Nothing needs you" not in page
    clock.forward(8 * 86_400)
    assert "Failed rows of sheets" not in client.get("/needs").text
