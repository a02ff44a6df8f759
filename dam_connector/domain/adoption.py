"""Adoption: finished pictures and models that exist already become first versions of assets."""

from dataclasses import dataclass

from dam_connector.domain.photo_sources import PhotoFacts, PhotoPlace, PhotoSources, place_of
from dam_connector.domain.product import View

MODEL_VIEW = "model"  # `AdoptRule.view` of the model that a product's record names
ADOPTABLE_VIEWS = (*(view.value for view in View), MODEL_VIEW)
ADOPTED = "adopted"  # in provenance, the generator of an adopted version; the event in its history


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptRule:
    """Where the finished files of one deliverable are: in a DAM, in a shop, or in the records of products."""

    dam: str = ""  # the DAM connection; empty: they are in the records
    channel: str = ""  # or the shop that shows them, by its channel connection
    position: int = 1  # which of the shop's own pictures of the product it is
    view: str = ""  # which picture of the record it is, or `MODEL_VIEW`: the shop has it live already
    files: PhotoSources = PhotoSources()  # how the SKU of a file in the DAM is found
    approved_field: str = ""  # the DAM's field that says whether a file is approved; empty: its own state
    approved_values: tuple[str, ...] = ()  # values of that field that mean so

    @property
    def fields(self) -> tuple[str, ...]:
        """Return the fields of the DAM that are read."""
        return tuple(dict.fromkeys(filter(None, (*self.files.fields, self.approved_field))))

    def place_of(self, facts: PhotoFacts) -> PhotoPlace:
        """Return the product of a file; none where the DAM's field does not say that it is approved."""
        if self.approved_field:
            value = facts.fields.get(self.approved_field, "")
            if value.casefold() not in [each.casefold() for each in self.approved_values]:
                return PhotoPlace(problem=f"its field {self.approved_field} is {value or 'empty'!r}")
        return place_of(facts, self.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoptable:
    """A finished file that becomes the first version of an asset, or the reason why it does not."""

    sku: str
    deliverable: str
    where: str  # the DAM or the channel, or `record` for a picture in the product's record
    name: str  # of the file
    ref: str = ""  # the DAM's reference of it, or its address in the shop
    by: str = ""  # who approved it; empty: not known
    problem: str = ""  # why it is not adopted
    check: str = ""  # `waiting` for its check, `good` or `blocked` by it; empty: not checked
    blocks: tuple[str, ...] = ()  # what the checks found that blocks it

    @property
    def approver(self) -> str:
        """Return who counts as having decided."""
        return self.by or ("the shop" if self.where == "record" else f"somebody in {self.where}")

    @property
    def identity(self) -> tuple[str, str, str]:
        """Return what tells one file of an asset from another."""
        return self.where, self.ref, self.name
