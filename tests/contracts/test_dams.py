"""DAMs that are servers: the same promises for each, on servers that play them, with every way in which an answer can get lost."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from dam_connector.adapters import adapter_names
from dam_connector.adapters.common.context import AdapterContext
from dam_connector.domain.event import Decision, Verdict
from dam_connector.domain.version import Role, Version, VersionFile, VersionState
from dam_connector.errors import (
    AdapterError,
    BadOutput,
    DeliveryError,
    NotFound,
    RateLimited,
    Refused,
    Unavailable,
)
from dam_connector.ports import Blobs, Dam, PushRequest
from dam_connector.store.blobs import open_blobs
from tests.contracts.dams.aem import FakeAem
from tests.contracts.dams.bynder import FakeBynder
from tests.contracts.dams.cloudinary import FakeCloudinary
from tests.contracts.dams.directus import FakeDirectus
from tests.contracts.dams.harness import FakeDam
from tests.contracts.dams.resourcespace import FakeResourceSpace
from tests.contracts.test_dam_channel_provider_blobs import a_version
from tests.support import picture, product

PLAYED: dict[str, type[FakeDam]] = {
    each.vendor: each
    for each in (FakeDirectus, FakeResourceSpace, FakeCloudinary, FakeBynder, FakeAem)
}
HEARING = [name for name, played in PLAYED.items() if "webhook" in vars(played)]


@pytest.fixture
def blobs(tmp_path: object) -> Blobs:
    return open_blobs(f"{tmp_path}/blobs")


@pytest.fixture
def play() -> Iterator[Callable[[str], FakeDam]]:
    started: list[FakeDam] = []

    def begin(name: str) -> FakeDam:
        started.append(PLAYED[name]())
        return started[-1]

    yield begin
    for server in started:
        server.stop()


@pytest.fixture(params=list(PLAYED))
def played(request: pytest.FixtureRequest, play: Callable[[str], FakeDam]) -> FakeDam:
    return play(request.param)


@pytest.fixture
def dam(played: FakeDam, context: AdapterContext) -> Dam:
    return played.open(context)


def test_every_dam_is_played() -> None:
    assert sorted(["library", "memory", *PLAYED]) == adapter_names("dam")


def version(blobs: Blobs, number: int = 1) -> Version:
    """A model with its USDZ and a preview, in review."""
    made = a_version(blobs, b"glTF" + bytes([number]) * 60, number, VersionState.IN_REVIEW)
    more = [
        ("usdz", Role.USDZ, "", "model/vnd.usdz+zip", b"PK\3\4" + bytes(40)),
        ("webp", Role.PREVIEW, "hero", "image/webp", b"RIFF" + bytes(40)),
    ]
    files = [
        VersionFile(
            name=f"CH123_X_V{number}{'_hero' if view else ''}.{format}",
            format=format,
            role=role,
            view=view,
            mime=mime,
            sha256=blobs.put(data),
            bytes=len(data),
        )
        for format, role, view, mime, data in more
    ]
    return replace(made, files=(*made.files, *files), provenance={"generator": "local", "prompt": "a chair"})


def pushed(dam: Dam, blobs: Blobs, number: int = 1) -> str:
    found = version(blobs, number)
    about = {
        "folder": "furniture/CH123",
        "review_url": "https://dam.example/versions/ver_1",
        "preview": picture(),
    }
    return dam.push(
        PushRequest(external_id=f"CH123:model:1:{number}", version=found, product=product(), **about), blobs
    )


def test_a_version_lies_there_byte_for_byte_in_review(played: FakeDam, dam: Dam, blobs: Blobs) -> None:
    ref = pushed(dam, blobs)
    assert dam.remote_state(ref, version(blobs)).state is VersionState.IN_REVIEW
    for file in version(blobs).files:
        assert played.stored_bytes(file.name) == blobs.get(file.sha256)
    assert pushed(dam, blobs) == ref and pushed(dam, blobs, 2) != ref
    assert played.asset_count() == (1 if played.has_own_versions else 2)


@pytest.mark.parametrize("lost", range(9))
def test_a_lost_answer_never_makes_a_second_asset(
    played: FakeDam, dam: Dam, blobs: Blobs, lost: int
) -> None:
    played.faults["push"] = [*[""] * lost, "lost"]
    try:
        ref = pushed(dam, blobs)
    except Unavailable:
        ref = pushed(dam, blobs)
    assert played.asset_count() == 1 and dam.remote_state(ref, version(blobs)).state is VersionState.IN_REVIEW
    for file in version(blobs).files:
        assert played.stored_bytes(file.name) == blobs.get(file.sha256)


@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_person_s_decision_is_seen_once_with_name_and_note(
    played: FakeDam, dam: Dam, blobs: Blobs, verdict: Verdict
) -> None:
    ref, other = pushed(dam, blobs), "" if played.has_own_versions else pushed(dam, blobs, 2)
    _, cursor = dam.changed_since("")
    played.decide(ref, verdict.value, "rita", "legs too short")
    refs, cursor = dam.changed_since(cursor)
    assert refs == [ref] and dam.changed_since(cursor)[0] == []
    said = dam.remote_state(ref, version(blobs))
    assert (
        said.state.value == verdict.value
        and dam.changed_files(ref, version(blobs)) == ()
        and said.decision
        and said.decision.verdict is verdict
    )
    assert said.decision.note == "legs too short" and (
        "rita" in said.decision.by or played.vendor in said.decision.by
    )
    assert not other or dam.remote_state(other, version(blobs, 2)).state is VersionState.IN_REVIEW


def test_what_we_write_is_read_again_and_is_no_person_s_decision(dam: Dam, blobs: Blobs) -> None:
    ref = pushed(dam, blobs)
    _, cursor = dam.changed_since("")
    for state in (
        VersionState.APPROVED,
        VersionState.PUBLISHED,
        VersionState.SUPERSEDED,
        VersionState.WITHDRAWN,
        VersionState.REJECTED,
    ):
        dam.write_state(
            ref, state, Decision(verdict=Verdict.APPROVED, by="ann", reasons=("colour",), note="fine")
        )
        found = dam.remote_state(ref, replace(version(blobs), state=state))
        assert found.state is state and found.decision is None
        assert dam.changed_since(cursor)[0] == []
    dam.write_state(ref, VersionState.IN_REVIEW)
    assert dam.remote_state(ref, version(blobs)).state is VersionState.IN_REVIEW


def test_files_changed_by_hand_are_noticed_with_the_decision(
    played: FakeDam, dam: Dam, blobs: Blobs
) -> None:
    ref, name = pushed(dam, blobs), "CH123_X_V1_GLB.glb"
    played.replace_file(name)
    played.decide(ref, "approved", "rita", "")
    assert dam.changed_files(ref, version(blobs)) == (name,)


def test_what_is_removed_is_gone_for_good(played: FakeDam, dam: Dam, blobs: Blobs) -> None:
    ref = pushed(dam, blobs)
    dam.remove(ref)
    dam.remove(ref)
    assert played.asset_count() == 0
    for ask in (
        lambda: dam.remote_state(ref, version(blobs)),
        lambda: dam.changed_files(ref, version(blobs)),
        lambda: dam.write_state(ref, VersionState.APPROVED),
    ):
        with pytest.raises(NotFound):
            ask()


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("429", RateLimited),
        ("500", Unavailable),
        ("403", Refused),
        ("401", Refused),
        ("closed", Unavailable),
        ("slow", Unavailable),
        ("no json", BadOutput),
        ("lost", Unavailable),
    ],
)
def test_every_failure_says_what_to_do_next(
    played: FakeDam, dam: Dam, blobs: Blobs, fault: str, error: type[AdapterError]
) -> None:
    ref = pushed(dam, blobs)
    dam.changed_since("")
    played.faults["read"] = [fault]
    with pytest.raises(error) as told:
        dam.remote_state(ref, version(blobs))
    assert told.value.vendor == played.vendor and "key_fake" not in str(told.value)
    if isinstance(told.value, RateLimited):
        assert told.value.retry_after_s == 7


@pytest.mark.parametrize("name", HEARING)
def test_a_webhook_is_proved_and_names_what_changed(
    play: Callable[[str], FakeDam], context: AdapterContext, blobs: Blobs, name: str
) -> None:
    played = play(name)
    dam = played.open(context)
    ref = pushed(dam, blobs)
    played.decide(ref, "approved", "rita", "")
    inbound = played.webhook(ref, context)
    assert dam.verify(inbound).key and dam.parse_webhook(inbound) == [ref]
    for changed in ({"body": inbound.body + b" "}, {"headers": {}}):
        bad = replace(inbound, **changed)
        if "headers" in changed or played.signs_bodies:
            with pytest.raises(DeliveryError):
                dam.verify(bad)
    with pytest.raises((BadOutput, DeliveryError)):
        dam.parse_webhook(replace(inbound, body=b"{"))


def test_a_busy_log_of_resourcespace_loses_the_name_and_not_the_decision(
    play: Callable[[str], FakeDam], context: AdapterContext, blobs: Blobs
) -> None:
    played = play("resourcespace")
    dam = played.open(context)
    ref = pushed(dam, blobs)
    played.decide(ref, "approved", "rita", "fine")
    played.log.clear()  # type: ignore[attr-defined]
    said = dam.remote_state(ref, version(blobs))
    assert (
        said.state is VersionState.APPROVED
        and said.decision
        and said.decision.by == "somebody in resourcespace"
    )


@pytest.mark.parametrize("name", ["cloudinary", "aem", "resourcespace", "bynder"])
def test_a_picture_is_decided_about_in_full_not_by_its_preview(
    play: Callable[[str], FakeDam], context: AdapterContext, blobs: Blobs, name: str
) -> None:
    found = version(blobs)
    files = [
        VersionFile(
            name=f"P_V1{'_preview' if role is Role.PREVIEW else ''}.{form}",
            format=form,
            role=role,
            view=view,
            mime=f"image/{form}",
            sha256=s,
            bytes=9,
        )
        for form, role, view, s in (
            ("webp", Role.PREVIEW, "front", blobs.put(b"RIFF small")),
            ("webp", Role.PRIMARY, "", blobs.put(b"RIFF large")),
            ("jpeg", Role.PRIMARY, "", blobs.put(b"\xff\xd8\xff large")),
        )
    ]
    picture_version = replace(
        found, files=tuple(files), asset=replace(found.asset, kind="image", deliverable="packshot")
    )
    request = PushRequest(
        external_id="CH123:packshot:1:1",
        version=picture_version,
        product=product(),
        folder="x",
        review_url="",
    )
    assert picture_version.ordered[0].format == "jpeg"
    ref = play(name).open(context).push(request, blobs)
    if name in ("cloudinary", "aem"):
        assert "P_V1" in ref and "jpeg" in ref and "preview" not in ref


def test_a_state_that_somebody_made_up_is_told_with_the_remedy(
    play: Callable[[str], FakeDam], context: AdapterContext, blobs: Blobs
) -> None:
    for name in ("directus", "cloudinary", "aem"):
        played = play(name)
        dam = played.open(context)
        ref = pushed(dam, blobs)
        if isinstance(played, FakeDirectus):
            played.rows[ref]["status"] = "nearly"
        elif isinstance(played, FakeCloudinary):
            played.stored["image", ref]["context"]["connector_state"] = "nearly"
        elif isinstance(played, FakeAem):
            played.stored[ref]["metadata"]["connector:state"] = "nearly"
        with pytest.raises(BadOutput, match="nearly"):
            dam.remote_state(ref, version(blobs))


@pytest.mark.parametrize("name", ["bynder", "aem"])
@pytest.mark.parametrize("fault", ["lost", "500", "closed"])
def test_a_storage_that_does_not_answer_is_tried_again(
    play: Callable[[str], FakeDam], context: AdapterContext, blobs: Blobs, name: str, fault: str
) -> None:
    played = play(name)
    dam = played.open(context)
    played.faults["storage"] = [fault]
    with pytest.raises(Unavailable, match="storage"):
        pushed(dam, blobs)
    ref = pushed(dam, blobs)
    assert played.asset_count() == 1 and dam.changed_files(ref, version(blobs)) == ()


def test_an_import_of_bynder_that_takes_a_moment_is_waited_for(
    play: Callable[[str], FakeDam], context: AdapterContext, blobs: Blobs
) -> None:
    played = play("bynder")
    played.slow = 2  # type: ignore[attr-defined]
    pushed(played.open(context), blobs)
    assert played.asset_count() == 1 and played.looks < 8  # type: ignore[attr-defined]  # looked at a few times, not as fast as it goes


def test_changes_of_others_in_bynder_move_on_what_is_asked_for(
    play: Callable[[str], FakeDam], context: AdapterContext, blobs: Blobs
) -> None:
    played = play("bynder")
    dam = played.open(context)
    ref = pushed(dam, blobs)
    played._change(ref.partition("@")[0], {"metaproperty.p-id": ""})  # type: ignore[attr-defined]  # somebody else's media, modified last
    refs, cursor = dam.changed_since("")
    assert refs == [] and cursor
