"""The palette of an inspiration image, and rooms that take its colours."""

import cv2
import numpy as np

from tests.support import SAMPLES
from worker.imaging.cutout import cut_out
from worker.imaging.decode import Photo, decode
from worker.imaging.lifestyle import Scene, compose_lifestyle
from worker.imaging.palette import extract_palette
from worker.imaging.scene_choice import SceneFacts, plan_scene

BLUE_OVER_BROWN = np.zeros((200, 300, 3), np.uint8)
BLUE_OVER_BROWN[:130], BLUE_OVER_BROWN[130:] = (120, 140, 175), (120, 85, 55)


def mood(rgb: np.ndarray) -> object:
    return extract_palette(Photo(rgb=rgb, alpha=None, format="PNG"))


def test_the_largest_calm_colour_is_the_walls_and_the_next_the_floors() -> None:
    found = mood(BLUE_OVER_BROWN)
    assert found.wall[2] > 1.3 * found.wall[0] and found.floor[0] > 1.5 * found.floor[2]
    assert found == mood(BLUE_OVER_BROWN)


def test_the_light_comes_from_the_lighter_side_of_the_inspiration_image() -> None:
    side = np.repeat(np.linspace(40, 220, 120).astype(np.uint8)[None, :, None], 80, 0).repeat(3, 2)
    lights = [getattr(mood(rgb), "light") for rgb in (side, side[:, ::-1], BLUE_OVER_BROWN)]  # noqa: B009
    assert lights == [1, -1, 0]


def test_a_loud_or_extreme_picture_gives_colours_a_room_can_have() -> None:
    for colour in ((255, 0, 255), (0, 0, 0), (255, 255, 255)):
        found = mood(np.full((120, 120, 3), colour, np.uint8))
        for linear in (found.wall, found.floor):
            lab = cv2.cvtColor(np.array([[linear]], np.float32) ** (1 / 2.2), cv2.COLOR_RGB2LAB)[0, 0]
            assert 30 < lab[0] < 86 and np.hypot(lab[1], lab[2]) < 34


def test_rooms_take_the_palette_and_slots_still_differ() -> None:
    chair = cut_out(decode((SAMPLES / "chair-front.jpg").read_bytes(), max_pixels=10**8))

    def made(slot: int, palette: object) -> np.ndarray:
        facts = SceneFacts(name="chair", slot=slot, palette=palette)  # type: ignore[arg-type]
        scene = Scene(
            width=240,
            height=300,
            fill=0.6,
            slot=slot,
            seed=1,
            palette=palette,
            facts=facts,  # type: ignore[arg-type]
        )
        return compose_lifestyle(chair, scene).rgb.astype(float)

    rooms = [made(slot, mood(BLUE_OVER_BROWN)) for slot in (1, 2, 3, 4)]
    for slot, room in enumerate(rooms, 1):
        wall, floor = room[20:60, 20:60].mean((0, 1)), room[285:, 20:60].mean((0, 1))
        assert wall[2] > wall[0] + 8
        has_floor = plan_scene(chair, SceneFacts(name="chair", slot=slot)).chosen.surface
        assert (floor[0] > floor[2] + 8) == bool(has_floor) and (has_floor or slot > 2)
        assert np.abs(room - made(slot, None)).mean() > 4
    assert min(np.abs(a - b).mean() for n, a in enumerate(rooms) for b in rooms[n + 1 :]) > 4
