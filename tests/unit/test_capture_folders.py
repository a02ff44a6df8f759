"""Folders of spins and walks: files that are no pictures of the product are left out, and named."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from dam_connector.domain.capture_folders import sort_folder
from dam_connector.domain.picture_damage import picture_damage
from dam_connector.domain.picture_names import unread_reason
from dam_connector.domain.product import Capture, picture_mime
from dam_connector.errors import InputError
from tests.support import picture
from worker.imaging.decode import decode
from worker.tools.build_command import build

FRAMES = [f"{number:03}.jpg" for number in range(24)]
HEIC = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(400)
VIDEO = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp41" + bytes(400)


@pytest.mark.parametrize(
    "beside", ["000_mask.png", "mask 000.jpg", "000-depth.png", "000.alpha.png", "000.png", "000_thumb.jpg"]
)
def test_a_file_beside_frames_that_is_none_is_left_out_and_named(beside: str) -> None:
    found = sort_folder(Capture.SPIN, ["x/" + name for name in (*FRAMES, beside)])
    assert [Path(path).name for path in found.pictures] == FRAMES
    assert not found.problem and found.note.startswith(f"left out: {beside} (")


def test_frames_that_are_all_named_so_are_frames() -> None:
    found = sort_folder(Capture.SPIN, [f"alpha_{number}.jpg" for number in range(9)])
    assert len(found.pictures) == 9 and not found.note


def test_frames_of_two_formats_are_refused_and_photos_of_a_walk_are_not() -> None:
    names = [*FRAMES, "extra.png"]
    assert "extra.png are of another format" in sort_folder(Capture.SPIN, names).problem
    walk = sort_folder(Capture.WALK, names)
    assert len(walk.pictures) == 25 and not walk.problem
    assert len(sort_folder(Capture.SPIN, ["1.jpg", "2.JPEG", "3.jpeg"]).pictures) == 3


def test_what_is_not_read_is_counted_with_its_reason() -> None:
    phone = [f"IMG_{number}.HEIC" for number in range(6)]
    note = sort_folder(Capture.WALK, [*FRAMES, *phone, "clip.mp4", ".DS_Store", "Thumbs.db"]).note
    assert "IMG_0.HEIC, IMG_1.HEIC, IMG_2.HEIC, IMG_3.HEIC and 2 more (it is HEIC, which is not read" in note
    assert "clip.mp4 (it is a video" in note and "DS_Store" not in note and "Thumbs" not in note


@pytest.mark.parametrize(
    ("name", "words"),
    [("a.HEIC", "is HEIC"), ("a.mov", "is a video"), ("a.dng", "is DNG"), ("a.txt", "is no picture")],
)
def test_the_reason_names_the_kind(name: str, words: str) -> None:
    assert unread_reason(name).startswith(words)
    assert not unread_reason("a.jpg")


@pytest.mark.parametrize(("data", "words"), [(HEIC, "is HEIC, which is not read"), (VIDEO, "is a video")])
def test_a_file_that_is_not_what_its_name_says_is_recognised_by_its_bytes(data: bytes, words: str) -> None:
    assert picture_mime(data[:16]) == "" and picture_damage(data).startswith(words)
    with pytest.raises(InputError, match=words):
        decode(data, max_pixels=1000)


@pytest.mark.parametrize("option", ["--walk", "--spin", "--pictures"])
def test_build_says_which_files_of_a_folder_are_not_read(option: str, tmp_path: Path) -> None:
    (tmp_path / "1.heic").write_bytes(HEIC)
    (tmp_path / "2.jpg").write_bytes(picture())
    (tmp_path / "2_mask.png").write_bytes(b"")
    ran = CliRunner().invoke(build, [option, str(tmp_path), "--out", str(tmp_path / "out.glb")])
    assert ran.exit_code != 0 and "HEIC, which is not read; save it as JPEG" in ran.output


def test_build_says_that_a_video_is_no_folder_of_photos(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(VIDEO)
    ran = CliRunner().invoke(
        build, ["--walk", str(tmp_path / "clip.mp4"), "--out", str(tmp_path / "out.glb")]
    )
    assert ran.exit_code == 2 and "clip.mp4 is a video, which is not read" in ran.output
