"""Turntables as MP4: made by the extra `video`, checked and labelled without it."""

import io
import sys
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from dam_connector.domain.ids import Sha256
from dam_connector.domain.rules import CheckRules, Deliverable, Rules
from dam_connector.domain.run import RunKind
from dam_connector.domain.version import Role, VersionFile
from dam_connector.errors import InputError
from schemas.rules_loader import load_rules
from tests.support import ROOT, product
from tests.unit.shapes import box
from worker.checks import videos
from worker.imaging.metadata import read_metadata, write_metadata
from worker.imaging.mp4_boxes import Mp4Facts, is_mp4, read_facts
from worker.imaging.video import encode_mp4
from worker.measuring.check_subject import CheckSubject
from worker.modeling.glb_export import write_glb
from worker.renditions import RenditionRequest, make_rendition, open_source

RULES = load_rules((ROOT / "plugin.json").read_text())
LABELS = {"sku": "CH123", "title": "Chair & table", "source_type": "compositeSynthetic"}


def a_box(name: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return (8 + len(body)).to_bytes(4, "big") + name + body


def an_mp4(*, codec: bytes = b"avc1", side: int = 120, pictures: int = 36, fast: bool = True) -> bytes:
    """Return the index of a video of four seconds, with nothing in it that could be played."""
    size = side.to_bytes(2, "big") * 2
    entry = a_box(codec, bytes(6), b"\0\1", bytes(16), size)
    stsd = a_box(b"stsd", bytes(4), (1).to_bytes(4, "big"), entry)
    stsz = a_box(b"stsz", bytes(8), pictures.to_bytes(4, "big"))
    mvhd = a_box(b"mvhd", bytes(12), (1000).to_bytes(4, "big"), (4000).to_bytes(4, "big"))
    stbl = a_box(b"stbl", stsd, stsz)
    moov = a_box(b"moov", mvhd, a_box(b"trak", a_box(b"mdia", a_box(b"minf", stbl))))
    mdat = a_box(b"mdat", bytes(50))
    return a_box(b"ftyp", b"isom", bytes(4)) + (moov + mdat if fast else mdat + moov)


def subject(data: bytes, *, size_px: int = 120) -> CheckSubject:
    file = VersionFile(
        name="CH123_MP4.mp4",
        format="mp4",
        role=Role.PRIMARY,
        view="",
        mime="video/mp4",
        sha256=Sha256("0" * 64),
        bytes=len(data),
    )
    clip = Deliverable(name="clip", kind=RunKind.IMAGE, made_from="model", motion="clip", size_px=size_px)
    return CheckSubject(product=None, deliverable=clip, slot=1, number=1, files=(file,), read=lambda _: data)


def codes(data: bytes, rules: Rules | None = None, *, size_px: int = 120) -> list[str]:
    return [found.code for found in videos.check(subject(data, size_px=size_px), rules or RULES)]


def test_the_facts_of_a_video_are_read_from_its_index() -> None:
    assert read_facts(an_mp4()) == Mp4Facts(
        codec="avc1", width=120, height=120, pictures=36, seconds=4.0, starts_fast=True
    )
    assert not read_facts(an_mp4(fast=False)).starts_fast


@pytest.mark.issue("rendition.video")
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no video",
        an_mp4()[:-20],
        an_mp4(pictures=0),
        an_mp4(codec=b"hev1"),
        an_mp4(side=121),
        an_mp4(fast=False),
    ],
)
def test_a_video_that_does_not_play_everywhere_is_reported(data: bytes) -> None:
    assert "rendition.video" in codes(data)


def test_a_good_video_has_no_findings_and_is_measured() -> None:
    checked = subject(an_mp4(), size_px=119)  # an odd side got one more row
    assert list(videos.check(checked, RULES)) == []
    assert checked.facts == {"mp4_bytes": len(an_mp4()), "mp4_seconds": 4.0}
    assert codes(an_mp4(), size_px=400) == ["rendition.size"]
    small = replace(RULES, checks=CheckRules(max_image_bytes=100))
    assert codes(an_mp4(), small) == ["rendition.bytes"]


def test_labels_are_in_the_video_and_its_other_parts_stay() -> None:
    data = an_mp4()
    labelled = write_metadata(data, LABELS)
    assert labelled.startswith(data) and read_metadata(labelled) == LABELS
    assert write_metadata(labelled, LABELS) == labelled, "the packet is replaced"
    assert read_facts(labelled) == read_facts(data) and read_metadata(data) == {}
    assert is_mp4(data) and not is_mp4(b"\0\0\0\x1cftypavif") and not is_mp4(b"")


@pytest.mark.issue("rendition.video_extra")
def test_without_the_extra_the_reason_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(InputError, match="PyAV, which is missing") as refused:
        encode_mp4(frames(), 10**6)
    assert refused.value.issue_code == "rendition.video_extra"


def frames(side: int = 65, count: int = 12) -> list[NDArray[np.uint8]]:
    """Return pictures of a red disc that goes round."""
    y, x = np.mgrid[0:side, 0:side]
    found = []
    for number in range(count):
        angle = number / count * 2 * np.pi
        picture = np.full((side, side, 3), 250, np.uint8)
        centre = side / 2 + side / 5 * np.cos(angle), side / 2 + side / 5 * np.sin(angle)
        picture[(x - centre[0]) ** 2 + (y - centre[1]) ** 2 < (side / 5) ** 2] = (200, 40, 30)
        found.append(picture)
    return found


def test_frames_become_a_video_of_two_turns_with_their_colours() -> None:
    av = pytest.importorskip("av")
    shown = frames()
    data = encode_mp4(shown, 10**6)
    facts = read_facts(data)
    assert (facts.codec, facts.width, facts.height, facts.pictures) == ("avc1", 66, 66, 24)
    assert facts.seconds == pytest.approx(8, abs=0.01) and facts.starts_fast
    assert encode_mp4(shown, 10**6) == data, "the same frames give the same bytes"
    assert len(encode_mp4(shown, 1)) < len(data), "the lowest quality where the limit cannot be kept"
    with av.open(io.BytesIO(data)) as container:
        played = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(played) == 24
    for before, after in zip([*shown, *shown], played, strict=True):
        assert np.abs(after[:65, :65].astype(int) - before).mean() < 3
        assert np.abs(after[4, 4].astype(int) - 250).max() <= 3


def test_a_clip_is_made_as_webp_and_as_mp4() -> None:
    pytest.importorskip("av")
    clip = Deliverable(
        name="clip",
        kind=RunKind.IMAGE,
        made_from="model",
        motion="clip",
        frames=8,
        size_px=120,
        formats=("webp", "mp4"),
        background="#ffffff",
    )
    order = RenditionRequest(deliverable=clip, product=product(), max_pixels=10**7, max_bytes=10**7)
    source = open_source(write_glb(box(0.4, 0.2, 0.1), "CH123"), order)
    made = make_rendition(source, order, view="")
    assert [file.format for file in made.files] == ["webp", "mp4"]
    assert read_facts(made.files[1].data).pictures == 16
