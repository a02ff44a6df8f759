"""Notifications: stored with what they tell of, signed, sent again until they arrive, told to who asked."""

import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from standardwebhooks import Webhook

from dam_connector.domain.event import Decision, Verdict
from dam_connector.errors import ConfigError
from dam_connector.usecases import comments, intake, notify, review
from dam_connector.wiring import Services
from schemas.rules_loader import load_rules
from tests.support import SECRET, PhotoServer, TestClock, picture, product, rules_json


class Receiver(ThreadingHTTPServer):
    """A server that keeps what it gets, and answers 503 as often as it shall."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), ReceiverHandler)
        self.got: list[tuple[dict[str, str], str]] = []
        self.failures = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"


class ReceiverHandler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.got.append((headers, body))
        self.server.failures -= 1
        self.send_response(503 if self.server.failures >= 0 else 204)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


class MailHandler(socketserver.StreamRequestHandler):
    """As much of SMTP as one e-mail needs."""

    def handle(self) -> None:
        self.wfile.write(b"220 test\r\n")
        while line := self.rfile.readline():
            if line.upper().startswith(b"DATA"):
                self.wfile.write(b"354 go\r\n")
                text = b""
                while (data := self.rfile.readline()) != b".\r\n":
                    text += data
                self.server.mails.append(text.decode())  # type: ignore[attr-defined]
            self.wfile.write(b"221 bye\r\n" if line.upper().startswith(b"QUIT") else b"250 ok\r\n")
            if line.upper().startswith(b"QUIT"):
                return


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def allow_hosts(photos: PhotoServer, receiver: Receiver) -> str:
    return f"{photos.host},127.0.0.1:{receiver.server_port}"


@pytest.fixture
def site(
    services: Services,
    photos: PhotoServer,
    receiver: Receiver,
    write_rules: Callable,
    drain: Callable[[], int],
) -> Services:
    """A chair in review, and the receiver as a webhook that wants everything about seating."""
    set_notify(write_rules, receiver, kind="webhook", secret="env/HOOK_SECRET", categories=["seating"])
    photos.files["a.jpg"] = picture()
    images = {"front": photos.url("a.jpg")}
    intake.add_product(services, product("A1", category="seating", images=images), by="test")
    drain()
    return services


def set_notify(write_rules: Callable, receiver: Receiver, **target: object) -> None:
    target.setdefault("url", receiver.url)
    notify_rules = {"targets": {"ops": target}, "due_days": 3}
    write_rules(deliverables=rules_json()["deliverables"][:1], notify=notify_rules)


def test_each_event_is_signed_and_sent_once(site: Services, receiver: Receiver) -> None:
    version = site.assets.of_product("A1")[0]
    review.decide(
        site, version, Decision(verdict=Verdict.REJECTED, by="ann", reasons=("colour",)), source="page"
    )
    comments.add(site, version, text="redder", by="bob")
    assert notify.send_notifications(site) == 3
    types = [json.loads(body)["type"] for _, body in receiver.got]
    assert types == ["version.in_review", "version.rejected", "version.commented"]
    headers, body = receiver.got[1]
    at = site.clock.now()
    sent = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
    assert abs((sent - at).total_seconds()) < 2
    signature = Webhook(SECRET).sign(headers["webhook-id"], sent, body)
    assert headers["webhook-signature"] == signature
    data = json.loads(body)["data"]
    assert (data["sku"], data["by"], data["detail"], data["state"]) == ("A1", "ann", "colour", "rejected")
    assert data["url"].endswith(f"/versions/{version.id}")
    assert notify.send_notifications(site) == 0 and len(receiver.got) == 3


def test_what_is_not_accepted_comes_again_with_the_same_id(
    site: Services, receiver: Receiver, clock: TestClock
) -> None:
    receiver.failures = 2
    assert notify.send_notifications(site) == 0
    assert notify.send_notifications(site) == 0 and len(receiver.got) == 1  # it waits
    clock.forward(31)
    assert notify.send_notifications(site) == 0
    clock.forward(61)
    assert notify.send_notifications(site) == 1
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1 and len(receiver.got) == 3


def test_an_event_that_was_rolled_back_is_not_told(site: Services, receiver: Receiver) -> None:
    notify.send_notifications(site)
    version = site.assets.of_product("A1")[0]
    with pytest.raises(RuntimeError), site.transaction():
        review.decide(site, version, Decision(verdict=Verdict.APPROVED, by="ann"), source="page")
        raise RuntimeError
    assert notify.send_notifications(site) == 0


def test_others_are_told_only_what_they_asked_for(
    site: Services, receiver: Receiver, write_rules: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    notify.send_notifications(site)
    receiver.got.clear()
    monkeypatch.setitem(site.settings.environ, "SLACK_URL", receiver.url)  # type: ignore[arg-type]
    set_notify(write_rules, receiver, kind="slack", url="env/SLACK_URL", events=["version.approved"])
    version = site.assets.of_product("A1")[0]
    comments.add(site, version, text="not told", by="bob")
    review.decide(site, version, Decision(verdict=Verdict.APPROVED, by="<ann>"), source="page")
    assert notify.send_notifications(site) == 1
    text = json.loads(receiver.got[0][1])["text"]
    assert text.startswith("A1 packshot V1 was approved by &lt;ann&gt;\n<http")
    set_notify(write_rules, receiver, kind="teams", url="env/SLACK_URL", categories=["lighting"])
    review.undo(site, version, by="ann")
    assert notify.send_notifications(site) == 0


def test_an_overdue_review_is_told_once_a_day(site: Services, receiver: Receiver, clock: TestClock) -> None:
    assert notify.remind_of_overdue(site) == 0
    clock.forward(4 * 86_400)
    assert notify.remind_of_overdue(site) == 1 and notify.remind_of_overdue(site) == 0
    notify.send_notifications(site)
    told = [json.loads(body) for _, body in receiver.got]
    assert ("review.overdue", "4 days") in [(t["type"], t["data"]["detail"]) for t in told]


def test_owners_get_an_email_about_what_waits(
    site: Services, write_rules: Callable, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), MailHandler)
    server.mails = []  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"smtp://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setitem(site.settings.environ, "SMTP_URL", url)  # type: ignore[arg-type]
    addresses = {"Ann": "ann@example.com", "*": "team@example.com"}
    digest = {"smtp": "env/SMTP_URL", "from": "dam@example.com", "addresses": addresses}
    write_rules(
        deliverables=rules_json()["deliverables"][:1],
        notify={"digest": digest},
        review={"owners": {"seating": "Ann"}},
    )
    assert notify.send_digests(site) == 1 and notify.send_digests(site) == 0
    (mail,) = server.mails  # type: ignore[attr-defined]
    assert "To: ann@example.com" in mail and "1 version waits for a decision" in mail
    assert "category=3Dseating" in mail or "category=seating" in mail
    clock.forward(25 * 3600)
    assert notify.send_digests(site) == 1
    server.shutdown()
    server.server_close()
    clock.forward(25 * 3600)
    assert notify.send_digests(site) == 0  # the server is away


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ({"kind": "webhook", "url": "https://x.example"}, "needs a secret"),
        ({"kind": "webhook", "url": "ftp://x", "secret": "env/A"}, "https://"),
        ({"kind": "webhook", "url": "https://x.example", "secret": "whsec_abc"}, "environment"),
        ({"kind": "webhook", "url": "http://", "secret": "env/A"}, "x/url: write the address"),
        ({"kind": "webhook", "url": "http://[::1", "secret": "env/A"}, "x/url: write the address"),
        ({"kind": "webhook", "url": "https://a b.example/x", "secret": "env/A"}, "x/url: write the address"),
        ({"kind": "webhook", "url": "https://a.example:port", "secret": "env/A"}, "x/url: write the address"),
        ({"kind": "slack", "url": "env/"}, "x/url: put it into the environment"),
        ({"kind": "slack", "url": "env/T", "events": []}, "x/events: name at least one"),
        ({"kind": "slack", "url": "env/T", "categories": []}, "x/categories: name at least one"),
        ({"kind": "slack", "url": "https://hooks.slack.com/services/T/B/x"}, "is a secret"),
        ({"kind": "teams", "url": "env/T", "events": ["version.lost"]}, "events/0"),
    ],
)
def test_targets_that_cannot_work_are_refused(target: dict, problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_rules(json.dumps(rules_json(notify={"targets": {"x": target}})))
    assert problem in "\n".join(refused.value.problems)
