"""What a row of an uploaded sheet asks for beyond the rules: kinds of pictures, their number and aspect
ratio.

A request narrows or changes what plugin.json says to make. It never adds a deliverable or a channel.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from dam_connector.domain.run import RunKind

if TYPE_CHECKING:  # the process that reads a sheet needs products and no rules
    from dam_connector.domain.rules import Deliverable


class RequestType(StrEnum):
    """The kinds of deliverables, as the `request_type` column names them."""

    STUDIO = "studio"
    LIFESTYLE = "lifestyle"
    MODEL = "model"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowRequest:
    """The request of one row. An empty field means that the rules decide."""

    types: tuple[str, ...] = ()  # of `RequestType`
    images: int | None = None  # how many slots each lifestyle deliverable has
    aspect: str = ""  # of lifestyle pictures, e.g. "4:5"; studio pictures keep what channels demand
    prompt: str = ""  # added to the prompts of providers; our own code reads the words of sets and colours
    formats: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()


def request_type_of(deliverable: "Deliverable") -> RequestType:
    """Return the request type that a deliverable belongs to."""
    if deliverable.kind is RunKind.MODEL:
        return RequestType.MODEL
    return RequestType.LIFESTYLE if deliverable.style == "lifestyle" else RequestType.STUDIO


def apply_request(deliverable: "Deliverable", request: RowRequest) -> "Deliverable | None":
    """Return the deliverable changed as a request asks, or None if the request does not ask for it."""
    request_type = request_type_of(deliverable)
    if request.types and request_type not in request.types:
        return None
    if request_type is RequestType.LIFESTYLE:
        deliverable = replace(
            deliverable,
            count=request.images or deliverable.count,
            aspect=request.aspect or deliverable.aspect,
        )
    formats = tuple(f for f in deliverable.formats if f in request.formats)
    channels = tuple(c for c in deliverable.channels if c in request.channels)
    return replace(
        deliverable,
        formats=formats or deliverable.formats,
        channels=channels if request.channels else deliverable.channels,
    )
