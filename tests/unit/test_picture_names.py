"""Names of pictures beside a sheet: one file is found, or the row says why none is."""

import io
import unicodedata
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dam_connector.domain.picture_names import (
    PictureFinder,
    clean_path,
    is_picture_name,
    natural_order,
    zip_names,
)


@pytest.mark.parametrize(
    ("path", "cell"),
    [
        ("photos/chair.jpg", "chair.jpg"),
        ("photos/chair.jpg", "photos/chair.jpg"),
        ("photos/chair.jpg", "photos\\chair.jpg"),
        ("photos\\chair.jpg", "photos/chair.jpg"),
        ("all/photos/chair.jpg", "photos/chair.jpg"),
        ("CHAIR.JPG", "chair.jpg"),
        ("Photos/Chair.jpg", "photos/chair.JPG"),
        (unicodedata.normalize("NFD", "Stühle.jpg"), "Stühle.jpg"),
        ("Stühle.jpg", unicodedata.normalize("NFD", "STÜHLE.jpg")),
        ("./deep/../chair one.jpg", "chair one.jpg"),
        ("chair one.jpg", "chair%20one.jpg"),
        ("chair.jpg", "/chair.jpg"),
    ],
)
def test_a_file_is_found_however_its_name_is_written(path: str, cell: str) -> None:
    assert PictureFinder({path: "it", "other.jpg": "other"}).find(cell).file == "it"


def test_names_are_sorted_by_their_numbers_whatever_these_are() -> None:
    names = ["10.jpg", "9.jpg", "1" * 5000 + ".jpg"]
    assert sorted(names, key=natural_order)[-2:] == ["9.jpg", "10.jpg"]


@pytest.mark.parametrize("cell", ["front.jpg", "FRONT.jpg"])
def test_a_name_of_two_files_is_ambiguous(cell: str) -> None:
    found = PictureFinder({"A1/front.jpg": "1", "A2/front.jpg": "2"}).find(cell)
    assert found.file is None and found.paths == ("A1/front.jpg", "A2/front.jpg")


def test_a_path_says_which_of_two_files_is_meant() -> None:
    finder = PictureFinder({"A1/front.jpg": "1", "A2/front.jpg": "2", "x/A2/FRONT.jpg": "3"})
    assert [finder.find(f"A{n}/front.jpg").file for n in (1, 2)] == ["1", "2"]


def test_equal_files_of_one_name_are_one() -> None:
    assert PictureFinder({"A1/front.jpg": "1", "A2/front.jpg": "1"}).find("front.jpg").file == "1"


def test_a_file_of_another_folder_is_not_taken() -> None:
    found = PictureFinder({"front.jpg": "1"}).find("A1/front.jpg")
    assert found.file is None and found.paths == ("front.jpg",)


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "cp437", "cp850"])
def test_names_in_a_zip_without_a_marked_encoding(encoding: str) -> None:
    raw = "Stühle.jpg".encode(encoding)
    placeholder = "St" + "_" * (len(raw) - len("Sthle.jpg")) + "hle.jpg"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as package:
        package.writestr(placeholder, b"x")
    data = out.getvalue().replace(placeholder.encode(), raw)
    member = zipfile.ZipFile(io.BytesIO(data)).infolist()[0]
    names = zip_names(member.filename, marked=bool(member.flag_bits & 0x800))
    assert PictureFinder(dict.fromkeys(names, "it")).find("Stühle.jpg").file == "it"


def test_what_a_mac_puts_beside_pictures_is_none() -> None:
    assert is_picture_name("photos\\chair.JPG") and not is_picture_name("notes.txt")
    assert not is_picture_name("__MACOSX/chair.jpg") and not is_picture_name("a/._chair.jpg")


PATHS = st.text("aAüÜ.%/\\ ", min_size=1, max_size=12)


@given(st.dictionaries(PATHS, st.integers(1, 3), max_size=5), PATHS)
def test_a_found_file_has_the_name_and_no_other_does(files: dict[str, int], cell: str) -> None:
    found = PictureFinder(files).find(cell)
    whole = {file for path, file in files.items() if clean_path(path) == clean_path(cell)}
    if found.file is not None and whole:
        assert found.file in whole


def test_a_path_of_very_many_folders_takes_little_memory() -> None:
    deep = "a/" * 12_000 + "x.jpg"
    finder = PictureFinder({deep: "deep", "1/2/3/front.jpg": "front"})
    assert finder.find(deep).file == "deep" and finder.find("3/front.jpg").file == "front"
    assert sum(map(len, finder._exact)) < 30_000


def test_folders_are_found_by_the_end_of_their_path() -> None:
    finder = PictureFinder({f"shop/{name}/{n}.jpg": f"{name}{n}" for name in ("Cup", "Jug") for n in (10, 9)})
    assert finder.find_folder("cup").files == ("Cup9", "Cup10") == finder.find_folder("shop/CUP").files
    assert finder.find_folder("shop").files == () == finder.find_folder("up").files
