"""plugin.json: good rules are taken, every mistake is named with its place and a remedy."""

import json

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dam_connector.errors import ConfigError
from schemas.plugin import json_schema
from schemas.rules_loader import load_rules
from tests.support import ROOT, rules_json


def test_the_shipped_rules_are_good_and_fit_their_schema() -> None:
    text = (ROOT / "plugin.json").read_text()
    assert [d.name for d in load_rules(text).deliverables] == ["packshot", "cutout", "lifestyle", "model"]
    jsonschema.validate(json.loads(text), json_schema())


@pytest.mark.parametrize(
    ("change", "lines"),
    [
        ({"deliverabels": []}, ['/deliverabels: unknown key, did you mean "deliverables"?']),
        (
            {"checks": {"max_triangels": 1}},
            ['/checks/max_triangels: unknown key, did you mean "max_triangles"?'],
        ),
        (
            {"checks": {"severities": {"geometry.windin": "off"}}},
            ['/checks/severities/geometry.windin: no such issue code, did you mean "geometry.winding"?'],
        ),
        (
            {"deliverables": [{"name": "a", "kind": "rendition", "fil": 1}]},
            ['/deliverables/0/fil: unknown key, did you mean "fill"?'],
        ),
        (
            {"deliverables": [{"name": "a", "kind": "rendition", "formats": ["glb"]}]},
            ["/deliverables/0/formats/0: a rendition cannot be made as glb"],
        ),
        (
            {"deliverables": [{"name": "a", "kind": "rendition", "background": "transparent"}], "x": 1},
            ["/x: unknown key"],
        ),
        (
            {"deliverables": [{"name": "a", "kind": "rendition", "channels": ["shop"]}]},
            ["/deliverables/0/channels: there is no channel 'shop'"],
        ),
        (
            {"deliverables": [{"name": "a", "kind": "model", "generator": ["tripo"]}]},
            ["/deliverables/0/generator: there is no provider 'tripo'"],
        ),
        (
            {"deliverables": [{"name": "a", "kind": "rendition", "count": 2}]},
            ["/deliverables/0: its jpeg would have the same name as that of a slot 1"],
        ),
        (
            {
                "deliverables": [
                    {
                        "name": "a",
                        "kind": "rendition",
                        "profiles": ["amazon-main"],
                        "size_px": 800,
                        "fill": 0.7,
                        "background": "#eeeeee",
                    }
                ]
            },
            [
                "/deliverables/0/size_px: amazon-main demands at least 1000 px",
                "/deliverables/0/background: amazon-main demands #ffffff",
                "/deliverables/0/fill: amazon-main demands at least 0.85",
            ],
        ),
        (
            {
                "deliverables": [
                    {"name": "a", "kind": "rendition", "profiles": ["social-portrait"], "formats": ["webp"]}
                ]
            },
            [
                "/deliverables/0/formats: social-portrait accepts jpeg",
                "/deliverables/0/aspect: social-portrait demands 4:5",
            ],
        ),
        (
            {"deliverables": [{"name": "a", "kind": "model", "profiles": ["web"]}]},
            ["/deliverables/0/profiles/0: there is no profile 'web' of models; known: khronos-recommended"],
        ),
        (
            {
                "deliverables": [
                    {
                        "name": "a",
                        "kind": "rendition",
                        "profiles": ["web", "google-merchant"],
                        "size_px": 3000,
                        "fill": 0.95,
                    }
                ]
            },
            [
                "/deliverables/0/size_px: web demands at most 2560 px",
                "/deliverables/0/fill: google-merchant demands at most 0.9",
            ],
        ),
        (
            {
                "deliverables": [
                    {"name": "a", "kind": "rendition", "made_from": "b", "views": ["front"], "frames": 8},
                    {"name": "m", "kind": "model"},
                ]
            },
            [
                "/deliverables/0/views: a rendition of a model has no photo",
                "/deliverables/0/frames: this is for `motion` spin or clip",
            ],
        ),
        (
            {"deliverables": [{"name": "a", "kind": "rendition", "made_from": "b"}]},
            ["/deliverables/0/made_from: there is no model deliverable 'b'"],
        ),
        (
            {"deliverables": [{"name": "a", "kind": "rendition", "camera": "north", "motion": "spin"}]},
            ["/deliverables/0/camera: use one of hero, front"],
        ),
        (
            {"deliverables": [{"name": "a", "kind": "rendition", "motion": "spin"}]},
            ["/deliverables/0/motion: this is for renditions of a model"],
        ),
        (
            {
                "deliverables": [
                    {
                        "name": "a",
                        "kind": "rendition",
                        "made_from": "m",
                        "motion": "clip",
                        "formats": ["jpeg"],
                        "profiles": ["web"],
                    }
                ]
            },
            [
                "/deliverables/0/formats: a clip is made as webp",
                "/deliverables/0/profiles: profiles are for still pictures",
            ],
        ),
        *(
            (
                {"deliverables": [{"name": "a", "kind": "rendition", "made_from": "m", **changes}]},
                [f"/deliverables/0/formats: {problem}"],
            )
            for changes, problem in (
                ({"formats": ["webp", "mp4"]}, "mp4 is for `motion` clip"),
                ({"motion": "spin", "formats": ["webp", "mp4"]}, "a spin is made of pictures"),
                ({"motion": "clip", "formats": ["mp4"]}, "a clip is made as webp, and also as mp4"),
                (
                    {"motion": "clip", "formats": ["webp", "mp4"], "background": "transparent"},
                    "mp4 cannot be transparent",
                ),
            )
        ),
        (
            {
                "deliverables": [
                    {
                        "name": "a",
                        "kind": "rendition",
                        "made_from": "m",
                        "motion": "spin",
                        "style": "lifestyle",
                        "reflection": True,
                    }
                ]
            },
            [
                "/deliverables/0/motion: a spin or clip has the style studio",
                "/deliverables/0/reflection: a lifestyle picture has a room",
            ],
        ),
        (
            {"deliverables": [{"name": "a", "kind": "model", "made_from": "photo"}]},
            ["/deliverables/0/made_from: this is for renditions"],
        ),
        (
            {
                "deliverables": [
                    {"name": "m", "kind": "model", "colours": {"by": "color", "max_de2000": 0}},
                    {"name": "a", "kind": "model", "made_from": "m", "generator": ["local"]},
                    {"name": "p", "kind": "rendition", "colours": {}},
                    {"name": "b", "kind": "model", "budgets": {"nowhere": {"geometry": "plain"}}},
                    {"name": "c", "kind": "model", "budgets": {"viewer": {"textures": "ktx2"}}},
                ]
            },
            [
                '/deliverables/0/colours/by: use "parent" or "attributes.NAME"',
                "/deliverables/0/colours/max_de2000: Must be greater",
                "/deliverables/1/generator: a model of all colours has it from the model",
                "/deliverables/2/colours: this is for models",
                "/deliverables/3/budgets: nowhere is not one of this deliverable's channels",
                "/deliverables/4/budgets/viewer/textures: Must be one of: webp, plain",
            ],
        ),
        (
            {
                "deliverables": [
                    {"name": "m", "kind": "model"},
                    {"name": "a", "kind": "model", "made_from": "m"},
                ]
            },
            ["/deliverables/1/made_from: m has no `colours`, so there is nothing to join"],
        ),
        (
            {"deliverables": [{"name": "a", "kind": "rendition", "background": "#fff to #000"}]},
            ["/deliverables/0/background: use"],
        ),
        ({"naming": {"default": "{sku}_{format}"}}, ["/naming/default: lacks {version}"]),
        (
            {"naming": {"patterns": {"packshot": "{nmae}"}}},
            ["/naming/patterns/packshot: unknown field {nmae}"],
        ),
        ({"review": {"dam": "bynder"}}, ["/review/dam: there is no DAM 'bynder'"]),
        ({"products": {"required": ["colour"]}}, ["/products/required/0: not a product field"]),
        (
            {
                "connections": {
                    "pim": {"a": {"adapter": "standard", "secrets": ["hunter2"]}},
                    "dam": {"library": {"adapter": "library"}},
                }
            },
            ["/connections/pim/a/secrets: do not write a secret here"],
        ),
    ],
)
def test_every_mistake_in_the_rules_has_its_place_and_a_word_of_help(change: dict, lines: list[str]) -> None:
    with pytest.raises(ConfigError) as found:
        load_rules(json.dumps(rules_json(**change)))
    for line in lines:
        assert any(p.startswith(line) for p in found.value.problems), found.value.problems
    assert "hunter2" not in str(found.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "7", '{"name": 1}', "\x00"])
def test_what_is_no_rules_at_all_is_refused_clearly(text: str) -> None:
    with pytest.raises(ConfigError) as found:
        load_rules(text)
    assert all(p.startswith("/") for p in found.value.problems)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=8),
        lambda x: (
            st.lists(x, max_size=3)
            | st.dictionaries(st.sampled_from([*rules_json(), "adapter", "kind", "x"]), x, max_size=4)
        ),
        max_leaves=10,
    )
)
def test_no_json_breaks_the_rules_reader(data: object) -> None:
    with pytest.raises(ConfigError):
        load_rules(json.dumps(data))
