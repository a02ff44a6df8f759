"""Metadata inside pictures: written, read back, inherited from the photo, signed."""

import io
import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, IptcImagePlugin

from dam_connector.domain.asset_texts import alt_text
from dam_connector.errors import ConfigError
from dam_connector.settings import Settings
from tests.certificates import write_credential
from tests.support import picture, product
from worker.imaging.content_credentials import (
    MANIFEST_RESERVE_BYTES,
    load_credential,
    read_manifest,
    sign_picture,
)
from worker.imaging.decode import decode
from worker.imaging.encode import MIME, encode, encode_clip
from worker.imaging.metadata import (
    ALGORITHMIC_MEDIA,
    ALGORITHMICALLY_ENHANCED,
    COMPOSITE_SYNTHETIC,
    COMPOSITE_WITH_TRAINED_MEDIA,
    TRAINED_ALGORITHMIC_MEDIA,
    build_xmp_packet,
    digital_source_type,
    read_metadata,
    write_metadata,
)

LABELS = {
    "sku": "A<&1",
    "version": "2",
    "title": "Stuhl „Ä“",
    "rights": "© 2026 Müller",
    "creator": "Ann & Co",
    "source_type": ALGORITHMICALLY_ENHANCED,
    "alt_text": "x",
}
RGB = np.random.default_rng(1).integers(0, 255, (64, 48, 3), np.uint8)
FORMATS = ("jpeg", "webp", "avif", "png")


def test_jpegs_carry_the_old_records_too_and_stay_jfif() -> None:
    labelled = write_metadata(encode(RGB, None, "jpeg"), LABELS)
    assert labelled[2:4] == b"\xff\xe0"
    with Image.open(io.BytesIO(labelled)) as image:
        records = IptcImagePlugin.getiptcinfo(image)
        assert (
            records[(2, 116)].decode() == LABELS["rights"] and records[(2, 80)].decode() == LABELS["creator"]
        )
        image.load()


def test_a_clip_keeps_its_frames_and_gets_labels() -> None:
    alpha = np.full((64, 48), 100, np.uint8)
    for alphas in ([None, None], [alpha, alpha]):
        labelled = write_metadata(encode_clip([RGB, 255 - RGB], alphas, 10**7), LABELS)
        assert read_metadata(labelled) == LABELS
        with Image.open(io.BytesIO(labelled)) as image:
            image.load()
            assert image.n_frames == 2 and image.info["loop"] == 0 and image.info["duration"] == 2000


def test_a_clip_meets_a_byte_budget_by_its_quality() -> None:
    assert len(encode_clip([RGB] * 3, [None] * 3, 10)) < len(encode_clip([RGB] * 3, [None] * 3, 10**7))


def photo_with(labels: dict[str, str]) -> bytes:
    return write_metadata(picture(), labels)


def test_a_photos_own_labels_are_read_from_wherever_they_stand() -> None:
    xmp = decode(
        photo_with(
            {"rights": "© X", "creator": "Ann", "source_type": TRAINED_ALGORITHMIC_MEDIA, "title": "not kept"}
        ),
        max_pixels=10**7,
    )
    assert xmp.metadata == {"rights": "© X", "creator": "Ann", "source_type": TRAINED_ALGORITHMIC_MEDIA}
    exif = Image.Exif()
    exif[0x013B], exif[0x8298] = "Ben", "Y Ltd"
    out = io.BytesIO()
    Image.open(io.BytesIO(picture())).save(out, "JPEG", exif=exif)
    assert decode(out.getvalue(), max_pixels=10**7).metadata == {"creator": "Ben", "rights": "Y Ltd"}
    old = write_metadata(encode(RGB, None, "jpeg"), {"credit": "Agency"})
    assert read_metadata(
        old.replace(b"http://ns.adobe.com/xap/1.0/\x00", b"http://ns.adobe.com/xxx/1.0/\x00")
    ) == {"credit": "Agency"}


def test_attributes_and_several_creators_are_read() -> None:
    packet = build_xmp_packet({"creator": "Ann"}).replace(b"</rdf:Seq>", b"<rdf:li>Ben</rdf:li></rdf:Seq>")
    packet = packet.replace(b'rdf:about=""', b'rdf:about="" photoshop:Credit="Agency"')
    out = io.BytesIO()
    Image.fromarray(RGB).save(out, "WEBP", xmp=packet)
    assert read_metadata(out.getvalue()) == {"creator": "Ann, Ben", "credit": "Agency"}


@pytest.mark.parametrize(
    "packet",
    [
        b'<!DOCTYPE x [<!ENTITY a "b"><!ENTITY c "&a;&a;">]>'
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/">&c;</x:xmpmeta>',
        b"<x:xmpmeta><unclosed></x:xmpmeta>",
        b"\xff\xfe\x00nonsense",
        b"<x:xmpmeta" + b" " * (1 << 21) + b"></x:xmpmeta>",
    ],
)
def test_hostile_or_broken_packets_say_nothing(packet: bytes) -> None:
    out = io.BytesIO()
    Image.fromarray(RGB).save(out, "WEBP", xmp=packet)
    assert read_metadata(out.getvalue()) == {}
    assert decode(picture(), max_pixels=10**7).metadata == {}


