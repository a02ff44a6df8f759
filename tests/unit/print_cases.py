"""Products with print on white parts, drawn in code: the true mask, and parts that a cut-out may lose."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from worker.imaging.decode import Photo

U8 = NDArray[np.uint8]
Box = tuple[int, int, int, int]  # left, top, right, bottom
SIDE = 900
WORDS = ("Morning Oats", "HANDMADE SOAP", "Learn to Bake", "Net weight 250 g", "Brilliant Blue")


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintCase:
    """A photo of a printed product on white."""

    name: str
    photo: Photo
    truth: U8  # (h, w), 0 or 255
    eaten: U8  # the mask without a white part that has print on it
    letters: U8  # the mask of the letters on that part


def _packaging(words: str, number: int) -> PrintCase:
    """A white box with a printed picture below its name."""
    box, picture, text = (220, 120, 680, 780), (260, 400, 640, 740), (250, 180, 650, 340)
    image, canvas = _white()
    canvas.rectangle(box, fill=(253, 253, 253), outline=_faint(number), width=2)
    canvas.rectangle(picture, fill=((200, 90, 40), (60, 120, 70), (40, 80, 160))[number % 3])
    canvas.ellipse((360, 480, 540, 660), fill=(240, 210, 90))
    truth = _mask(box)
    return _case(f"packaging {number}", image, truth, _without(truth, box, picture), text, words)


def _cover(words: str, number: int) -> PrintCase:
    """A book whose upper third is white, with its title."""
    box, lower, text = (250, 100, 650, 800), (250, 340, 650, 800), (275, 140, 625, 310)
    image, canvas = _white()
    canvas.rectangle(box, fill=(253, 253, 253), outline=_faint(number), width=2)
    canvas.rectangle(lower, fill=((30, 60, 110), (120, 30, 50), (40, 40, 44))[number % 3])
    canvas.polygon([(300, 760), (450, 420), (600, 760)], fill=(230, 190, 70))
    truth = _mask(box)
    return _case(f"cover {number}", image, truth, _without(truth, box, lower), text, words)


def _label(words: str, number: int) -> PrintCase:
    """A coloured jar with a white label round it, which becomes a hole or a gap."""
    box, label, text = (260, 160, 640, 760), (290, 330, 610, 620), (305, 370, 595, 560)
    image, canvas = _white()
    canvas.rounded_rectangle(box, 50, fill=((90, 50, 30), (30, 90, 80), (150, 40, 60))[number % 3])
    canvas.rectangle(label, fill=(254, 254, 253))
    truth = _mask(box, radius=50)
    eaten = truth.copy()
    eaten[label[1] : label[3], label[0] : label[2]] = 0
    return _case(f"label {number}", image, truth, eaten, text, words)


def _screen(words: str, number: int) -> PrintCase:
    """A dark screen on a foot that shows a white page, which becomes a hole."""
    box, page, text = (120, 180, 780, 620), (150, 210, 750, 590), (190, 260, 710, 500)
    image, canvas = _white()
    canvas.rectangle(box, fill=(34, 34, 36))
    canvas.rectangle((400, 620, 500, 720), fill=(60, 60, 62))
    canvas.rectangle((310, 720, 590, 745), fill=(60, 60, 62))
    canvas.rectangle(page, fill=(255, 255, 255))
    truth = np.maximum.reduce([_mask(b) for b in (box, (400, 620, 500, 720), (310, 720, 590, 745))])
    eaten = truth.copy()
    eaten[page[1] : page[3], page[0] : page[2]] = 0
    return _case(f"screen {number}", image, truth, eaten, text, words)


def _white() -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("RGB", (SIDE, SIDE), (255, 255, 255))
    return image, ImageDraw.Draw(image)


def _faint(number: int) -> tuple[int, int, int] | None:
    """Return the colour of an outline, or None: every other white box has no visible edge at all."""
    return (240, 240, 238) if number % 2 == 0 else None


def _mask(box: Box, radius: int = 0) -> U8:
    picture = Image.new("L", (SIDE, SIDE), 0)
    ImageDraw.Draw(picture).rounded_rectangle(box, radius, fill=255)
    return np.asarray(picture, np.uint8)


def _without(truth: U8, box: Box, rest: Box) -> U8:
    """Return the mask with nothing of the box but the rest."""
    eaten = truth.copy()
    eaten[box[1] : box[3] + 1, box[0] : box[2] + 1] = 0
    eaten[rest[1] : rest[3] + 1, rest[0] : rest[2] + 1] = 255
    return eaten


def _case(name: str, image: Image.Image, truth: U8, eaten: U8, text: Box, words: str) -> PrintCase:
    """Return the case with the words set in two lines into the box of its text."""
    letters = Image.new("L", (SIDE, SIDE), 0)
    pen, size = ImageDraw.Draw(letters), 90
    lines = words.rsplit(" ", 1)
    while max(pen.textlength(line, ImageFont.load_default(size)) for line in lines) > text[2] - text[0]:
        size -= 2
    for row, line in enumerate(lines):
        pen.text(
            (text[0], text[1] + row * round(1.25 * size)), line, fill=255, font=ImageFont.load_default(size)
        )
    ink = np.asarray(letters, np.uint8)
    rgb = np.asarray(image, np.float32)
    share = ink[..., None] / 255
    rgb = rgb * (1 - share) + np.array([40, 36, 52]) * share
    noise = np.random.default_rng(len(name)).normal(0, 0.7, rgb.shape)
    smooth = cv2.GaussianBlur(rgb.astype(np.float32), (0, 0), 0.8) + noise
    photo = Photo(rgb=np.clip(smooth, 0, 255).astype(np.uint8), alpha=None, format="PNG")
    return PrintCase(name=name, photo=photo, truth=truth, eaten=eaten, letters=ink)


_DRAWINGS = {"packaging": _packaging, "cover": _cover, "label": _label, "screen": _screen}
# Packaging, covers, labels and screens, each with five texts.
NAMES = tuple(f"{kind} {number}" for number in range(len(WORDS)) for kind in _DRAWINGS)


def print_case(name: str) -> PrintCase:
    """Draw one of NAMES."""
    kind, number = name.split()
    return _DRAWINGS[kind](WORDS[int(number)], int(number))
