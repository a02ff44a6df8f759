"""The watched folder: names of pictures that no file can have."""

from pathlib import Path

import pytest

from dam_connector.adapters.csv import SheetFolderPim
from dam_connector.errors import NotFound


@pytest.mark.parametrize("name", ["a" * 300, "a/" * 3000, "a\0b.jpg", "../a.jpg", ""])
def test_a_name_that_no_file_can_have_is_not_found(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"outside")
    (tmp_path / "sheets").mkdir()
    with pytest.raises(NotFound):
        SheetFolderPim("sheets", tmp_path / "sheets", {}).fetch_picture(name)
