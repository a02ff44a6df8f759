"""`standard` with a mapping: the examples of its page, with messages as their vendors document them."""

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from dam_connector.adapters import open_adapter
from dam_connector.adapters.common.context import AdapterContext
from dam_connector.adapters.common.record_mapping import RecordMapping
from dam_connector.adapters.standard import StandardPim
from dam_connector.domain.event import EventKind
from dam_connector.domain.product import View
from dam_connector.domain.rules import Connection
from dam_connector.errors import BadOutput, ConfigError, DeliveryError, NotFound
from tests.support import PhotoServer, TestClock, http_to, inbound
from tests.unit.test_adapter_options import examples

EXAMPLES = {name: options for shown in examples() for name, options in shown.get("pim", {}).items()}
SECRET = "s-of-sender"


def opened(name: str, context: AdapterContext, **changes: Any) -> StandardPim:
    options = {key: value for key, value in {**EXAMPLES[name], **changes}.items() if key != "adapter"}
    own = replace(context, secret=lambda reference: SECRET)
    found = open_adapter("pim", name, Connection(adapter="standard", options=options), own)
    assert isinstance(found, StandardPim)
    return found


PIMCORE = {
    "general": {"o_id": 34, "o_key": "chair", "o_published": True, "o_className": "Product"},
    "data": {
        "sku": "PC-1",
        "name": None,
        "localizedfields": {"data": {"en": {"name": "Falun chair"}, "de": {"name": "Stuhl Falun"}}},
        "category": "",
        "material": ["oak", "steel"],
        "width": {"value": 460, "unit": "mm"},
        "height": {"value": "815.5", "unit": "mm"},
        "depth": None,
        "pictures": [
            {"id": 7, "fullpath": "/products/pc-1-back.jpg", "type": "asset", "subtype": "image"},
            {"id": 8, "fullpath": "/products/pc-1.jpg", "type": "asset", "subtype": "image"},
        ],
    },
    "metaData": {"sku": {"objectid": 34, "inherited": False}},
    "arguments": [],
}
SALSIFY = {
    "trigger_type": "change",
    "products": [
        {
            "salsify:id": "SF-1",
            "salsify:updated_at": "2026-11-20T11:59:00.000Z",
            "Product Name": "Falun chair",
            "Brand": "Nord",
            "GTIN": 4006381333931,
            "Main Image": "a2",
            "salsify:digital_assets": [
                {
                    "salsify:id": "a1",
                    "salsify:url": "https://x.example/1.jpg",
                    "salsify:name": "chair-back.jpg",
                },
                {"salsify:id": "a2", "salsify:url": "https://x.example/2.jpg", "salsify:name": "chair.jpg"},
            ],
        },
        {"salsify:id": "SF-2", "salsify:destroyed_at": "2026-11-20T11:58:00.000Z"},
        {"Product Name": "without an id"},
    ],
    "parent_products": [],
}


def test_pimcore_by_its_webhook_bundle(context: AdapterContext, clock: TestClock) -> None:
    source, body = opened("pimcore", context), json.dumps(PIMCORE).encode()
    headers = {"webhook-api-key": SECRET, "webhook-signature": "c2ln", "pimcore-event": "postUpdate"}
    found = inbound(body, headers, clock.now())
    proved = source.verify(found)
    assert proved.headers_to_store == ("pimcore-event",) and proved.key.endswith(":postUpdate")
    (event,) = source.normalize(found)
    made = event.product
    assert event.kind is EventKind.UPDATED and event.at == clock.now() and made
    assert (made.sku, made.name, made.category, made.material) == ("PC-1", "Falun chair", "", "oak, steel")
    assert (made.dimensions.width_m, made.dimensions.height_m, made.dimensions.depth_m) == (
        0.46,
        0.8155,
        None,
    )
    assert {image.view: image.url for image in made.images} == {
        View.BACK: "https://pimcore.example/products/pc-1-back.jpg",
        View.FRONT: "https://pimcore.example/products/pc-1.jpg",
    }
    for kind, meant in (("postAdd", EventKind.CREATED), ("postDelete", EventKind.DELETED)):
        assert source.normalize(inbound(body, {"pimcore-event": kind}, clock.now()))[0].kind is meant
    assert source.normalize(inbound(body, {"pimcore-event": "preUpdate"}, clock.now())) == []
    with pytest.raises(DeliveryError, match="webhook-api-key"):
        source.verify(inbound(body, {**headers, "webhook-api-key": "wrong"}, clock.now()))