def test_control_characters_make_no_broken_packet() -> None:
    labelled = write_metadata(encode(RGB, None, "png"), {"title": "a\x01b\n\tc", "sku": "\x02"})
    assert read_metadata(labelled) == {"title": "a b c"}


def test_the_source_type_says_how_it_was_made() -> None:
    def type_of(**changes: object) -> str:
        return digital_source_type(
            **{"rendered": False, "style": "studio", "generator": "local", "photo_type": "", **changes}
        )  # type: ignore[arg-type]

    assert (
        type_of() == ALGORITHMICALLY_ENHANCED
        and type_of(style="lifestyle") == COMPOSITE_SYNTHETIC
        and type_of(rendered=True) == ALGORITHMIC_MEDIA
    )
    assert (
        type_of(rendered=True, generator="tripo") == TRAINED_ALGORITHMIC_MEDIA
        and type_of(generator="openai") == TRAINED_ALGORITHMIC_MEDIA
    )
    assert type_of(generator="stability", cut_only=True) == COMPOSITE_WITH_TRAINED_MEDIA
    for style, rendered in itertools.product(("studio", "lifestyle"), (True, False)):
        assert (
            type_of(style=style, rendered=rendered, photo_type=TRAINED_ALGORITHMIC_MEDIA)
            == COMPOSITE_WITH_TRAINED_MEDIA
        )


def test_alt_text_is_made_of_facts_and_says_nothing_twice() -> None:
    chair = product(name="Teal Falun chair", brand="Nord", color="teal", material="oak")
    assert alt_text(chair, "front") == "Teal Falun chair by Nord, oak, front view"
    assert alt_text(chair, "hero", style="lifestyle") == "Teal Falun chair by Nord, oak, in a room"
    assert alt_text(product(name=""), "35,18") == "CH123"


@pytest.fixture(scope="module")
def signing(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("c2pa")
    return Settings.from_env({}, data_dir=folder, **write_credential(folder))


@pytest.mark.parametrize("format", FORMATS)
def test_signed_pictures_say_what_they_were_made_from_and_notice_a_change(
    format: str, signing: Settings
) -> None:
    credential = load_credential(signing)
    data = write_metadata(encode(RGB, None, format), LABELS)
    made = sign_picture(
        data,
        MIME[format],
        credential,
        title="a.x",
        source_type=COMPOSITE_SYNTHETIC,
        ingredients={"front": ("image/jpeg", picture())},
    )
    manifest = read_manifest(made, MIME[format])
    assert manifest["title"] == "a.x" and [i["title"] for i in manifest["ingredients"]] == ["front"]
    assert COMPOSITE_SYNTHETIC in str(manifest["assertions"]) and read_metadata(made) == LABELS
    assert len(made) - len(data) < MANIFEST_RESERVE_BYTES
    at = made.rindex(made[len(made) // 2 : len(made) // 2 + 8])
    assert read_manifest(made[:at] + bytes([made[at] ^ 1]) + made[at + 1 :], MIME[format]) == {}
    assert read_manifest(data, MIME[format]) == {}


def test_a_signed_photo_stays_in_the_chain(signing: Settings) -> None:
    credential = load_credential(signing)
    photo = sign_picture(
        picture(),
        "image/jpeg",
        credential,
        title="photo",
        source_type=TRAINED_ALGORITHMIC_MEDIA,
        ingredients={},
    )
    made = sign_picture(
        encode(RGB, None, "webp"),
        "image/webp",
        credential,
        title="made",
        source_type=ALGORITHMICALLY_ENHANCED,
        ingredients={"front": ("image/jpeg", photo)},
    )
    assert read_manifest(made, "image/webp")["ingredients"][0]["active_manifest"]


def test_signing_wants_both_halves_and_says_which_is_wrong(signing: Settings, tmp_path: Path) -> None:
    assert load_credential(Settings.from_env({}, data_dir=tmp_path)) is None
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("nonsense")
    good = {"c2pa_certificate": signing.c2pa_certificate, "c2pa_key": signing.c2pa_key}
    for changes, words in (
        ({"c2pa_key": ""}, "DAM_CONNECTOR_C2PA_KEY is not set"),
        ({"c2pa_key": str(tmp_path / "none.pem")}, "DAM_CONNECTOR_C2PA_KEY: .* cannot be read"),
        ({"c2pa_algorithm": "rot13"}, "DAM_CONNECTOR_C2PA_ALGORITHM: 'rot13' is not supported"),
    ):
        with pytest.raises(ConfigError, match=words):
            load_credential(Settings.from_env({}, data_dir=tmp_path, **{**good, **changes}))
    credential = load_credential(
        Settings.from_env({}, data_dir=tmp_path, **{**good, "c2pa_certificate": str(wrong)})
    )
    assert "PRIVATE" not in repr(credential)
    with pytest.raises(ConfigError, match="cannot sign"):
        sign_picture(
            picture(),
            "image/jpeg",
            credential,
            title="a",
            source_type=ALGORITHMICALLY_ENHANCED,
            ingredients={},
        )
