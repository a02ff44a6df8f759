"""The steps that adapters of WooCommerce and ResourceSpace do, on their fakes and on the real systems."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol

from dam_connector.adapters import load_setup, open_adapter
from dam_connector.adapters.common.context import AdapterContext
from dam_connector.domain.event import Decision, Verdict
from dam_connector.domain.ids import AssetId
from dam_connector.domain.rules import Connection
from dam_connector.domain.version import ApprovedVersion, Role, Version, VersionFile, VersionState
from dam_connector.errors import NotFound, Refused
from dam_connector.ports import Blobs, ChecksDecisions, InboundWebhook, PushRequest
from tests.contracts.test_channels import listing, model
from tests.contracts.test_dam_channel_provider_blobs import a_version, approved
from tests.contracts.traffic import Recorder
from tests.support import picture, product


def opened(
    port: str, adapter: str, options: Mapping[str, Any], context: AdapterContext, recorder: Recorder
) -> Any:
    """Open an adapter whose exchanges are recorded; `secrets` in the options are values, not references."""
    secrets = options.get("secret_values", {})
    own = {name: each for name, each in options.items() if name not in ("secret_values", "wrong_values")}
    found = replace(context, http=recorder, secret=lambda reference: str(secrets[reference]))
    return open_adapter(port, "x", Connection(adapter=adapter, options=own), found)


def packshot(blobs: Blobs, number: int) -> ApprovedVersion:
    """Return a picture that every system can read."""
    data = picture(size=(60 + number, 40))
    name = f"CH123_Packshot_V{number}.jpg"
    file = VersionFile(
        name=name,
        format="jpeg",
        role=Role.PRIMARY,
        view="",
        mime="image/jpeg",
        sha256=blobs.put(data),
        bytes=len(data),
    )
    version = a_version(blobs, b"", number)
    asset = replace(version.asset, id=AssetId("ast_p"), deliverable="packshot", kind="image")
    return approved(replace(version, files=(file,), asset=asset))


def woocommerce_channel(
    recorder: Recorder, context: AdapterContext, options: Mapping[str, Any], blobs: Blobs
) -> None:
    """Publish, repeat, replace and withdraw; then with a key that may only read, and a wrong password."""
    channel = opened("channel", "woocommerce", options, context, recorder)
    first = listing(packshot(blobs, 1), model(blobs))
    recorder.run("publish", lambda: channel.sync(first, blobs))
    recorder.run("publish again", lambda: channel.sync(first, blobs))
    recorder.run("read what is live", lambda: channel.live_files(first))
    recorder.run("publish the next version", lambda: channel.sync(listing(packshot(blobs, 2)), blobs))
    for name, wrong in (("a key that may only read", "read_key"), ("a wrong password", "no_password")):
        values = {**options["secret_values"], **options["wrong_values"][wrong]}
        refused = opened("channel", "woocommerce", {**options, "secret_values": values}, context, recorder)
        third = listing(packshot(blobs, 3))
        recorder.run(name, lambda refused=refused, third=third: refused.sync(third, blobs), Refused)
    recorder.run("withdraw", lambda: channel.sync(listing(), blobs))
    recorder.run("test the connection", lambda: list(channel.check_rights()))
    unknown = listing(packshot(blobs, 1), sku="NONE")
    recorder.run("publish an unknown SKU", lambda: channel.sync(unknown, blobs), NotFound)
    recorder.run("withdraw an unknown SKU", lambda: channel.sync(listing(sku="NONE"), blobs))


def woocommerce_pim(
    recorder: Recorder, context: AdapterContext, options: Mapping[str, Any], numbers: Mapping[str, int]
) -> None:
    """Fetch each kind of product, list changes, and ask about deletions."""
    pim = opened("pim", "woocommerce", options, context, recorder)
    recorder.run("fetch a simple product", lambda: pim.fetch(str(numbers["simple"])))
    recorder.run("fetch a product with variations", lambda: pim.fetch(str(numbers["variable"])))
    recorder.run("fetch a variation", lambda: pim.fetch(str(numbers["variation"])))
    for name in ("trashed", "draft", "unknown"):
        recorder.run(f"fetch: {name}", lambda name=name: pim.fetch(str(numbers[name])), NotFound)
    recorder.run("test the connection", lambda: list(pim.check_rights()), Refused)  # no webhook is set up
    since = datetime(2026, 11, 20, 9, tzinfo=UTC)
    recorder.run("list changes", lambda: list(pim.changed_since(since)))
    for name in ("variation", "trashed", "unknown"):
        hook = InboundWebhook(
            headers={"x-wc-webhook-topic": "product.deleted"},
            body=b'{"id":%d}' % numbers[name],
            received_at=since,
        )
        recorder.run(f"a deletion: {name}", lambda hook=hook: pim.normalize(hook))
    wrong = {**options["secret_values"], **options["wrong_values"]["no_key"]}
    refused = opened("pim", "woocommerce", {**options, "secret_values": wrong}, context, recorder)
    recorder.run("a wrong key", lambda: refused.fetch(str(numbers["simple"])), Refused)


def vendure_channel(
    recorder: Recorder, context: AdapterContext, options: Mapping[str, Any], blobs: Blobs
) -> None:
    """Publish, repeat, replace and withdraw; then with a wrong password."""
    channel = opened("channel", "vendure", options, context, recorder)
    first = listing(packshot(blobs, 1))
    recorder.run("publish", lambda: channel.sync(first, blobs))
    recorder.run("publish again", lambda: channel.sync(first, blobs))
    recorder.run("read what is live", lambda: channel.live_files(first))
    assert len(recorder.run("read the shop's own pictures", lambda: channel.own_pictures("CH123"))) == 2
    recorder.run("publish the next version", lambda: channel.sync(listing(packshot(blobs, 2)), blobs))
    recorder.run("test the connection", lambda: list(channel.check_rights()))
    recorder.run("withdraw", lambda: channel.sync(listing(), blobs))
    unknown = listing(packshot(blobs, 1), sku="NONE")
    recorder.run("publish an unknown SKU", lambda: channel.sync(unknown, blobs), NotFound)
    recorder.run("withdraw an unknown SKU", lambda: channel.sync(listing(sku="NONE"), blobs))
    wrong = {**options["secret_values"], **options["wrong_values"]["no_password"]}
    refused = opened("channel", "vendure", {**options, "secret_values": wrong}, context, recorder)
    recorder.run("a wrong password", lambda: refused.sync(first, blobs), Refused)


def vendure_pim(
    recorder: Recorder, context: AdapterContext, options: Mapping[str, Any], refs: Mapping[str, str]
) -> None:
    """Fetch a product, one that is not there, and what changed; then with a wrong password."""
    pim = opened("pim", "vendure", options, context, recorder)
    assert recorder.run("fetch", lambda: pim.fetch(refs["product"]))
    recorder.run("fetch an unknown one", lambda: pim.fetch(refs["unknown"]), NotFound)
    since = datetime(2026, 11, 20, 9, tzinfo=UTC)
    assert recorder.run("list changes", lambda: list(pim.changed_since(since)))
    wrong = {**options["secret_values"], **options["wrong_values"]["no_password"]}
    refused = opened("pim", "vendure", {**options, "secret_values": wrong}, context, recorder)
    recorder.run("a wrong password", lambda: refused.fetch(refs["product"]), Refused)


def saleor_channel(
    recorder: Recorder, context: AdapterContext, options: Mapping[str, Any], blobs: Blobs
) -> None:
    """Publish for two variants, repeat, replace and withdraw; then with the token of no app."""
    channel = opened("channel", "saleor", options, context, recorder)
    first = listing(packshot(blobs, 1), model(blobs))
    recorder.run("publish", lambda: channel.sync(first, blobs))
    recorder.run("publish again", lambda: channel.sync(first, blobs))
    assert len(recorder.run("read what is live", lambda: channel.live_files(first))) == 2
    recorder.run("publish the next version", lambda: channel.sync(listing(packshot(blobs, 2)), blobs))
    other = listing(packshot(blobs, 3), sku="CH124")
    recorder.run("publish another variant", lambda: channel.sync(other, blobs))
    recorder.run("test the connection", lambda: list(channel.check_rights()))
    recorder.run("withdraw", lambda: channel.sync(listing(), blobs))
    recorder.run(
        "publish an unknown SKU",
        lambda: channel.sync(listing(packshot(blobs, 1), sku="NONE"), blobs),
        NotFound,
    )
    recorder.run("withdraw an unknown SKU", lambda: channel.sync(listing(sku="NONE"), blobs))
    wrong = {**options["secret_values"], **options["wrong_values"]["no_token"]}
    refused = opened("channel", "saleor", {**options, "secret_values": wrong}, context, recorder)
    recorder.run("the token of no app", lambda: refused.sync(first, blobs), Refused)


def saleor_pim(
    recorder: Recorder, context: AdapterContext, options: Mapping[str, Any], refs: Mapping[str, str]
) -> None:
    """Fetch products, list changes, test the connection; then with the token of no app."""
    pim = opened("pim", "saleor", options, context, recorder)
    recorder.run("fetch", lambda: pim.fetch(refs["product"]))
    recorder.run("fetch an unknown one", lambda: pim.fetch(refs["unknown"]), NotFound)
    since = datetime(2026, 11, 20, 9, tzinfo=UTC)
    recorder.run("list changes", lambda: list(pim.changed_since(since)))
    recorder.run("test the connection", lambda: list(pim.check_rights()), Refused)  # no webhook is set up
    wrong = {**options["secret_values"], **options["wrong_values"]["no_token"]}
    refused = opened("pim", "saleor", {**options, "secret_values": wrong}, context, recorder)
    recorder.run("the token of no app", lambda: refused.fetch(refs["product"]), Refused)


def _version(blobs: Blobs, number: int) -> Version:
    main = packshot(blobs, number).version
    other = replace(main.files[0], name=f"CH123_Packshot_V{number}_2.jpg", role=Role.PREVIEW, view="hero")
    return replace(main, state=VersionState.IN_REVIEW, files=(*main.files, other))


def resourcespace(
    recorder: Recorder,
    context: AdapterContext,
    options: Mapping[str, Any],
    blobs: Blobs,
    decide: Callable[[str], None],
    external_id: str,
    *,
    adapter: str = "resourcespace",
    unknown: str = "987654",
) -> None:
    """Push, repeat, hear a decision, write states, compare files, remove; then with a wrong key.

    Args:
        decide: rejects a resource as a reviewer.
        external_id: is new to the system.
        adapter: another DAM that does the same steps.
        unknown: a reference that the system never gave.
    """
    dam, version = opened("dam", adapter, options, context, recorder), _version(blobs, 1)
    request = PushRequest(
        external_id=external_id,
        version=version,
        product=product(),
        folder="furniture/CH123",
        review_url="https://dam.example/versions/ver_1",
        preview=picture(),
    )
    ref = recorder.run("push", lambda: dam.push(request, blobs))
    assert recorder.run("push again", lambda: dam.push(request, blobs)) == ref
    state = recorder.run("read the state", lambda: dam.remote_state(ref, version)).state
    assert state is VersionState.IN_REVIEW
    other = replace(request, external_id=f"{external_id}:other", version=_version(blobs, 2))
    other_ref = recorder.run("push another", lambda: dam.push(other, blobs))
    recorder.run("archive it", lambda: dam.write_state(other_ref, VersionState.SUPERSEDED))
    _, cursor = recorder.run("set out", lambda: dam.changed_since(""))
    decide(ref)
    refs, cursor = recorder.run("hear a decision", lambda: dam.changed_since(cursor))
    assert refs == [ref]
    remote = recorder.run("read the decision", lambda: dam.remote_state(ref, version))
    assert remote.decision and remote.decision.verdict is Verdict.REJECTED
    decision = Decision(verdict=Verdict.APPROVED, by="ann")
    recorder.run("write a state", lambda: dam.write_state(ref, VersionState.APPROVED, decision))
    if isinstance(dam, ChecksDecisions):
        recorder.run("test the connection", lambda: dam.check_decisions(ref))
    recorder.run("write it again", lambda: dam.write_state(ref, VersionState.APPROVED, decision))
    assert recorder.run("compare the files", lambda: dam.changed_files(ref, version)) == ()
    for each in (ref, other_ref):
        recorder.run("remove", lambda each=each: dam.remove(each))
    recorder.run("read what was removed", lambda: dam.remote_state(ref, version), NotFound)
    recorder.run("read what never was", lambda: dam.remote_state(unknown, version), NotFound)
    wrong = {**options["secret_values"], **options["wrong_values"]["no_key"]}
    refused = opened("dam", adapter, {**options, "secret_values": wrong}, context, recorder)
    recorder.run("a wrong key", lambda: refused.remote_state(ref, version), Refused)


class Photographer(Protocol):
    """A person who keeps product photos in a DAM."""

    def put_photo(self, name: str, data: bytes, *, sku: str = "", ref: str = "") -> str:
        """Upload a photo, or replace the one of `ref`; return its reference."""
        ...

    def remove_photo(self, ref: str) -> None:
        """Delete a photo."""
        ...


def resourcespace_photos(
    recorder: Recorder, context: AdapterContext, options: Mapping[str, Any], person: Photographer
) -> None:
    """List a photo that is new, replaced and deleted, as source image of a product."""
    dam = opened("dam", "resourcespace", options, context, recorder)
    cursor = ""
    while not cursor.startswith("log "):
        _, cursor = dam.changed_photos(cursor)
    _, cursor = dam.changed_photos(cursor)
    dam._find_own_number()
    recorder.exchanges.clear()  # it depends on what is there
    first, other = picture(), picture(size=(440, 400))
    recorder.run("nothing is new", lambda: dam.changed_photos(cursor))
    ref = person.put_photo("CH123_front.jpg", first, sku="CH123")
    (change,), cursor = recorder.run("a new photo", lambda: dam.changed_photos(cursor))
    assert change.ref == ref and change.photo and change.photo.facts.name == "CH123_front.jpg"
    assert list(change.photo.facts.fields.values()) == ["CH123"]
    assert recorder.run("read it", lambda: dam.photo_bytes(ref)) == first
    person.put_photo("CH123_front.jpg", other, sku="CH123", ref=ref)
    (replaced,), cursor = recorder.run("a replaced photo", lambda: dam.changed_photos(cursor))
    assert replaced.photo and replaced.photo.fingerprint != change.photo.fingerprint
    assert recorder.run("read it again", lambda: dam.photo_bytes(ref)) == other
    person.remove_photo(ref)
    (gone,), cursor = recorder.run("a deleted photo", lambda: dam.changed_photos(cursor))
    assert gone.ref == ref and gone.photo is None
    recorder.run("read a deleted photo", lambda: dam.photo_bytes(ref), NotFound)


def set_up(
    recorder: Recorder, context: AdapterContext, options: Mapping[str, Any], port: str, adapter: str
) -> list[Any]:
    """List what a connection needs, create what is missing, and list it again: all is there then."""
    secrets = options["secret_values"]
    own = replace(context, http=recorder, secret=lambda reference: str(secrets[reference]))
    setup, hook = load_setup(port, adapter), "https://vendor.example/webhooks/setup"

    def prepare() -> list[Any]:
        return list(setup.prepare(options, own, hook))

    found = recorder.run("list what is needed", prepare)
    for each in found:
        if not each.exists:
            recorder.run("create what is missing", each.create)
    assert all(each.exists for each in recorder.run("list it again", prepare))
    assert setup.entry(options, own)["adapter"] == adapter
    return list(found)