def test_a_change_that_is_taken_back_is_a_delivery_of_its_own(
    context: AdapterContext, clock: TestClock
) -> None:
    source = opened("pimcore", context)
    keys = set()
    for body in (b'{"data": {"sku": "A", "name": "1"}}', b'{"data": {"sku": "A", "name": "2"}}') * 2:
        clock.forward(1)
        keys.add(source.verify(inbound(body, {"webhook-api-key": SECRET}, clock.now())).key)
    assert len(keys) == 4


def atropim_page(number: int) -> bytes:
    changed = datetime(2026, 11, 20, 10, number, tzinfo=UTC).isoformat()
    row = {"number": f"AT-{number}", "name": "Chair", "brandName": "Nord", "width": 460, "height": None}
    row |= {"imageUrl": f"https://x.example/{number}.jpg", "modifiedAt": changed}
    return json.dumps({"total": 3, "urlColumns": ["imageUrl"], "records": [row]}).encode()


def test_atropim_by_its_export_feed(context: AdapterContext, clock: TestClock, photos: PhotoServer) -> None:
    address = "api/ExportFeed/exportData?code=connector&offset="
    for number in range(3):
        photos.files[f"{address}{number}"] = atropim_page(2 - number)
    photos.files[f"{address}3"] = b'{"total": 3, "urlColumns": [], "records": []}'
    source = opened(
        "atropim",
        replace(context, http=http_to(photos.host, context)),
        list_url=photos.url(address + "{offset}"),
    )
    since = datetime(2026, 11, 20, 10, 1, tzinfo=UTC)
    events = list(source.changed_since(since))
    assert [event.ref for event in events] == ["AT-1", "AT-2"]
    assert events[0].product and events[0].product.brand == "Nord"
    assert events[0].product.dimensions.width_m == 0.46 and events[0].at == since
    assert source.fetch("AT-0")[0].sku == "AT-0" and source.capabilities.can_list_changes
    with pytest.raises(NotFound):
        source.fetch("AT-9")


def certificate(key: rsa.RSAPrivateKey, end: datetime) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sender")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(1)
    made = made.public_key(key.public_key()).not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
    return made.not_valid_after(end).sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def test_salsify_by_its_webhook_and_certificate(
    context: AdapterContext, clock: TestClock, photos: PhotoServer, key: rsa.RSAPrivateKey
) -> None:
    photos.files["good.pem"] = certificate(key, datetime(2099, 1, 1, tzinfo=UTC))
    photos.files["old.pem"] = certificate(key, datetime(2021, 1, 1, tzinfo=UTC))
    photos.files["no.pem"] = b"none"
    form = {**EXAMPLES["salsify"]["signature"], "certificate_base": photos.url("")}
    source = opened("salsify", replace(context, http=http_to(photos.host, context)), signature=form)
    body, stamp = json.dumps(SALSIFY).encode(), str(int(clock.now().timestamp()))

    def delivery(organization: str = "s-1234", pem: str = photos.url("good.pem")) -> Any:
        address = b"https://dam.example/webhooks/salsify"
        signed = b".".join((stamp.encode(), b"r-1", organization.encode(), address, body))
        signature = key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
        headers = {
            "x-salsify-signature-v1": base64.b64encode(signature).decode(),
            "x-salsify-timestamp": stamp,
            "x-salsify-request-id": "r-1",
            "x-salsify-organization-id": organization,
            "x-salsify-cert-url": pem,
        }
        return inbound(body, headers, clock.now())

    assert source.verify(delivery()).key == source.verify(delivery()).key
    assert photos.asked["good.pem"] == 1
    for bad in (
        delivery("s-9"),
        delivery(pem="https://evil.example/x.pem"),
        delivery(pem=photos.url("old.pem")),
        delivery(pem=photos.url("no.pem")),
        delivery(pem=photos.url("../good.pem")),
        replace(delivery(), body=body + b" "),
        replace(delivery(), received_at=clock.now() + timedelta(minutes=6)),
    ):
        with pytest.raises(DeliveryError) as refused:
            source.verify(bad)
        assert refused.value.status == 401
    with pytest.raises(DeliveryError) as refused:
        source.verify(delivery(pem=photos.url("away.pem")))
    assert refused.value.status == 503


