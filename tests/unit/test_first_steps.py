"""The first day: init, check-config, doctor and mistakes in plugin.json, as a newcomer meets them."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dam_connector.cli import main
from dam_connector.errors import ConfigError
from dam_connector.net_file import SHIPPED_NETS
from schemas.rules_loader import load_rules
from schemas.rules_notes import rules_notes
from tests.support import ENVIRON, MODEL, ROOT, rules_json
from worker.imaging.salient_net import SHIPPED


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, without any of the connector's variables."""
    monkeypatch.chdir(tmp_path)
    for name in ENVIRON:
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


def test_init_writes_what_an_installation_needs(folder: Path) -> None:
    ran = run("init")
    assert ran.exit_code == 0 and "dam-connector up" in ran.output
    rules = json.loads((folder / "plugin.json").read_text())
    assert rules["$schema"] == "plugin.schema.json" and (folder / "plugin.schema.json").is_file()
    secrets = folder / "data" / "secrets.env"
    assert "DAM_CONNECTOR_WEBHOOK_SECRET=whsec_" in secrets.read_text() and secrets.stat().st_mode & 0o77 == 0
    assert run("check-config").exit_code == 0 and run("doctor").exit_code == 0


def test_init_changes_no_file(folder: Path) -> None:
    (folder / "plugin.json").write_text("mine")
    assert "exists already, unchanged: plugin.json" in run("init").output
    assert (folder / "plugin.json").read_text() == "mine"


def test_doctor_before_the_first_start_fails_on_nothing_that_it_creates(folder: Path) -> None:
    ran = run("doctor")
    assert ran.exit_code == 0 and "database: not there yet" in ran.output


def test_a_byte_order_mark_is_accepted(folder: Path) -> None:
    (folder / "plugin.json").write_text("\ufeff" + json.dumps(rules_json()))
    assert run("check-config").output.splitlines()[0] == "plugin.json: good"


def test_a_net_whose_file_is_missing_is_said_before_anything_is_cut_out(folder: Path) -> None:
    (folder / "plugin.json").write_text(json.dumps(rules_json(imaging={"net": "isnet.onnx"})))
    ran, checked = run("check-config"), run("doctor")
    assert ran.exit_code == 0 and "note: /imaging/net: there is no file " in ran.output
    assert checked.exit_code == 1 and "cuts all products out without a net" in checked.output
    nets = folder / "data" / "nets"
    nets.mkdir(parents=True)
    (nets / "isnet.onnx").write_bytes(b"x")
    assert "/imaging/net" not in run("check-config").output + run("doctor").output


def test_the_nets_of_the_documents_are_shipped_or_said_to_be_put_there() -> None:
    assert {path.name for path in SHIPPED.glob("*.onnx")} == set(SHIPPED_NETS)
    text = (Path(__file__).parents[2] / "docs" / "imaging.md").read_text()
    assert set(re.findall(r'"net": "([^"]+)"', text)) <= set(SHIPPED_NETS)


def test_the_check_of_a_folder_without_rules_says_which_were_checked(folder: Path) -> None:
    ran = run("check-config")
    assert ran.exit_code == 0 and "note: there is no file plugin.json here" in ran.output


def test_a_key_that_a_provider_wants_unasked_is_noted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRIPO_API_KEY", raising=False)
    connections = {**rules_json()["connections"], "provider": {"tripo": {"adapter": "tripo"}}}
    (folder / "plugin.json").write_text(json.dumps(rules_json(connections=connections)))
    ran = run("check-config")
    assert ran.exit_code == 0 and "TRIPO_API_KEY" in ran.output.partition("note: ")[2]
    monkeypatch.setenv("TRIPO_API_KEY", "x")
    assert "TRIPO_API_KEY" not in run("check-config").output


def test_a_least_confidence_that_nothing_follows_is_remarked() -> None:
    def notes(*generator: str) -> str:
        connections = {**rules_json()["connections"], "provider": {"tripo": {"adapter": "tripo"}}}
        model = deliverable(
            name="model", kind="model", formats=["glb"], min_confidence=0.8, generator=list(generator)
        )
        return "\n".join(
            rules_notes(load_rules(json.dumps(rules_json(connections=connections, deliverables=[model]))))
        )

    assert "min_confidence: no generator follows local" in notes("local")
    assert "min_confidence" not in notes("local", "tripo")


def problems(**changes: object) -> str:
    with pytest.raises(ConfigError) as found:
        load_rules(json.dumps(rules_json(**changes)))
    return "\n".join(found.value.problems)


