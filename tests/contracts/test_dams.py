"""The contract suite of the port Dam: every adapter of an outside DAM on a fake server, with lost answers."""

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

FAKES: dict[str, type[FakeDam]] = {
    each.vendor: each for each in (FakeDirectus, FakeResourceSpace, FakeCloudinary, FakeBynder, FakeAem)
}
WITH_WEBHOOKS = [name for name, server in FAKES.items() if "webhook" in vars(server)]


@pytest.fixture
def blobs(tmp_path: object) -> Blobs:
    return open_blobs(f"{tmp_path}/blobs")


@pytest.fixture
def start_fake() -> Iterator[Callable[[str], FakeDam]]:
    started: list[FakeDam] = []

    def start(name: str) -> FakeDam:
        started.append(FAKES[name]())
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture(params=list(FAKES))
def server(request: pytest.FixtureRequest, start_fake: Callable[[str], FakeDam]) -> FakeDam:
    return start_fake(request.param)


@pytest.fixture
def dam(server: FakeDam, context: AdapterContext) -> Dam:
    return server.open(context)


def test_every_dam_is_played() -> None:
    assert sorted(["library", "memory", *FAKES]) == adapter_names("dam")


def version(blobs: Blobs, number: int = 1) -> Version:
    """Return a model with its USDZ and a preview, in review."""
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


def push(dam: Dam, blobs: Blobs, number: int = 1) -> str:
    found = version(blobs, number)
    about = {
        "folder": "furniture/CH123",
        "review_url": "https://dam.example/versions/ver_1?from=dam&side=front",
        "preview": picture(),
    }
    return dam.push(
        PushRequest(external_id=f"CH123:model:1:{number}", version=found, product=product(), **about), blobs
    )


def test_a_pushed_version_is_in_review_byte_for_byte(server: FakeDam, dam: Dam, blobs: Blobs) -> None:
    ref = push(dam, blobs)
    assert dam.remote_state(ref, version(blobs)).state is VersionState.IN_REVIEW
    for file in version(blobs).files:
        assert server.stored_bytes(file.name) == blobs.get(file.sha256)
    assert push(dam, blobs) == ref and push(dam, blobs, 2) != ref
    assert server.asset_count() == (1 if server.has_own_versions else 2)


@pytest.mark.parametrize("lost", range(9))
def test_a_lost_answer_never_makes_a_second_asset(server: FakeDam, dam: Dam, blobs: Blobs, lost: int) -> None:
    server.faults["push"] = [*[""] * lost, "lost"]
    try:
        ref = push(dam, blobs)
    except Unavailable:
        ref = push(dam, blobs)
    assert server.asset_count() == 1 and dam.remote_state(ref, version(blobs)).state is VersionState.IN_REVIEW
    for file in version(blobs).files:
        assert server.stored_bytes(file.name) == blobs.get(file.sha256)


@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_person_s_decision_is_seen_once_with_name_and_note(
    server: FakeDam, dam: Dam, blobs: Blobs, verdict: Verdict
) -> None:
    ref, other = push(dam, blobs), "" if server.has_own_versions else push(dam, blobs, 2)
    _, cursor = dam.changed_since("")
    server.decide(ref, verdict.value, "rita", "legs too short")
    refs, cursor = dam.changed_since(cursor)
    assert refs == [ref] and dam.changed_since(cursor)[0] == []
    remote = dam.remote_state(ref, version(blobs))
    assert (
        remote.state.value == verdict.value
        and dam.changed_files(ref, version(blobs)) == ()
        and remote.decision
        and remote.decision.verdict is verdict
    )
    assert remote.decision.note == "legs too short" and (
        "rita" in remote.decision.by or server.vendor in remote.decision.by
    )
    assert not other or dam.remote_state(other, version(blobs, 2)).state is VersionState.IN_REVIEW


def test_what_we_write_is_read_again_and_is_no_person_s_decision(dam: Dam, blobs: Blobs) -> None:
    ref = push(dam, blobs)
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


