"""The bill of materials, the requirements with hashes and the licences are complete and used."""

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def sbom() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sbom", ROOT / ".ci" / "sbom.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_bill_of_materials_has_every_package_with_version_licence_and_hash(sbom: ModuleType) -> None:
    bill = json.loads(json.dumps(sbom.bill_of_materials()))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    components = {c["name"]: c for c in bill["components"]}
    assert {"flask", "sqlalchemy", "trimesh", "c2pa-python", "@google/model-viewer"} <= components.keys()
    assert "pytest" not in components
    for name, component in components.items():
        assert component["version"] and component["purl"].startswith("pkg:"), name
        assert component["licenses"][0]["license"]["name"] != "unknown", name
        assert component.get("hashes") or component["properties"], name
    assert sorted(bill["dependencies"][0]["dependsOn"]) == sorted(c["purl"] for c in bill["components"])


def test_the_bill_is_the_same_for_the_same_contents(sbom: ModuleType) -> None:
    assert sbom.bill_of_materials() == sbom.bill_of_materials()


def test_the_requirements_of_the_image_have_hashes_and_nothing_for_development(sbom: ModuleType) -> None:
    entries = re.findall(r"^(\S+)==.*?(?=^\S|\Z)", sbom.requirements(), re.MULTILINE | re.DOTALL)
    text = sbom.requirements()
    assert len(entries) > 60 and {"flask", "gunicorn"} <= set(entries) and "pytest" not in entries
    for entry in re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]:
        assert "--hash=sha256:" in entry, entry[:60]
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert "--require-hashes -r /tmp/install/requirements.txt" in dockerfile
    assert all(
        "--require-hashes" in i or "--no-index" in i for i in re.findall(r"pip install[^&]*", dockerfile)
    )


def test_the_document_names_the_licence_of_every_package(sbom: ModuleType) -> None:
    document = (ROOT / "docs" / "licences.md").read_text()
    missing = [line for line in sbom.licences().splitlines() if line not in document]
    assert missing == [], "python .ci/sbom.py FILE.md writes the table"
