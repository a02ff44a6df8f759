"""Photos of the sample products as shops have them: grey with shadow, white on white, room, snapshot.

Usage: `python -m samples.photo_settings OUT_FOLDER`. It writes a JPEG and the true mask of each setting; the
same code gives the same bytes.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dam_connector.domain.product import Dimensions, View
from dam_connector.domain.scene_words import read_scene_words
from samples.make_photos import camera_of, develop, painted_model
from samples.product_meshes import PRODUCTS
from worker.imaging.composition import Picture, Studio, compose_studio
from worker.imaging.cutout import Cutout
from worker.imaging.lifestyle import Scene, compose_lifestyle
from worker.imaging.scene_choice import SceneFacts
from worker.modeling.render import Renderer, RenderOptions

U8 = NDArray[np.uint8]
PHOTO_PX = 1024
TILT_DEG = 5.0  # how a snapshot is held
ROOM_LIGHT = (1.08, 1.0, 0.84)  # red, green, blue: the warm lamps of a home
WHITE_LEVEL = 240  # of a channel: the brightest part of a white product
PALE = 0.3  # of the product's own colour that a white product keeps


@dataclass(frozen=True, slots=True, kw_only=True)
class MadePhoto:
    """A photo whose product is known."""

    jpeg: bytes
    mask: U8  # (h, w): 255 is product


def on_grey(product: Cutout, size: int) -> tuple[U8, U8]:
    """Return picture and mask on a grey gradient, with a shadow."""
    studio = Studio(
        width=size, height=size, background="#d9d6d1 to #a9a6a2", fill=0.62, shadow=True, reflection=False
    )
    return _composed(compose_studio(product, studio), product)


def white_on_white(product: Cutout, size: int) -> tuple[U8, U8]:
    """Return picture and mask of a product in white on white ground."""
    grey = cv2.cvtColor(product.rgb, cv2.COLOR_RGB2GRAY)[..., None].astype(np.float32)
    brightest = float(grey[product.alpha > 0].max())
    white = WHITE_LEVEL + (grey - brightest) * PALE
    pale = Cutout(rgb=np.repeat(white.clip(0, 255).astype(np.uint8), 3, 2), alpha=product.alpha, confidence=1)
    studio = Studio(width=size, height=size, background="#ffffff", fill=0.7, shadow=True, reflection=False)
    return _composed(compose_studio(pale, studio), product)


def in_a_room(product: Cutout, size: int) -> tuple[U8, U8]:
    """Return picture and mask in a room."""
    scene = Scene(width=size, height=size, fill=0.55, slot=1, seed=7, facts=_facts("plaster", 0.8))
    return _composed(compose_lifestyle(product, scene), product)


def _facts(words: str, height_m: float) -> SceneFacts:
    """Return the facts of a product seen from above, in a set that words name."""
    return SceneFacts(
        view=View.HERO,
        oblique=True,
        dimensions=Dimensions(height_m=height_m),
        wish=read_scene_words(words),
        aspect=1.0,
    )


def as_snapshot(product: Cutout, size: int) -> tuple[U8, U8]:
    """Return picture and mask of a photo from the hand: tilted, in warm and uneven light, a little soft."""
    scene = Scene(width=size, height=size, fill=0.5, slot=1, seed=9, facts=_facts("by a window", 0.1))
    rgb, mask = _composed(compose_lifestyle(product, scene), product)
    turn = cv2.getRotationMatrix2D((size / 2, size / 2), TILT_DEG, 1.15)
    rgb, mask = (cv2.warpAffine(p, turn, (size, size), borderMode=cv2.BORDER_REFLECT) for p in (rgb, mask))
    falloff = np.linspace(1.05, 0.72, size, dtype=np.float32)[None, :, None]
    lit = cv2.GaussianBlur(rgb, (0, 0), 0.9).astype(np.float32) * falloff * np.array(ROOM_LIGHT, np.float32)
    return lit.clip(0, 255).astype(np.uint8), mask


Setting = Callable[[Cutout, int], tuple[U8, U8]]
SETTINGS: dict[str, tuple[str, str, Setting]] = {  # product, view and setting of each photo
    "speaker-grey": ("speaker", "hero", on_grey),
    "vase-white": ("vase", "front", white_on_white),
    "chair-room": ("chair", "hero", in_a_room),
    "mug-snapshot": ("mug", "hero", as_snapshot),
}


def photograph_in_setting(photo: str, size: int = PHOTO_PX) -> MadePhoto:
    """Return a photo of SETTINGS as JPEG, `size` pixels square, with its true mask."""
    name, view, setting = SETTINGS[photo]
    model, paint = painted_model(PRODUCTS[name]())
    rgb, alpha = Renderer(model, paint, tone=False).render(
        camera_of(model, view), size, RenderOptions(background=None, floor_shadow=False, samples_per_axis=3)
    )
    picture, mask = setting(Cutout(rgb=rgb, alpha=alpha, confidence=1.0), size)
    return MadePhoto(jpeg=develop(picture, seed=sum(map(ord, photo))), mask=mask)


def _composed(picture: Picture, product: Cutout) -> tuple[U8, U8]:
    """Return a composed picture, and where the product is in it."""
    left, top, right, bottom = picture.box
    x0, y0, x1, y1 = product.box
    mask = np.zeros(picture.rgb.shape[:2], np.uint8)
    mask[top:bottom, left:right] = cv2.resize(
        product.alpha[y0:y1, x0:x1], (right - left, bottom - top), interpolation=cv2.INTER_AREA
    )
    return picture.rgb, mask


def main(folder: Path) -> None:
    """Write all photos and their masks."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in SETTINGS:
        made = photograph_in_setting(name)
        (folder / f"{name}.jpg").write_bytes(made.jpeg)
        Image.fromarray(made.mask).save(folder / f"{name}_mask.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