def test_files_changed_by_hand_are_noticed_with_the_decision(server: FakeDam, dam: Dam, blobs: Blobs) -> None:
    ref, name = push(dam, blobs), "CH123_X_V1_GLB.glb"
    server.replace_file(name)
    server.decide(ref, "approved", "rita", "")
    assert dam.changed_files(ref, version(blobs)) == (name,)


def test_what_is_removed_is_gone_for_good(server: FakeDam, dam: Dam, blobs: Blobs) -> None:
    ref = push(dam, blobs)
    dam.remove(ref)
    dam.remove(ref)
    assert server.asset_count() == 0
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
    server: FakeDam, dam: Dam, blobs: Blobs, fault: str, error: type[AdapterError]
) -> None:
    ref = push(dam, blobs)
    dam.changed_since("")
    server.faults["read"] = [fault]
    with pytest.raises(error) as raised:
        dam.remote_state(ref, version(blobs))
    assert raised.value.vendor == server.vendor and "key_fake" not in str(raised.value)
    if isinstance(raised.value, RateLimited):
        assert raised.value.retry_after_s == 7


@pytest.mark.parametrize("name", WITH_WEBHOOKS)
def test_a_webhook_is_proved_and_names_what_changed(
    start_fake: Callable[[str], FakeDam], context: AdapterContext, blobs: Blobs, name: str
) -> None:
    server = start_fake(name)
    dam = server.open(context)
    ref = push(dam, blobs)
    server.decide(ref, "approved", "rita", "")
    inbound = server.webhook(ref, context)
    assert dam.verify(inbound).key and dam.parse_webhook(inbound) == [ref]
    for changed in ({"body": inbound.body + b" "}, {"headers": {}}):
        bad = replace(inbound, **changed)
        if "headers" in changed or server.signs_bodies:
            with pytest.raises(DeliveryError):
                dam.verify(bad)
    with pytest.raises((BadOutput, DeliveryError)):
        dam.parse_webhook(replace(inbound, body=b"{"))


@pytest.fixture
def resourcespace(start_fake: Callable[[str], FakeDam]) -> FakeResourceSpace:
    server = start_fake("resourcespace")
    assert isinstance(server, FakeResourceSpace)
    return server


def test_without_the_right_to_read_the_log_resourcespace_loses_the_name_and_not_the_decision(
    resourcespace: FakeResourceSpace, context: AdapterContext, blobs: Blobs
) -> None:
    dam = resourcespace.open(context)
    ref = push(dam, blobs)
    resourcespace.decide(ref, "approved", "rita", "fine")
    resourcespace.log.clear()
    remote = dam.remote_state(ref, version(blobs))
    assert (
        remote.state is VersionState.APPROVED
        and remote.decision
        and remote.decision.by == "somebody in resourcespace"
    )


def test_a_decision_in_resourcespace_has_its_person_and_no_field_name_for_a_note(
    resourcespace: FakeResourceSpace, context: AdapterContext, blobs: Blobs
) -> None:
    dam = resourcespace.open(context)
    ref = push(dam, blobs)
    resourcespace.decide(ref, "rejected", "rita", "archive")  # as put_resource_data notes it
    decision = dam.remote_state(ref, version(blobs)).decision
    assert decision == Decision(verdict=Verdict.REJECTED, by="rita", note="")


def test_the_log_of_resourcespace_is_read_from_its_newest_row_on(
    resourcespace: FakeResourceSpace, context: AdapterContext, blobs: Blobs
) -> None:
    dam = resourcespace.open(context)
    assert dam.changed_since("") == ([], "")  # nothing of late
    ref = push(dam, blobs)
    resourcespace.decide(ref, "approved", "rita", "")
    refs, cursor = dam.changed_since("")
    assert refs == [ref] and int(cursor) > 600
    for _ in range(501):  # more than one answer holds
        resourcespace._add_to_log("78", "s", "admin", "")
    resourcespace.decide(ref, "rejected", "rita", "")
    refs, cursor = dam.changed_since(cursor)
    assert refs == ["78"] and dam.changed_since(cursor)[0] == ["78", ref]


