"""A version that somebody withdraws in the DAM: the later word counts."""

from typing import Any

import pytest

from dam_connector.domain.run import RunKind
from dam_connector.domain.version import Version, VersionState
from dam_connector.ports import RemoteState
from dam_connector.usecases import publish
from dam_connector.usecases.dam_sync.inbound import sync_from_dam
from dam_connector.wiring import Services
from tests.pipeline.helpers import Drain, approve, in_channel, is_public, made, states, work
from tests.support import PhotoServer
from worker.runner import advance

WITHDRAWN = RemoteState(state=VersionState.WITHDRAWN)


def archive(shop: Services, version: Version) -> str:
    """Archive a version in the DAM, and let us hear of it."""
    ref = shop.assets.get(version.id).dam_ref  # type: ignore[union-attr]
    shop.dam("shelf").remote_states[ref] = WITHDRAWN  # type: ignore[attr-defined]
    return sync_from_dam(shop, "shelf", ref)


def test_an_approved_version_that_is_live_in_some_channels_is_taken_off(
    shop: Services, half_published: Version, drain: Drain
) -> None:
    assert "withdrawn" in archive(shop, half_published)
    work(shop, drain)
    assert in_channel(shop, "shop") == in_channel(shop, "feed") == ["V1"]
    assert states(shop) == ["V2 withdrawn", "V1 published"] and not is_public(shop, half_published)
    dam: Any = shop.dam("shelf")
    assert dam.remote_states[half_published.dam_ref].state is VersionState.WITHDRAWN


def test_a_withdrawal_of_ours_that_the_dam_still_shows_does_not_overrule_a_rollback(
    shop: Services, photos: PhotoServer, drain: Drain
) -> None:
    first = made(shop, photos, drain)
    approve(shop, first)
    drain()
    publish.withdraw(shop, first, by="ann")
    drain()
    publish.rollback(shop, shop.assets.get(first.id), by="ann")  # type: ignore[arg-type]
    sync_from_dam(shop, "shelf", first.dam_ref)  # before the rollback reached the DAM
    drain()
    sync_from_dam(shop, "shelf", first.dam_ref)
    assert states(shop) == ["V1 published"]


def test_a_state_that_we_were_just_writing_when_we_died_is_not_taken_for_a_persons(
    shop: Services, photos: PhotoServer, drain: Drain, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = made(shop, photos, drain)
    approve(shop, first)
    drain()
    publish.withdraw(shop, first, by="ann")
    dam: Any = shop.dam("shelf")
    write_state = dam.write_state

    class Death(BaseException):
        pass

    def written_and_dead(*args: Any) -> None:
        monkeypatch.setattr(dam, "write_state", write_state)
        write_state(*args)
        raise Death

    monkeypatch.setattr(dam, "write_state", written_and_dead)
    (telling,) = [r for r in shop.runs.page(state="queued") if r.kind is RunKind.WRITE_STATE]
    with pytest.raises(Death):
        advance(shop, telling.id)
    publish.rollback(shop, shop.assets.get(first.id), by="ann")  # type: ignore[arg-type]
    sync_from_dam(shop, "shelf", first.dam_ref)
    work(shop, drain)
    assert states(shop) == ["V1 published"]
    assert dam.remote_states[first.dam_ref].state is VersionState.PUBLISHED