def test_salsify_s_products_are_each_an_event(context: AdapterContext, clock: TestClock) -> None:
    found = inbound(json.dumps(SALSIFY).encode(), {}, clock.now())
    changed, gone, bad = opened("salsify", context).normalize(found)
    assert changed.at == datetime(2026, 11, 20, 11, 59, tzinfo=UTC) and changed.product
    assert dict(changed.product.attributes) == {"gtin": "4006381333931"}
    assert {i.view: i.url[-5:] for i in changed.product.images} == {View.FRONT: "2.jpg", View.BACK: "1.jpg"}
    assert (gone.kind, gone.ref) == (EventKind.DELETED, "SF-2")
    assert bad.problem == "/sku: nothing at $['salsify:id']"


def test_plytix_by_the_feed_of_a_channel(
    context: AdapterContext, clock: TestClock, photos: PhotoServer
) -> None:
    row = {"SKU": "PX-1", "Label": "Bag", "Brand": "Nord", "GTIN": None, "Material": ["Nylon", "Polyester"]}
    row |= {"Thumbnail": "https://x.example/a.jpg", "Assets": ["https://x.example/bag_back.jpg"]}
    photos.files["feed"] = json.dumps([{**row, "Last modified": "2026-06-22T08:45:11.161000"}]).encode()
    source = opened(
        "plytix", replace(context, http=http_to(photos.host, context)), list_url=photos.url("feed")
    )
    (event,) = source.changed_since(datetime(2026, 1, 1, tzinfo=UTC))
    assert event.product and event.product.material == "Nylon, Polyester" and event.product.attributes == {}
    assert {i.view for i in event.product.images} == {View.FRONT, View.BACK}
    assert photos.asked["feed"] == 1
    with pytest.raises(DeliveryError):
        source.verify(inbound(b'{"channel_name": "x"}', {}, clock.now()))


OWN = {
    "data": {"code": "OWN-1", "title": "Chair", "photo": "https://x.example/f.jpg"},
    "event": "product.saved",
}


