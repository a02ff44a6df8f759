"""Request: what a row of a sheet asks for beyond the rules: which kinds of pictures, how many, in which proportions.

A request can only narrow or tailor what plugin.json says to make; it adds no deliverable and no channel.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from dam_connector.domain.rules import Deliverable
from dam_connector.domain.run import RunKind


class RequestType(StrEnum):
    STUDIO = "studio"
    LIFESTYLE = "lifestyle"
    MODEL = "model"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Empty fields ask for nothing: then the rules alone decide."""

    types: tuple[str, ...] = ()
    images: int | None = None  # of each lifestyle deliverable
    aspect: str = ""  # of lifestyle pictures; studio ones keep what channels want
    prompt: str = ""
    formats: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()


def type_of(deliverable: Deliverable) -> RequestType:
    """What people call a deliverable of this kind."""
    if deliverable.kind is RunKind.MODEL:
        return RequestType.MODEL
    return RequestType.LIFESTYLE if deliverable.style == "lifestyle" else RequestType.STUDIO


def tailored(deliverable: Deliverable, request: Request) -> Deliverable | None:
    """The deliverable as a request wants it; None when it does not."""
    kind = type_of(deliverable)
    if request.types and kind not in request.types:
        return None
    made = deliverable
    if kind is RequestType.LIFESTYLE:
        made = replace(made, count=request.images or made.count, aspect=request.aspect or made.aspect)
    kept = tuple(f for f in made.formats if f in request.formats)
    channels = tuple(c for c in made.channels if c in request.channels)
    return replace(
        made, formats=kept or made.formats, channels=channels if request.channels else made.channels
    )
