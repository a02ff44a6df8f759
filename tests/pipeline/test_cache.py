"""Caches: cut-outs, photos and models equal fresh ones, are made once, are bounded, and may be lost or
damaged.
"""

from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dam_connector.domain.issue import Issue
from dam_connector.domain.rules import ImagingRules
from dam_connector.errors import InputError
from dam_connector.wiring import Services
from tests.support import picture
from tests.unit.shapes import box
from worker import cache
from worker.imaging import cutout, net_cutout
from worker.imaging.decode import Photo, decode
from worker.imaging.photo_quality import source_issues
from worker.imaging.salient_net import SalientNet
from worker.modeling.glb_export import write_glb
from worker.modeling.glb_import import read_glb
from worker.modeling.textured_mesh import TexturedMesh

NO_NET = ImagingRules(net="none")
CUBE = box(0.1, 0.1, 0.1)


@pytest.fixture
def photo() -> Photo:
    return decode(picture(), max_pixels=10**7)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with each cut-out that is made."""
    made: list[int] = []

    def cut_out(photo: Photo, net: SalientNet | None, pointer: str = "") -> cutout.Cutout:
        made.append(1)
        return net_cutout.cut_out_product(photo, net, pointer)

    monkeypatch.setattr(cache, "cut_out_product", cut_out)
    return made


def files(services: Services) -> list[Path]:
    return sorted((services.settings.data_dir / "cache" / "cutouts").glob("*"))


def test_a_cached_cut_out_equals_a_fresh_one(services: Services, photo: Photo, counted: list[int]) -> None:
    sha256 = services.blobs.put(b"a")
    first, second = (cache.cached_cut_out(services, NO_NET, sha256, photo) for _ in range(2))
    fresh = net_cutout.cut_out_product(photo, None)
    for found in (first, second):
        assert np.array_equal(found.rgb, fresh.rgb) and np.array_equal(found.alpha, fresh.alpha)
        for field in fields(cutout.Cutout):
            if field.name not in ("rgb", "alpha"):
                assert getattr(found, field.name) == getattr(fresh, field.name), field.name
    assert len(counted) == 1 and len(files(services)) == 1


def test_another_photo_and_another_size_are_cut_out_anew(
    services: Services, photo: Photo, counted: list[int]
) -> None:
    smaller = decode(picture(), max_pixels=10**7, max_side_px=300)
    for sha256, resized in (
        (services.blobs.put(b"a"), photo),
        (services.blobs.put(b"b"), photo),
        (services.blobs.put(b"a"), smaller),
    ):
        assert cache.cached_cut_out(services, NO_NET, sha256, resized).alpha.shape == resized.rgb.shape[:2]
    assert len(counted) == 3


def test_with_a_net_a_photo_is_cut_out_anew(services: Services, photo: Photo, counted: list[int]) -> None:
    sha256, imaging = services.blobs.put(b"a"), ImagingRules()
    assert cache.cached_cut_out(services, NO_NET, sha256, photo).net == ""
    first, second = (cache.cached_cut_out(services, imaging, sha256, photo) for _ in range(2))
    assert len(counted) == 2 and len(files(services)) == 2
    assert first.net == second.net == imaging.net and first.doubts == second.doubts
    assert first.confidence == second.confidence


def test_the_issues_of_a_photo_are_found_once(
    services: Services, photo: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another cut-out, view or limit has issues of its own; a damaged file is replaced."""
    found: list[str] = []

    def find(photo: Photo, cutout: cutout.Cutout, view: str, imaging: ImagingRules) -> Iterator[Issue]:
        found.append(view)
        return source_issues(photo, cutout, view, imaging)

    monkeypatch.setattr(cache, "source_issues", find)
    sha256 = services.blobs.put(b"a")
    product = cache.cached_cut_out(services, NO_NET, sha256, photo)
    doubtful = replace(product, confidence=0.1, doubts=("it is not clear",))
    issues = [
        cache.cached_source_issues(services, sha256, photo, doubtful, "front", NO_NET) for _ in range(3)
    ]
    assert issues[0] == issues[1] == tuple(source_issues(photo, doubtful, "front", NO_NET)) and issues[0]
    assert len(found) == 1
    next(path for path in files(services) if path.suffix == ".issues").write_bytes(b"[{")
    assert cache.cached_source_issues(services, sha256, photo, doubtful, "front", NO_NET) == issues[0]
    assert len(found) == 2
    cache.cached_source_issues(services, sha256, photo, product, "front", NO_NET)
    cache.cached_source_issues(services, sha256, photo, doubtful, "left", NO_NET)
    cache.cached_source_issues(services, sha256, photo, doubtful, "front", ImagingRules(min_probability=0.05))
    assert found[2:] == ["front", "left", "front"]


