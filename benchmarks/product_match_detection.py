"""Whether the check that a picture still shows the product tells right pictures from changed ones.

Each product is set into a room by our own code, then made as a provider might: other light, another size, a little turned, coded anew; and with
planted changes: another colour, other proportions, another product, a part gone, mirrored, its lettering garbled.

    python -m benchmarks.product_match_detection [--bench DIR]
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.imaging.cutout import Cutout, cut_out
from worker.imaging.decode import decode
from worker.imaging.lifestyle import Scene, compose_lifestyle
from worker.imaging.product_match import ProductMatch, find_lettering, match_product
from worker.imaging.provider_pictures import find_mismatches

U8 = NDArray[np.uint8]
SAMPLES = Path(__file__).parent.parent / "dam_connector" / "samples"


def photos(bench: Path | None) -> Iterator[tuple[str, Cutout]]:
    """The samples' first photos, and the bench models' front photos, cut out."""
    files = [f for f in sorted(SAMPLES.glob("*-front.jpg")) if "bottle" not in f.name]  # cut short on purpose
    files += sorted(SAMPLES.glob("*-hero.jpg"))
    files += sorted(bench.glob("*/front_photo.jpg")) + sorted(bench.glob("*/hero_photo.jpg")) if bench else []
    for file in files:
        photo = decode(file.read_bytes(), max_pixels=60_000_000)
        yield f"{file.parent.name}/{file.stem}", cut_out(photo)


def print_lettering(cutout: Cutout, words: str) -> Cutout:
    """The product with words printed on its middle."""
    rgb = cutout.rgb.copy()
    left, _, right, _ = cutout.box
    scale = (right - left) / 450
    (width, height), _ = cv2.getTextSize(words, cv2.FONT_HERSHEY_DUPLEX, scale, max(1, round(2 * scale)))
    spot = _widest(cutout, width, height)
    light = 20 if rgb[spot[1] - height // 2, spot[0] + width // 2].mean() > 110 else 240
    cv2.putText(
        rgb, words, spot, cv2.FONT_HERSHEY_DUPLEX, scale, (light,) * 3, max(1, round(2 * scale)), cv2.LINE_AA
    )
    return Cutout(rgb=rgb, alpha=cutout.alpha, confidence=cutout.confidence)


def _widest(cutout: Cutout, width: int, height: int) -> tuple[int, int]:
    """Where words of this size lie most inside the product."""
    inside = cv2.boxFilter((cutout.alpha > 250).astype(np.float32), -1, (width + 8, height + 8))
    y, x = np.unravel_index(int(inside.argmax()), inside.shape)
    return int(x - width // 2), int(y + height // 2)


def with_pixels(cutout: Cutout, rgb: U8) -> Cutout:
    return Cutout(rgb=rgb, alpha=cutout.alpha, confidence=cutout.confidence)


def rotate_hue(degrees: float) -> Callable[[Cutout], Cutout]:
    def turn(cutout: Cutout) -> Cutout:
        lab = cv2.cvtColor(cutout.rgb.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
        angle = np.radians(degrees)
        a, b = lab[..., 1].copy(), lab[..., 2].copy()
        chroma = np.hypot(a, b)
        lab[..., 1], lab[..., 2] = (
            a * np.cos(angle) - b * np.sin(angle),
            a * np.sin(angle) + b * np.cos(angle),
        )
        lab[..., 1] += np.where(chroma < 12, 25, 0)  # what has no colour gets one
        return with_pixels(
            cutout, (np.clip(cv2.cvtColor(lab, cv2.COLOR_Lab2RGB), 0, 1) * 255).astype(np.uint8)
        )

    return turn


def stretch_width(factor: float) -> Callable[[Cutout], Cutout]:
    def stretch(cutout: Cutout) -> Cutout:
        size = (round(cutout.rgb.shape[1] * factor), cutout.rgb.shape[0])
        return Cutout(rgb=cv2.resize(cutout.rgb, size), alpha=cv2.resize(cutout.alpha, size), confidence=1.0)

    return stretch


def mirror(cutout: Cutout) -> Cutout:
    return Cutout(
        rgb=np.ascontiguousarray(cutout.rgb[:, ::-1]),
        alpha=np.ascontiguousarray(cutout.alpha[:, ::-1]),
        confidence=1.0,
    )


def repaint_part(cutout: Cutout) -> Cutout:
    """A third of it repainted with another pattern, as where a provider made a part up."""
    rgb = cutout.rgb.copy()
    left, top, right, bottom = cutout.box
    rows = slice(top + (bottom - top) // 3, top + 2 * (bottom - top) // 3)
    noise = cv2.GaussianBlur(
        np.random.default_rng(3).normal(0, 1, rgb[rows, left:right].shape[:2]).astype(np.float32), (0, 0), 7
    )
    rgb[rows, left:right] = np.clip(
        rgb[rows, left:right].mean((0, 1)) + 45 * (noise / noise.std())[..., None], 0, 255
    ).astype(np.uint8)
    return with_pixels(cutout, rgb)


def garble_lettering(cutout: Cutout) -> Cutout:
    """Its lettering bent and swapped, as image models do."""
    rgb = cutout.rgb.copy()
    rng = np.random.default_rng(5)
    mask = cutout.alpha
    for x, y, width, height in find_lettering(rgb, mask):
        patch = rgb[y : y + height, x : x + width].copy()
        columns = max(2, width // max(4, height))
        parts = np.array_split(np.arange(width), columns)
        order = np.roll(np.arange(columns), 1)
        patch = np.concatenate([patch[:, parts[n]][:, :: rng.choice([1, -1])] for n in order], axis=1)
        wave = (np.sin(np.arange(width) / max(2, height) * 3) * height * 0.22).astype(int)
        for column in range(width):
            patch[:, column] = np.roll(patch[:, column], wave[column], axis=0)
        rgb[y : y + height, x : x + width] = patch
    return with_pixels(cutout, rgb)


def compose_room(cutout: Cutout, slot: int, seed: int = 1) -> U8:
    return compose_lifestyle(cutout, Scene(width=1024, height=1280, fill=0.62, slot=slot, seed=seed)).rgb


def simulate_provider(picture: U8, seed: int) -> U8:
    """The picture as a provider might give it back: warmer or colder light, a bend of its tones, slightly turned, softened, coded."""
    rng = np.random.default_rng(seed)
    light = picture.astype(np.float32) / 255
    light = np.clip(
        light ** rng.uniform(0.85, 1.2) * rng.uniform(0.88, 1.08) * (1 + rng.uniform(-0.06, 0.06, 3)), 0, 1
    )
    height, width = light.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-2, 2), rng.uniform(0.94, 1.04))
    light = cv2.warpAffine(
        light.astype(np.float32),
        turn,
        (width, height),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    light = cv2.GaussianBlur(light, (0, 0), rng.uniform(0.3, 0.9)) + rng.normal(0, 0.008, light.shape)
    _, coded = cv2.imencode(
        ".jpg", (np.clip(light, 0, 1)[..., ::-1] * 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 82]
    )
    decoded: U8 = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR))
    return np.ascontiguousarray(decoded[..., ::-1])


CHANGES: dict[str, Callable[[Cutout], Cutout]] = {
    "another colour": rotate_hue(70),
    "slightly another colour": rotate_hue(30),
    "15 % wider": stretch_width(1.15),
    "10 % slimmer": stretch_width(0.9),
    "mirrored": mirror,
    "a part made up": repaint_part,
    "lettering garbled": garble_lettering,
}


def format_row(name: str, what: str, found: ProductMatch) -> str:
    marks = "    -" if found.lettering is None else f"{found.lettering:5.2f}"
    numbers = f"{found.colour_difference:6.1f} {found.pattern_share:6.2f} {marks} {found.stretch:6.2f} {found.visible_share:5.2f}"
    return f"{name:32} {what:26} {found.method or 'not found':9} {numbers}  {', '.join(code for code, *_ in find_mismatches(found))}"


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--bench", type=Path)
    found = list(photos(arguments.parse_args().bench))
    right = wrong = 0
    caught: dict[str, list[bool]] = {}
    plain = {name: cutout for name, cutout in found}
    printed = {f"{name} printed": print_lettering(cutout, "NORTHWIND") for name, cutout in found[:8]}
    for number, (name, cutout) in enumerate({**plain, **printed}.items()):
        for slot in (1, 2):
            seen = match_product(cutout, simulate_provider(compose_room(cutout, slot), 10 * number + slot))
            right, wrong = right + 1, wrong + bool(list(find_mismatches(seen)))
            print(format_row(name, f"right, room {slot}", seen))
        for what, change in CHANGES.items():
            if what == "lettering garbled" and "printed" not in name:
                continue
            seen = match_product(cutout, simulate_provider(compose_room(change(cutout), 1), number))
            caught.setdefault(what, []).append(bool(list(find_mismatches(seen))))
            print(format_row(name, what, seen))
        other = found[(number + 3) % len(found)][1]
        seen = match_product(cutout, simulate_provider(compose_room(other, 1), number))
        caught.setdefault("another product", []).append(bool(list(find_mismatches(seen))))
        print(format_row(name, "another product", seen))
    print(f"\nright pictures held back: {wrong} of {right}")
    for what, hits in caught.items():
        print(f"{what}: {sum(hits)} of {len(hits)} caught")


if __name__ == "__main__":
    main()