def test_a_resource_that_a_person_deletes_is_noticed_and_gone(
    resourcespace: FakeResourceSpace, context: AdapterContext, blobs: Blobs
) -> None:
    dam = resourcespace.open(context)
    ref = push(dam, blobs)
    _, cursor = dam.changed_since("")
    resourcespace.delete(ref, "rita")
    assert dam.changed_since(cursor or "600")[0] == [ref]
    with pytest.raises(NotFound):
        dam.remote_state(ref, version(blobs))
    assert push(dam, blobs) != ref  # made anew, not hidden in the deleted one


def test_a_picture_in_resourcespace_is_found_by_its_name(
    resourcespace: FakeResourceSpace, context: AdapterContext, blobs: Blobs
) -> None:
    dam, name = resourcespace.open(context), "CH123_X_V1_GLB.glb"
    push(dam, blobs)
    assert dam.fetch_picture(name, blobs) == resourcespace.stored_bytes(name)
    with pytest.raises(NotFound):
        dam.fetch_picture("none.jpg", blobs)


@pytest.mark.parametrize("name", ["cloudinary", "aem", "resourcespace", "bynder"])
def test_a_picture_is_decided_about_in_full_not_by_its_preview(
    start_fake: Callable[[str], FakeDam], context: AdapterContext, blobs: Blobs, name: str
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
    assert picture_version.ordered_files[0].format == "jpeg"
    ref = start_fake(name).open(context).push(request, blobs)
    if name in ("cloudinary", "aem"):
        assert "P_V1" in ref and "jpeg" in ref and "preview" not in ref


def test_an_unknown_state_is_reported_with_the_remedy(
    start_fake: Callable[[str], FakeDam], context: AdapterContext, blobs: Blobs
) -> None:
    for name in ("directus", "cloudinary", "aem"):
        server = start_fake(name)
        dam = server.open(context)
        ref = push(dam, blobs)
        if isinstance(server, FakeDirectus):
            server.rows[ref]["status"] = "nearly"
        elif isinstance(server, FakeCloudinary):
            server.stored["image", ref]["context"]["connector_state"] = "nearly"
        elif isinstance(server, FakeAem):
            server.stored[ref]["metadata"]["connector:state"] = "nearly"
        with pytest.raises(BadOutput, match="nearly"):
            dam.remote_state(ref, version(blobs))


@pytest.mark.parametrize("name", ["bynder", "aem"])
@pytest.mark.parametrize("fault", ["lost", "500", "closed"])
def test_a_storage_that_does_not_answer_is_tried_again(
    start_fake: Callable[[str], FakeDam], context: AdapterContext, blobs: Blobs, name: str, fault: str
) -> None:
    server = start_fake(name)
    dam = server.open(context)
    server.faults["storage"] = [fault]
    with pytest.raises(Unavailable, match="storage"):
        push(dam, blobs)
    ref = push(dam, blobs)
    assert server.asset_count() == 1 and dam.changed_files(ref, version(blobs)) == ()


def test_aem_gets_parts_of_the_size_that_it_names(
    start_fake: Callable[[str], FakeDam], context: AdapterContext, blobs: Blobs
) -> None:
    server = start_fake("aem")
    server.min_part_size = 50  # type: ignore[attr-defined]
    ref = push(server.open(context), blobs)
    assert server.open(context).changed_files(ref, version(blobs)) == ()


def test_an_import_of_bynder_that_takes_a_moment_is_waited_for(
    start_fake: Callable[[str], FakeDam], context: AdapterContext, blobs: Blobs
) -> None:
    server = start_fake("bynder")
    server.pending_polls = 2  # type: ignore[attr-defined]
    push(server.open(context), blobs)
    assert server.asset_count() == 1
    assert server.poll_count < 8  # type: ignore[attr-defined]  # there are pauses between the polls


def test_changes_of_others_in_bynder_move_on_what_is_asked_for(
    start_fake: Callable[[str], FakeDam], context: AdapterContext, blobs: Blobs
) -> None:
    server = start_fake("bynder")
    dam = server.open(context)
    ref = push(dam, blobs)
    # The media that was modified last is somebody else's.
    server._change(ref.partition("@")[0], {"metaproperty.p-id": ""})  # type: ignore[attr-defined]
    refs, cursor = dam.changed_since("")
    assert refs == [] and cursor