@pytest.mark.parametrize("damaged", [b"", b"PK\x03\x04 not an archive", b"x" * 1000])
def test_a_damaged_file_is_replaced(
    services: Services, photo: Photo, counted: list[int], damaged: bytes
) -> None:
    sha256 = services.blobs.put(b"a")
    cache.cached_cut_out(services, NO_NET, sha256, photo)
    files(services)[0].write_bytes(damaged)
    assert cache.cached_cut_out(services, NO_NET, sha256, photo).alpha.any() and len(counted) == 2


def test_the_oldest_go_when_there_are_too_many(
    services: Services, photo: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.cached_cut_out(services, NO_NET, services.blobs.put(b"0"), photo)
    monkeypatch.setattr(cache, "MAX_CUTOUT_BYTES", 3 * files(services)[0].stat().st_size)
    for n in range(6):
        cache.cached_cut_out(services, NO_NET, services.blobs.put(bytes([n])), photo)
    assert len(files(services)) == 3


def test_a_photo_without_a_product_raises_each_time(services: Services) -> None:
    blank = decode(picture(lambda rgb: None), max_pixels=10**7)
    for _ in range(2):
        with pytest.raises(InputError, match="No product was found"):
            cache.cached_cut_out(services, NO_NET, services.blobs.put(b"a"), blank, "/images/front")
    assert files(services) == []


def test_a_photo_is_decoded_again_only_for_a_larger_size_or_another_limit(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[int] = []

    def counting(data: bytes, **options: Any) -> Photo:
        decoded.append(options["max_side_px"])
        return decode(data, **options)

    monkeypatch.setattr(cache, "decode", counting)
    monkeypatch.setattr(cache, "_PHOTOS", cache.LruCache(cache.MAX_PHOTOS))
    data = picture()
    longer, sha256 = max(decode(data, max_pixels=10**7).size), services.blobs.put(data)
    for _ in range(2):
        assert max(cache.cached_photo(services, sha256).size) == longer
        assert max(cache.cached_photo(services, sha256, max_side_px=longer + 1).size) == longer
    assert len(decoded) == 1
    assert (
        max(cache.cached_photo(services, sha256, max_side_px=300).size) == 300
        and max(cache.cached_photo(services, sha256).size) == longer
    )
    assert len(decoded) == 3
    strict = replace(services, settings=replace(services.settings, max_picture_pixels=100))
    with pytest.raises(InputError, match="pixels"):
        cache.cached_photo(strict, sha256)


def test_models_are_read_once_and_the_oldest_is_forgotten(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []

    def counting(data: bytes) -> TexturedMesh:
        read.append(len(data))
        return read_glb(data)

    monkeypatch.setattr(cache, "read_glb", counting)
    monkeypatch.setattr(cache, "_MODELS", cache.LruCache(cache.MAX_MODELS))
    files = [services.blobs.put(write_glb(CUBE, f"cube {n}")) for n in range(cache.MAX_MODELS + 1)]
    for sha256 in (files[0], files[0], *files[1:]):
        assert len(cache.cached_model(services, sha256).faces) == len(CUBE.faces)
    assert len(read) == len(files)
    cache.cached_model(services, files[0])
    assert len(read) == len(files) + 1


def test_the_name_of_a_cut_out_covers_all_the_code_that_cuts_out() -> None:
    covered = {module.__name__ for module in cache.CUTOUT_MODULES}
    used = {
        value.__module__
        for module in cache.CUTOUT_MODULES
        for value in vars(module).values()
        if getattr(value, "__module__", "").startswith("worker.imaging.")
    }
    assert used - {"worker.imaging.decode"} <= covered  # photos are cached decoded
