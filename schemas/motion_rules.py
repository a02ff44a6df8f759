"""Rules of a deliverable's `motion`: the options that a spin or a clip allows."""

from collections.abc import Iterator, Mapping
from typing import Any

from dam_connector.domain.file_names import VIDEO
from dam_connector.domain.rules import Motion

CLIP_FORMATS = (["webp"], ["webp", VIDEO])


def motion_contradictions(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the fields that contradict the motion of a rendition, each with the reason."""
    motion, formats = data.get("motion", Motion.STILL), data.get("formats", ["webp"])
    if motion == Motion.STILL:
        if VIDEO in formats:
            yield "formats", "mp4 is for `motion` clip"
        if "frames" in data:
            yield "frames", "this is for `motion` spin or clip"
        return
    if data.get("style") == "lifestyle":
        yield "motion", "a spin or clip has the style studio"
    if data.get("profiles"):
        yield "profiles", "profiles are for still pictures"
    if motion == Motion.CLIP and formats not in CLIP_FORMATS:
        yield "formats", "a clip is made as webp, and also as mp4 where that is named after it"
    elif motion == Motion.SPIN and VIDEO in formats:
        yield "formats", "a spin is made of pictures; mp4 is for `motion` clip"
    elif VIDEO in formats and data.get("background") == "transparent":
        yield "formats", "mp4 cannot be transparent; name a colour as `background`"
