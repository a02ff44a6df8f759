"""Operations to be crashed at each of their points, and what was there before them."""

from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import Any

from dam_connector.app import create_app
from dam_connector.domain.event import Decision, Verdict
from dam_connector.domain.issue import Report, Waiver, issue
from dam_connector.domain.product import Product
from dam_connector.domain.run import RunKind
from dam_connector.domain.version import Role, Version, VersionFile, VersionState
from dam_connector.errors import NotFound, StateConflict, Unavailable
from dam_connector.ports import RemoteState
from dam_connector.store.run_records import NewRun
from dam_connector.store.users import UserRole
from dam_connector.usecases import batches, bulk_review, intake, publish, review
from dam_connector.usecases.dam_sync.inbound import poll_dams
from dam_connector.usecases.expiry import withdraw_deleted
from schemas.sheet_reader import read_sheet
from schemas.uploads import PictureList
from tests.pipeline.helpers import chair, send
from tests.stress.crashes import World
from tests.support import MODEL, PhotoServer, product, rules_json

APPROVED = Decision(verdict=Verdict.APPROVED, by="ann")
REJECTED = Decision(verdict=Verdict.REJECTED, by="ann", reasons=("colour",))
PACKSHOT = {
    "name": "packshot",
    "kind": "rendition",
    "size_px": 64,
    "formats": ["jpeg"],
    "channels": ["shop", "feed"],
}
RULES = {
    "connections": {
        **rules_json()["connections"],
        "dam": {"shelf": {"adapter": "memory"}},
        "channel": {"shop": {"adapter": "memory"}, "feed": {"adapter": "memory"}},
    },
    "review": {"dam": "shelf"},
    "naming": {"default": "{sku}_{deliverable}_V{version}_{format:upper}"},
}


class Scenario:
    """An operation and what was there before it."""

    sampled_points = 4  # points at which `make stress` crashes it; 0: it leaves the operation out
    repeats_at_once = False  # the request is possible for a time only: it is repeated before anything follows
    deliverables: tuple[dict[str, Any], ...] = (PACKSHOT,)

    def __init__(self, world: World, photos: PhotoServer) -> None:
        self.world, self.photos = world, photos
        self.answered = 0  # how many of the requests had an answer

    @classmethod
    def rules(cls) -> dict[str, Any]:
        """Return plugin.json, without the deliverables."""
        return RULES

    def compare(self, seen: dict[str, Any], expected: dict[str, Any]) -> None:
        """Assert that all ended as it does undisturbed."""
        assert seen == expected

    def prepare(self) -> None:
        """Make what the operation is about, and work until all is quiet."""

    def requests(self) -> list[Callable[[], object]]:
        """Return what is asked of the connector, in order."""
        raise NotImplementedError

    def operate(self, *, repeats: bool = False) -> None:
        """Make the requests that had no answer yet, and do all that follows from them.

        Args:
            repeats: The first of them may have taken effect: then it is refused.
        """
        for request in self.requests()[self.answered :]:
            with suppress(StateConflict, NotFound) if repeats else nullcontext():
                request()
            self.answered, repeats = self.answered + 1, False
        self.world.work()

    def version(self, number: int) -> Version:
        found = self.world.services.assets.of_product("CH1")
        return next(v for v in found if v.number == number)

    def make_version(self, *, errors: bool = False) -> None:
        """Let the next version of CH1's packshot be made, pushed and put in review."""
        services = self.world.services
        self.world.clock.forward(1)
        services.products.upsert(product("CH1"), connection="", ref="CH1", source_time=self.world.clock.now())
        run = NewRun(
            kind=RunKind.IMAGE,
            sku="CH1",
            deliverable="packshot",
            slot=1,
            input_hash=f"made:{self.world.clock.now()}",
            rules_fingerprint=services.rules.current().fingerprint,
        )
        run_id = services.runs.add([run])[0]
        version_id, number = services.assets.assign_version(
            sku="CH1", deliverable="packshot", slot=1, kind="image", run_id=run_id, rules_fingerprint="r"
        )
        data = f"picture {number}".encode()
        file = VersionFile(
            name=f"CH1_packshot_V{number}_JPEG.jpg",
            format="jpeg",
            role=Role.PRIMARY,
            view="",
            mime="image/jpeg",
            sha256=services.blobs.put(data),
            bytes=len(data),
        )
        report = Report(issues=(issue("file.unreadable", "wrong"),)) if errors else Report()
        services.assets.seal(version_id, (file,), report, {})
        leased = services.runs.lease(run_id, "test", 60)
        assert leased
        services.runs.finish(leased, leased.state.DONE)
        review_run = NewRun(
            kind=RunKind.REVIEW,
            sku="CH1",
            deliverable="packshot",
            slot=1,
            input_hash=f"review:{version_id}",
            rules_fingerprint=services.rules.current().fingerprint,
            version_id=version_id,
        )
        services.runs.add([review_run])
        self.world.work()

    def make_live_version(self) -> None:
        self.make_version()
        number = max(v.number for v in self.world.services.assets.of_product("CH1"))
        review.decide(self.world.services, self.version(number), APPROVED, source="page")
        self.world.work()