def own_headers(body: bytes, at: datetime, **changes: Any) -> dict[str, str]:
    stamp = str(int(at.timestamp()))
    digest = hmac.new(SECRET.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return {"x-signature": f"t={stamp}, v1={'0' * 64}, v1={digest}", **changes}


def test_a_time_and_several_signatures_in_one_header(context: AdapterContext, clock: TestClock) -> None:
    source, body = opened("own", context), json.dumps({**OWN, "occurred_at": 1_795_176_000_123}).encode()
    good = inbound(body, own_headers(body, clock.now()), clock.now())
    assert source.verify(good).key and source.normalize(good)[0].at == datetime(2026, 11, 20, 12, tzinfo=UTC)
    for bad in (
        inbound(body + b" ", own_headers(body, clock.now()), clock.now()),
        inbound(body, own_headers(body, clock.now() - timedelta(minutes=6)), clock.now()),
        inbound(body, {}, clock.now()),
        inbound(body, {"x-signature": "t=1,v1=ü"}, clock.now()),
    ):
        with pytest.raises(DeliveryError):
            source.verify(bad)


@pytest.mark.parametrize(
    ("form", "sign"),
    [
        ({"header": "x-hub-signature-256", "prefix": "sha256="}, lambda mac: f"sha256={mac.hexdigest()}"),
        (
            {"header": "x-hmac", "encoding": "base64"},
            lambda mac: base64.b64encode(mac.digest()).decode(),
        ),
    ],
)
def test_an_hmac_of_the_body(context: AdapterContext, clock: TestClock, form: Any, sign: Any) -> None:
    source, body = opened("own", context, signature=form), b'{"event": "product.saved"}'
    headers = {form["header"]: sign(hmac.new(SECRET.encode(), body, hashlib.sha256))}
    assert source.verify(inbound(body, headers, clock.now())).key
    with pytest.raises(DeliveryError):
        source.verify(inbound(body + b" ", headers, clock.now()))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mapping": {"fields": {"name": "$.x"}}}, "mapping/fields: name the place of the SKU"),
        ({"mapping": {"fields": {"sku": "$.["}}}, r"mapping/fields/sku: \$\.\[ is no JSONPath"),
        ({"mapping": {"fields": {"sku": "$.x", "colour": "$.y"}}}, "'colour' is none of our fields"),
        ({"mapping": {"fields": {"sku": "$.x"}, "types": {"a": "saved"}}}, "created, updated, deleted"),
        ({"mapping": {"fields": {"sku": "$.x"}, "images": {"views": {"a": "side"}}}}, "'side' is none of"),
        ({"signature": {"header": "x", "content": "{timestamp}"}}, "signature/content: write what is signed"),
        ({"signature": {"header": "x", "timestamp_header": "t"}}, "what no signature covers proves nothing"),
        ({"signature": {"header": "x", "certificate_header": "c"}}, "belong together"),
        (
            {"signature": {"header": "x", "certificate_header": "c", "certificate_base": "https://a.b"}},
            "path",
        ),
        ({"list_url": "https://x.example", "mapping": {"fields": {"sku": "$.x"}}}, "needs mapping/time"),
    ],
)
def test_a_mistake_is_named_with_its_place(context: AdapterContext, changes: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        opened("own", context, **changes)


def test_texts_in_other_languages(context: AdapterContext, clock: TestClock) -> None:
    fields = {"sku": "$.code", "name": "$.title.en", "name@de": "$.title.de", "color@de_AT": "$.color.de"}
    source = opened("own", context, mapping={"fields": fields})
    body = {"code": "A", "title": {"en": "Chair", "de": "Stuhl"}, "color": {"de": "grün"}}
    (event,) = source.normalize(inbound(json.dumps(body).encode(), {}, clock.now()))
    assert event.product and event.product.name == "Chair"
    assert event.product.translations == {"de": {"name": "Stuhl"}, "de-AT": {"color": "grün"}}


def test_the_fields_of_shared_shapes_and_models(context: AdapterContext, clock: TestClock) -> None:
    fields = {"sku": "$.code", "parent": "$.group", "swatch": "$.cloth", "model_url": "$.glb"}
    source = opened("own", context, mapping={"fields": fields, "image_base": "https://x.example/"})
    body = [
        {"code": "A", "group": 12, "cloth": "a.jpg", "glb": "a.glb"},
        {"code": "B", "group": 12, "cloth": "#2846a0", "glb": "dam:b.glb"},
    ]
    events = source.normalize(inbound(json.dumps(body).encode(), {}, clock.now()))
    assert [(e.product.parent, e.product.swatch, e.product.model_url) for e in events if e.product] == [
        ("12", "https://x.example/a.jpg", "https://x.example/a.glb"),
        ("12", "#2846a0", "dam:b.glb"),
    ]


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["data", "code", "title", "photo", "w", "event"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(JSON_VALUES, JSON_VALUES)
def test_any_message_is_events_or_bad_output(message: Any, record: Any) -> None:
    fields = {"sku": "$.code", "name": "$.title", "front": "$.photo", "width": "$.w", "attributes": "$"}
    mapping = RecordMapping(
        "standard",
        {"products": "$.data", "time": "$.w", "fields": fields, "images": {"each": "$..photo"}},
    )
    for each in (message, {"data": record}, {"data": [record, {"code": "A"}]}):
        try:
            events = mapping.events(each, {}, datetime(2026, 11, 20, tzinfo=UTC))
        except BadOutput:
            continue
        assert all(event.product or event.problem or event.kind is EventKind.DELETED for event in events)
