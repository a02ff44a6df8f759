"""Detection of changed products by the product match.

`python -m benchmarks.product_match_detection [--bench DIR]`. Our own code composes each product in a room.
The picture is then degraded as a provider's might be (other light, another size, slightly rotated, encoded
again), and changes are planted: another colour, other proportions, another product, a missing part, mirrored,
garbled lettering.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.bench_folder import matching_files
from worker.imaging.cutout import Cutout, cut_out
from worker.imaging.decode import decode
from worker.imaging.lifestyle import Scene, compose_lifestyle
from worker.imaging.product_match import ProductMatch, find_lettering, match_product
from worker.imaging.provider_pictures import find_mismatches

U8 = NDArray[np.uint8]
SAMPLES = Path(__file__).parent.parent / "dam_connector" / "samples"


def photos(bench: Path | None) -> Iterator[tuple[str, Cutout]]:
    """Yield the cut-outs of the samples' front and hero photos, and of a folder's.

    Raises:
        SystemExit: The folder has no photos.
    """
    files = [f for f in sorted(SAMPLES.glob("*-front.jpg")) if "bottle" not in f.name]  # truncated on purpose
    files += sorted(SAMPLES.glob("*-hero.jpg"))
    files += matching_files(bench, "*/front_photo.jpg", "*/hero_photo.jpg") if bench else []
    for file in files:
        photo = decode(file.read_bytes(), max_pixels=60_000_000)
        yield f"{file.parent.name}/{file.stem}", cut_out(photo)


def print_lettering(cutout: Cutout, words: str) -> Cutout:
    """Return the product with words printed on it."""
    rgb = cutout.rgb.copy()
    left, _, right, _ = cutout.box
    scale = (right - left) / 450
    (width, height), _ = cv2.getTextSize(words, cv2.FONT_HERSHEY_DUPLEX, scale, max(1, round(2 * scale)))
    origin = _most_inside(cutout, width, height)
    light = 20 if rgb[origin[1] - height // 2, origin[0] + width // 2].mean() > 110 else 240
    cv2.putText(
        rgb,
        words,
        origin,
        cv2.FONT_HERSHEY_DUPLEX,
        scale,
        (light,) * 3,
        max(1, round(2 * scale)),
        cv2.LINE_AA,
    )
    return Cutout(rgb=rgb, alpha=cutout.alpha, confidence=cutout.confidence)


def _most_inside(cutout: Cutout, width: int, height: int) -> tuple[int, int]:
    """Return where a box of this size is most inside the product."""
    inside = cv2.boxFilter((cutout.alpha > 250).astype(np.float32), -1, (width + 8, height + 8))
    y, x = np.unravel_index(int(inside.argmax()), inside.shape)
    return int(x - width // 2), int(y + height // 2)


def with_pixels(cutout: Cutout, rgb: U8) -> Cutout:
    """Return the cut-out with other colours."""
    return Cutout(rgb=rgb, alpha=cutout.alpha, confidence=cutout.confidence)


def rotate_hue(degrees: float) -> Callable[[Cutout], Cutout]:
    """Return a change that rotates the hue."""

    def rotate(cutout: Cutout) -> Cutout:
        lab = cv2.cvtColor(cutout.rgb.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
        angle = np.radians(degrees)
        a, b = lab[..., 1].copy(), lab[..., 2].copy()
        chroma = np.hypot(a, b)
        lab[..., 1], lab[..., 2] = (
            a * np.cos(angle) - b * np.sin(angle),
            a * np.sin(angle) + b * np.cos(angle),
        )
        lab[..., 1] += np.where(chroma < 12, 25, 0)  # greys get a colour
        return with_pixels(
            cutout, (np.clip(cv2.cvtColor(lab, cv2.COLOR_Lab2RGB), 0, 1) * 255).astype(np.uint8)
        )

    return rotate


def stretch_width(factor: float) -> Callable[[Cutout], Cutout]:
    """Return a change that stretches the product's width."""

    def stretch(cutout: Cutout) -> Cutout:
        size = (round(cutout.rgb.shape[1] * factor), cutout.rgb.shape[0])
        return Cutout(rgb=cv2.resize(cutout.rgb, size), alpha=cv2.resize(cutout.alpha, size), confidence=1.0)

    return stretch


def mirror(cutout: Cutout) -> Cutout:
    """Return the mirror image."""
    return Cutout(
        rgb=np.ascontiguousarray(cutout.rgb[:, ::-1]),
        alpha=np.ascontiguousarray(cutout.alpha[:, ::-1]),
        confidence=1.0,
    )


def repaint_part(cutout: Cutout) -> Cutout:
    """Return the product with a third of it repainted, as if a provider had invented a part."""
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
    """Return the product with its lettering bent and swapped, as image models do."""
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
    """Return the product in the room of a slot."""
    return compose_lifestyle(cutout, Scene(width=1024, height=1280, fill=0.62, slot=slot, seed=seed)).rgb


def simulate_provider(picture: U8, seed: int) -> U8:
    """Return the picture as a provider might: other light and tones, slightly rotated, softened, encoded."""
    rng = np.random.default_rng(seed)
    light = picture.astype(np.float32) / 255
    light = np.clip(
        light ** rng.uniform(0.85, 1.2) * rng.uniform(0.88, 1.08) * (1 + rng.uniform(-0.06, 0.06, 3)), 0, 1
    )
    height, width = light.shape[:2]
    rotation = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-2, 2), rng.uniform(0.94, 1.04))
    light = cv2.warpAffine(
        light.astype(np.float32),
        rotation,
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


def format_row(name: str, change: str, match: ProductMatch) -> str:
    """Return a line of the table."""
    lettering = "    -" if match.lettering is None else f"{match.lettering:5.2f}"
    return (
        f"{name:32} {change:26} {match.method or 'not found':9} {match.colour_difference:6.1f} "
        f"{match.pattern_share:6.2f} {lettering} {match.stretch:6.2f} {match.visible_share:5.2f}  "
        f"{', '.join(code for code, *_ in find_mismatches(match))}"
    )


def main() -> None:
    """Print a line for each picture, then the correct ones refused and the changes detected."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bench", type=Path)
    cutouts = list(photos(parser.parse_args().bench))
    correct = refused = 0
    detected: dict[str, list[bool]] = {}
    plain = dict(cutouts)
    printed = {f"{name} printed": print_lettering(cutout, "NORTHWIND") for name, cutout in cutouts[:8]}

    def mismatches(name: str, label: str, cutout: Cutout, picture: U8) -> bool:
        match = match_product(cutout, picture)
        print(format_row(name, label, match))
        return any(True for _ in find_mismatches(match))

    for number, (name, cutout) in enumerate({**plain, **printed}.items()):
        for slot in (1, 2):
            picture = simulate_provider(compose_room(cutout, slot), 10 * number + slot)
            correct, refused = (
                correct + 1,
                refused + mismatches(name, f"correct, room {slot}", cutout, picture),
            )
        other = cutouts[(number + 3) % len(cutouts)][1]
        changed = {label: change(cutout) for label, change in CHANGES.items()} | {"another product": other}
        if "printed" not in name:
            del changed["lettering garbled"]
        for label, change in changed.items():
            picture = simulate_provider(compose_room(change, 1), number)
            detected.setdefault(label, []).append(mismatches(name, label, cutout, picture))
    print(f"\ncorrect pictures refused: {refused} of {correct}")
    for label, results in detected.items():
        print(f"{label}: {sum(results)} of {len(results)} detected")


if __name__ == "__main__":
    main()