class Approve(Scenario):
    def prepare(self) -> None:
        self.make_version()

    def requests(self) -> list[Callable[[], object]]:
        return [lambda: self.decide(1)]

    def decide(self, number: int, decision: Decision = APPROVED, **options: Any) -> None:
        review.decide(self.world.services, self.version(number), decision, source="page", **options)

    def undo(self, number: int) -> None:
        review.undo(self.world.services, self.version(number), by="ann")


class ApproveTheNext(Approve):
    def prepare(self) -> None:
        self.make_live_version()
        self.make_version()

    def requests(self) -> list[Callable[[], object]]:
        return [lambda: self.decide(2)]


class ApproveForADay(Approve):
    def requests(self) -> list[Callable[[], object]]:
        day = self.world.clock.now().replace(day=22, hour=0, minute=0)
        return [lambda: self.decide(1, go_live_at=day), lambda: self.world.clock.forward(2 * 86_400)]


class ApproveAndUndo(Approve):
    repeats_at_once = True

    def requests(self) -> list[Callable[[], object]]:
        return [lambda: self.decide(1, delay_s=60), lambda: self.undo(1)]


class UndoWhileAChannelIsAway(Approve):
    """The approval went live in one of two channels; the undo takes it off there."""

    repeats_at_once = True

    def prepare(self) -> None:
        self.make_live_version()
        self.make_version()
        feed: Any = self.world.services.channel("feed")
        feed.inner.fail_with = Unavailable("feed", "publish", "away")
        self.decide(2)
        (run,) = [r for r in self.world.services.runs.page(state="queued") if r.kind is RunKind.PUBLISH]
        self.world.run_job("finish_run", run.id)
        assert {p.version_id for p in self.world.services.publications.of_product("CH1")} == {
            self.version(1).id,
            self.version(2).id,
        }

    def requests(self) -> list[Callable[[], object]]:
        return [lambda: self.undo(2)]


class WithdrawWhileAChannelIsAway(UndoWhileAChannelIsAway):
    def requests(self) -> list[Callable[[], object]]:
        return [lambda: publish.withdraw(self.world.services, self.version(2), by="ann")]


class Reject(Approve):
    def requests(self) -> list[Callable[[], object]]:
        return [lambda: self.decide(1, REJECTED)]


class UndoAfterTheNextVersionCame(Approve):
    def prepare(self) -> None:
        self.make_version()
        self.decide(1, REJECTED)
        self.make_version()

    def requests(self) -> list[Callable[[], object]]:
        return [lambda: self.undo(1)]


class ApproveInTheDam(Approve):
    def prepare(self) -> None:
        super().prepare()
        dam: Any = self.world.services.dam("shelf")
        dam.decide(self.version(1).dam_ref, APPROVED)

    def requests(self) -> list[Callable[[], object]]:
        return [lambda: poll_dams(self.world.services)]


class ArchiveInTheDam(Scenario):
    """Somebody withdraws a live version in the DAM."""

    def prepare(self) -> None:
        self.make_live_version()
        dam: Any = self.world.services.dam("shelf")
        ref = self.version(1).dam_ref
        dam.inner.remote_states[ref] = RemoteState(state=VersionState.WITHDRAWN)
        dam.inner._changed_refs.append(ref)

    def requests(self) -> list[Callable[[], object]]:
        return [lambda: poll_dams(self.world.services)]


class Withdraw(Scenario):
    def prepare(self) -> None:
        self.make_live_version()

    def requests(self) -> list[Callable[[], object]]:
        return [self.withdraw]

    def withdraw(self) -> None:
        publish.withdraw(self.world.services, self.version(1), by="ann", reason="recalled")

    def roll_back(self) -> None:
        publish.rollback(self.world.services, self.version(1), by="ann")


class RollBack(Withdraw):
    def prepare(self) -> None:
        self.make_live_version()
        self.make_live_version()

    def requests(self) -> list[Callable[[], object]]:
        return [self.roll_back]


class WithdrawAndRollBack(Withdraw):
    def requests(self) -> list[Callable[[], object]]:
        return [self.withdraw, self.roll_back]


class WaiveAnError(Scenario):
    def prepare(self) -> None:
        self.make_version(errors=True)

    def requests(self) -> list[Callable[[], object]]:
        waiver = Waiver(code="file.unreadable", by="ann", reason="meant so")
        return [lambda: review.waive(self.world.services, self.version(1), waiver)]


