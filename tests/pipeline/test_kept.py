"""Cut-outs that are kept: the same as fresh ones, made once, bounded, and no harm when they are lost or spoiled."""

from pathlib import Path

import numpy as np
import pytest

from dam_connector.errors import InputError
from dam_connector.wiring import Services
from tests.support import picture
from worker import kept
from worker.imaging import cutout
from worker.imaging.decode import Photo, decode


@pytest.fixture
def photo() -> Photo:
    return decode(picture(), max_pixels=10**7)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with each cut-out that is made."""
    made: list[int] = []

    def cut_out(photo: Photo, pointer: str = "") -> cutout.Cutout:
        made.append(1)
        return cutout.cut_out(photo, pointer)

    monkeypatch.setattr(kept, "cut_out", cut_out)
    return made


def files(services: Services) -> list[Path]:
    return sorted((services.settings.data_dir / "cache" / "cutouts").glob("*"))


def test_a_kept_cut_out_is_the_fresh_one(services: Services, photo: Photo, counted: list[int]) -> None:
    sha256 = services.blobs.put(b"a")
    first, second = (kept.keeper(services, sha256)(photo, "") for _ in range(2))
    fresh = cutout.cut_out(photo)
    for found in (first, second):
        assert np.array_equal(found.rgb, fresh.rgb) and np.array_equal(found.alpha, fresh.alpha)
        assert (found.confidence, found.busy, found.touches, found.box) == (fresh.confidence, fresh.busy, fresh.touches, fresh.box)
    assert len(counted) == 1 and len(files(services)) == 1


def test_another_photo_and_another_size_are_cut_out_anew(services: Services, photo: Photo, counted: list[int]) -> None:
    smaller = decode(picture(), max_pixels=10**7, longest_px=300)
    for sha256, given in ((services.blobs.put(b"a"), photo), (services.blobs.put(b"b"), photo), (services.blobs.put(b"a"), smaller)):
        assert kept.keeper(services, sha256)(given, "").alpha.shape == given.rgb.shape[:2]
    assert len(counted) == 3


@pytest.mark.parametrize("spoiled", [b"", b"PK\x03\x04 not an archive", b"x" * 1000])
def test_what_is_spoiled_is_made_anew(services: Services, photo: Photo, counted: list[int], spoiled: bytes) -> None:
    cut = kept.keeper(services, services.blobs.put(b"a"))
    cut(photo, "")
    files(services)[0].write_bytes(spoiled)
    assert cut(photo, "").alpha.any() and len(counted) == 2


def test_the_oldest_go_when_there_are_too_many(services: Services, photo: Photo, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.keeper(services, services.blobs.put(b"0"))(photo, "")
    monkeypatch.setattr(kept, "MAX_BYTES", 3 * files(services)[0].stat().st_size)
    for n in range(6):
        kept.keeper(services, services.blobs.put(bytes([n])))(photo, "")
    assert len(files(services)) == 3


def test_a_photo_without_a_product_is_told_each_time(services: Services) -> None:
    blank = decode(picture(lambda rgb: None), max_pixels=10**7)
    for _ in range(2):
        with pytest.raises(InputError, match="Nothing stands out"):
            kept.keeper(services, services.blobs.put(b"a"))(blank, "/images/front")
    assert files(services) == []