def deliverable(**changes: object) -> dict[str, object]:
    return {"name": "packshot", "kind": "rendition", "formats": ["jpeg"], "channels": ["viewer"], **changes}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"deliverables": [deliverable(formats=["jpg"])]},
            'it is "jpg", did you mean "jpeg"? (deliverable "packshot")',
        ),
        (
            {"deliverables": [deliverable(formats=["wepb"])]},
            'Must be one of: jpeg, webp, avif, png, mp4. it is "wepb", did you mean "webp"?',
        ),
        ({"deliverables": [deliverable(kind="picture")]}, 'did you mean "rendition"?'),
        ({"deliverables": [deliverable(size_px="big")]}, 'it is "big" (deliverable "packshot")'),
        ({"deliverables": [deliverable(channels=["shop"])]}, '(deliverable "packshot")'),
        (
            {"naming": {"patterns": {"packshott": "{sku}_V{version}"}}},
            '/naming/patterns/packshott: there is no deliverable of this name, did you mean "packshot"?',
        ),
        (
            {"deliverables": [{**MODEL, "max_triangles": 40000}], "checks": {"max_triangles": 30000}},
            "/deliverables/0/max_triangles: 40000 is more than /checks/max_triangles (30000)",
        ),
        (
            {"deliverables": [{**MODEL, "texture_px": 4096}], "checks": {"max_texture_px": 1024}},
            "/deliverables/0/texture_px: 4096 is more than /checks/max_texture_px (1024)",
        ),
    ],
)
def test_a_mistake_shows_its_value_its_place_and_a_near_choice(changes: dict, words: str) -> None:
    assert words in problems(**changes)


def test_rules_without_a_channel_are_good_with_a_note() -> None:
    connections = {**rules_json()["connections"], "channel": {}}
    rules = load_rules(
        json.dumps(rules_json(connections=connections, deliverables=[deliverable(channels=[])]))
    )
    assert "there is no channel" in rules_notes(rules)[0]
    rules = load_rules(json.dumps(rules_json(deliverables=[deliverable(channels=[])])))
    assert "no channel is named for packshot" in rules_notes(rules)[0]


def test_options_are_checked_without_the_secrets(folder: Path) -> None:
    connections = {
        **rules_json()["connections"],
        "provider": {"tripo": {"adapter": "tripo", "api_key": "env/NOT_SET", "concurrency": "many"}},
    }
    (folder / "plugin.json").write_text(json.dumps(rules_json(connections=connections)))
    ran = run("check-config")
    assert ran.exit_code == 1 and "/connections/provider/tripo" in ran.output and "concurrency" in ran.output


def test_variables_that_are_not_set_are_named_wherever_rules_refer_to_them(folder: Path) -> None:
    connections = {
        **rules_json()["connections"],
        "provider": {"tripo": {"adapter": "tripo", "api_key": "env/NOT_SET_1"}},
    }
    notify = {
        "targets": {
            "chat": {"kind": "slack", "url": "env/NOT_SET_2"},
            "hook": {"kind": "webhook", "url": "https://x.example/", "secret": "env/NOT_SET_3"},
        },
        "digest": {"smtp": "env/NOT_SET_4", "from": "a@x.example", "addresses": {}},
    }
    sign_on = {
        "issuer": "https://id.example",
        "client_id": "c",
        "client_secret": "env/NOT_SET_5",
        "roles": {"admin": {"groups": ["a"]}},
    }
    text = rules_json(connections=connections, notify=notify, sign_on=sign_on)
    (folder / "plugin.json").write_text(json.dumps(text))
    ran, doctor = run("check-config"), run("doctor")
    assert ran.exit_code == 0 and doctor.exit_code == 1
    for place, number in (
        ("connections/provider/tripo/api_key", 1),
        ("notify/targets/chat/url", 2),
        ("notify/targets/hook/secret", 3),
        ("notify/digest/smtp", 4),
        ("sign_on/client_secret", 5),
    ):
        assert f"note: /{place}: the environment variable NOT_SET_{number} is not set" in ran.output
        assert f"the environment variable NOT_SET_{number} is not set" in doctor.output
    assert "/connections/pim/main/secrets/0: the environment variable HOOK_SECRET" in ran.output
    assert "DAM_CONNECTOR" not in ran.output  # the first start makes these


def test_people_of_a_stage_who_cannot_decide_are_named(folder: Path) -> None:
    assert run("init").exit_code == 0
    rules = json.loads((folder / "plugin.json").read_text())
    people = ["ann", "bob", "cy"]
    rules["review"] = {**rules.get("review", {}), "stages": {"*": [{"name": "brand", "people": people}]}}
    (folder / "plugin.json").write_text(json.dumps(rules))
    assert "there is no user" not in run("check-config").output  # there is no database yet
    for name, role in (("ann", "reviewer"), ("bob", "viewer")):
        assert run("user", "add", name, "--role", role, "--no-password").exit_code == 0
    for output in (run("check-config").output, run("doctor").output):
        assert "/review/stages/*/0/people/2: there is no user 'cy'; known: ann, bob" in output
        assert "people/1: 'bob' is a viewer, who may not decide" in output and "people/0" not in output