class ApproveAndUndoMany(Scenario):
    repeats_at_once = True

    def prepare(self) -> None:
        self.make_version()

    def requests(self) -> list[Callable[[], object]]:
        s, ids = self.world.services, [self.version(1).id]
        return [
            lambda: bulk_review.decide_all(s, ids, APPROVED, delay_s=60, roles=set(UserRole)),
            lambda: bulk_review.undo_all(s, by="ann"),
            lambda: bulk_review.decide_all(s, ids, APPROVED, delay_s=60, roles=set(UserRole)),
        ]


class ApproveByApi(Approve):
    """A repeat with the same Idempotency-Key has the same answer."""

    def prepare(self) -> None:
        super().prepare()
        users = self.world.services.users
        self.token = users.add_token(users.add("ann", UserRole.REVIEWER), "test")

    def requests(self) -> list[Callable[[], object]]:
        return [self.post]

    def post(self) -> None:
        client = create_app(self.world.services).test_client()
        headers = {"Authorization": f"Bearer {self.token}", "Idempotency-Key": "k"}
        address = f"/api/v1/versions/{self.version(1).id}/decision"
        answer = client.post(address, headers=headers, json={"verdict": "approved"})
        for _ in range(60):  # the dead process holds the lock for a while
            if answer.status_code != 409:
                break
            self.world.clock.forward(1)
            answer = client.post(address, headers=headers, json={"verdict": "approved"})
        assert answer.status_code == 200 and answer.json["state"] == "approved", answer.text


class CreateByWebhook(Scenario):
    """From the sender's request to a packshot in review: the whole pipeline of pictures."""

    def requests(self) -> list[Callable[[], object]]:
        return [lambda: send(self.world.services, chair(self.photos, sku="CH1"))]


class CreateAModelByWebhook(CreateByWebhook):
    """From the sender's request to a model in review, and to the rendition that is made from it."""

    sampled_points = 2
    deliverables = (
        {**MODEL, "channels": ["shop"], "max_triangles": 1000, "texture_px": 512},
        {**PACKSHOT, "name": "render", "made_from": "model"},
    )


class AddAndEditAProduct(Scenario):
    def requests(self) -> list[Callable[[], object]]:
        return [self.add, self.world.work, lambda: self.edit("green")]

    def facts(self, **changes: Any) -> Product:
        return product("CH1", images={"front": chair(self.photos)["images"]["front"]}, **changes)

    def add(self) -> None:
        intake.add_product(self.world.services, self.facts(), by="ann")

    def edit(self, color: str) -> None:
        self.world.clock.forward(1)
        record = self.world.services.products.get("CH1")
        assert record
        intake.edit_product(self.world.services, record, self.facts(color=color), by="ann")


class DeleteByWebhook(Scenario):
    def prepare(self) -> None:
        send(self.world.services, chair(self.photos, sku="CH1"))
        self.world.work()
        self.world.clock.forward(1)

    def requests(self) -> list[Callable[[], object]]:
        return [lambda: send(self.world.services, {"sku": "CH1"}, message="msg_2", kind="product.deleted")]


class DeleteWhatIsLive(Scenario):
    """A product is deleted in its PIM: its version goes offline."""

    def prepare(self) -> None:
        self.make_live_version()
        self.world.clock.forward(1)

    def requests(self) -> list[Callable[[], object]]:
        deleted = {"message": "msg_2", "kind": "product.deleted"}
        return [
            lambda: send(self.world.services, {"sku": "CH1"}, **deleted),
            self.world.work,
            lambda: withdraw_deleted(self.world.services),
        ]


class BeginABatch(Scenario):
    def requests(self) -> list[Callable[[], object]]:
        return [self.start]

    def start(self) -> None:
        chair(self.photos)
        sheet = read_sheet(
            f"sku,product_name,image_url,category\nCH1,Chair,{self.photos.url('front.jpg')},seating\n"
            f"CH2,Stool,{self.photos.url('front.jpg')},seating\n".encode()
        )
        mapping = {n: n for n in ("sku", "product_name", "image_url", "category")}
        batches.start(self.world.services, "autumn", "ann", sheet, mapping, PictureList())


SCENARIOS = (
    Approve, ApproveTheNext, ApproveForADay, ApproveAndUndo, UndoWhileAChannelIsAway,
    WithdrawWhileAChannelIsAway, Reject, UndoAfterTheNextVersionCame, ApproveInTheDam, Withdraw, RollBack,
    WithdrawAndRollBack, WaiveAnError, ApproveAndUndoMany, ApproveByApi, CreateByWebhook, AddAndEditAProduct,
    DeleteByWebhook, DeleteWhatIsLive, ArchiveInTheDam, BeginABatch, CreateAModelByWebhook,
)  # fmt: skip
