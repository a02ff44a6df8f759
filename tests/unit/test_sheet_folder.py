"""The watched folder: names of pictures that no file can have."""

from pathlib import Path

import pytest

from dam_connector.adapters.csv import SheetFolderPim
from dam_connector.domain.ids import Sku
from dam_connector.domain.product import Capture, Product
from dam_connector.errors import NotFound


@pytest.mark.parametrize("name", ["a" * 300, "a/" * 3000, "a\0b.jpg", "../a.jpg", ""])
def test_a_name_that_no_file_can_have_is_not_found(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"outside")
    (tmp_path / "sheets").mkdir()
    with pytest.raises(NotFound):
        SheetFolderPim("sheets", tmp_path / "sheets", {}).fetch_picture(name)


def test_a_folder_of_frames_has_no_masks_and_one_of_heic_alone_says_so(tmp_path: Path) -> None:
    for name in ("cup/1.jpg", "cup/2.jpg", "cup/1_mask.png", "cup/clip.mp4", "phone/1.heic", "phone/2.heic"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    pim = SheetFolderPim("sheets", tmp_path, {})

    def captured(folder: str) -> list[str]:
        product = Product(sku=Sku("A1"), spin_images=(folder,))
        return [url.rpartition("/")[2] for url in pim._captured_urls(Capture.SPIN, product)]

    assert captured("cup") == ["1.jpg", "2.jpg"]
    assert captured("phone") == ["1.heic", "2.heic"]  # fetched, and refused with the reason
