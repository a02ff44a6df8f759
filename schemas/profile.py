"""The format of a model profile that an admin adds in plugin.json."""

from typing import Any

from marshmallow import Schema, ValidationError, validates_schema

from dam_connector.domain import name_pattern_syntax
from dam_connector.domain.model_profiles import MEASURES, MODEL_PROFILES, ModelLimit, ModelProfile
from schemas.common import StrictFloat, text_field

SOURCE = "plugin.json"
_BOUNDS = {"min": "minimum", "max": "maximum"}


def _bound(title: str, word: str, unit: str) -> StrictFloat:
    in_unit = f", {unit}" if unit.startswith("of ") else f", in {unit}" if unit else ""
    return StrictFloat(metadata={"description": f"{title[0].upper()}{title[1:]}: {word}{in_unit}."})


_Limits = Schema.from_dict(
    {
        f"{bound}_{name}": _bound(m.title, word, m.unit)
        for name, m in MEASURES.items()
        for bound, word in _BOUNDS.items()
    },
    name="LimitsSchema",
)


class ProfileSchema(_Limits):  # type: ignore[valid-type, misc]
    """Limits of models by measure. Limits that it lacks are taken from the profile that it is based on."""

    based_on = text_field("A built-in profile that provides the limits this one lacks.")
    naming = text_field("Pattern that file names must follow.")

    @validates_schema(skip_on_field_errors=True)
    def holds_together(self, data: dict[str, Any], **_: object) -> None:
        if "based_on" in data and data["based_on"] not in MODEL_PROFILES:
            raise ValidationError(f"not a built-in profile; known: {', '.join(MODEL_PROFILES)}", "based_on")
        for name in MEASURES:
            low, high = data.get(f"min_{name}"), data.get(f"max_{name}")
            if low is not None and high is not None and low > high:
                raise ValidationError(f"more than max_{name}", f"min_{name}")
        try:
            name_pattern_syntax.pattern_parts(data.get("naming", ""))
        except ValueError as error:
            raise ValidationError(str(error), "naming") from error


def build_profile(data: dict[str, Any]) -> ModelProfile:
    """Build a profile from loaded data."""
    base = MODEL_PROFILES.get(data.get("based_on", ""), ModelProfile(limits=()))
    own = tuple(
        ModelLimit(
            measure=name, at_least=data.get(f"min_{name}"), at_most=data.get(f"max_{name}"), source=SOURCE
        )
        for name in MEASURES
        if f"min_{name}" in data or f"max_{name}" in data
    )
    inherited = tuple(limit for limit in base.limits if limit.measure not in {o.measure for o in own})
    return ModelProfile(
        limits=inherited + own,
        naming=data.get("naming", base.naming),
        lower_case=base.lower_case and "naming" not in data,
    )