@pytest.mark.parametrize("word", ["no", "false", 0, "off", None])
def test_only_true_and_false_are_booleans(word: object) -> None:
    sign_on = {"issuer": "https://id.example", "client_id": "c", "roles": {"admin": {"groups": ["a"]}}}
    for changes, place in (
        ({"sign_on": {**sign_on, "passwords": word}}, "/sign_on/passwords"),
        ({"deliverables": [deliverable(shadow=word)]}, "/deliverables/0/shadow"),
        ({"reconcile": {"mend": word}}, "/reconcile/mend"),
    ):
        assert place in problems(**changes)


@pytest.mark.parametrize("number", ["3", True, "3 %", None])
def test_only_numbers_are_numbers(number: object) -> None:
    for changes, place in (
        ({"checks": {"dimensions": {"tolerance_pct": number}}}, "/checks/dimensions/tolerance_pct"),
        ({"imaging": {"min_probability": number}}, "/imaging/min_probability"),
        ({"deliverables": [deliverable(fill=number)]}, "/deliverables/0/fill"),
        ({"deliverables": [deliverable(count=number)]}, "/deliverables/0/count"),
    ):
        assert place in problems(**changes)


def notes(**changes: object) -> str:
    return "\n".join(rules_notes(load_rules(json.dumps(rules_json(**changes)))))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"deliverables": [deliverable(categories="lamps")]}, 'write a list, e.g. ["lamps"]'),
        ({"deliverables": [deliverable(categories=[])]}, "/categories: name at least one, or leave it out"),
        ({"deliverables": [deliverable(categories=["*"])]}, "for all of them leave the list out"),
        ({"deliverables": [deliverable(categories=[" "])]}, "/categories/0: name a category"),
        ({"deliverables": [deliverable(when={"local": {"categories": []}})]}, "name at least one"),
        ({"review": {"owners": {"*": "ann"}}}, "/review/owners/*: name a category"),
        ({"review": {"owners": {"lamps": " "}}}, "/review/owners/lamps: must not be empty"),
        ({"name": ""}, "/name: must not be empty"),
        ({"checks": {"max_model_bytes": "5 MB"}}, "without quotes and unit"),
        ({"checks": {"max_triangles": None}}, "/checks/max_triangles: write a value, or leave the key out"),
    ],
)
def test_what_can_only_be_a_mistake_is_refused(changes: dict, words: str) -> None:
    assert words in problems(**changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"deliverables": [deliverable(channels=["viewer", "viewer"])]},
            "0/channels: 'viewer' is given twice",
        ),
        ({"deliverables": [deliverable(categories=["Lamps", "lamps"])]}, "'lamps' is given twice"),
        ({"deliverables": [deliverable(sizes=[400, 400])]}, "0/sizes: 400 is given twice"),
        (
            {"deliverables": [deliverable(size_px=800, sizes=[400, 800])]},
            "0/sizes: 800 is not made: the picture itself has 800 px",
        ),
        ({"deliverables": [deliverable(categories=["lamps, sofas"])]}, "write several as several"),
        ({"deliverables": [deliverable(categories=["all"])]}, "'all': this is one category of this name"),
        (
            {"deliverables": [deliverable(max_triangles=900)]},
            "0/max_triangles: it has no effect on a rendition",
        ),
        ({"deliverables": [{**MODEL, "fill": 0.5}]}, "0/fill: it has no effect on a model"),
        ({"deliverables": [deliverable(prompt="x")]}, "0/prompt: it has no effect: the generator local"),
        ({"review": {"stages": {"all": [{"name": "a"}]}}}, "/review/stages/all: this is one category"),
        ({"review": {"reasons": ["a", "b", "a"]}}, "/review/reasons: 'a' is given twice"),
        (
            {
                "deliverables": [
                    {**MODEL, "categories": ["sofas"]},
                    deliverable(made_from="model", categories=["lamps"]),
                ]
            },
            "1/categories: nothing is made for lamps: model is not made for them",
        ),
        (
            {
                "review": {"owners": {"lamps": "anne"}},
                "notify": {
                    "digest": {"smtp": "env/X", "from": "a@x.example", "addresses": {"ann": "a@x.example"}}
                },
            },
            "addresses/ann: it owns no category; owners are anne\n/review/owners: anne has no address",
        ),
    ],
)
def test_what_may_be_meant_otherwise_is_noted(changes: dict, words: str) -> None:
    assert words in notes(**changes)


def test_the_shipped_rules_and_those_of_the_tests_have_no_notes() -> None:
    shipped = load_rules((ROOT / "plugin.json").read_text())
    assert rules_notes(shipped) == [] and notes() == ""
