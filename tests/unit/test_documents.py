"""The documents: links lead somewhere, and docs/architecture.md names files and functions that exist."""

import re

import pytest

from tests.support import ROOT

DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text()
TOPS = ("", "dam_connector", "worker")


def anchors(text: str) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(document) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        if not link.startswith(("http://", "https://", "mailto:")) and (
            not target.exists() or (anchor and anchor not in anchors(target.read_text()))
        ):
            broken.append(link)
    assert broken == []


def test_the_flows_name_files_and_functions_that_exist() -> None:
    hops = re.findall(r"^\d+\. `([\w/.]+)`((?:,? (?:`\w[\w.]*`|then))*)", ARCHITECTURE, re.M)
    assert len(hops) > 90
    for path, names in hops:
        files = [ROOT / top / path for top in TOPS if (ROOT / top / path).exists()]
        assert files, path
        sources = files[0].rglob("*.py") if files[0].is_dir() else files[:1]
        code = "".join(source.read_text() for source in sources)
        for name in re.findall(r"`([\w.]+)`", names):
            assert re.search(rf"\b{name.rpartition('.')[2]}\b", code), f"{path}: {name}"


def test_the_number_of_hops_is_in_the_heading() -> None:
    for hops, body in re.findall(r"^### .*: (\d+) hops\n(.*?)(?=^##)", ARCHITECTURE, re.M | re.S):
        last = re.findall(r"^(?:\d+\. to )?(\d+)\. ", body, re.M)[-1]
        assert int(last) == int(hops), last


def test_the_layout_is_the_tree() -> None:
    tree = re.findall(r"^```\n(dam_connector/.*?)^```", ARCHITECTURE, re.M | re.S)[0]
    drawn = set(re.findall(r"\b(\w+(?:/|\.py))", tree))
    packages = {
        f"{p.name}/" for top in ("dam_connector", "worker") for p in (ROOT / top).iterdir() if p.is_dir()
    }
    assert packages - drawn <= {"__pycache__/", "samples/", "vendor/"}
    names = set(re.findall(r"^  (\w+(?:/|\.py))", tree, re.M))
    assert all(any((ROOT / top / name).exists() for top in TOPS) for name in names)


def defences() -> list[tuple[str, list[str]]]:
    """Return each attack in docs/security.md, with the tests that are named for it."""
    text = (ROOT / "docs/security.md").read_text()
    found = []
    for table in re.findall(r"^\| attack \| defence \| test \|\n\|[-|]+\n((?:\|.*\n)+)", text, re.M):
        for row in table.splitlines():
            attack, _, tests = (cell.strip() for cell in row.strip("|").split(" | "))
            found.append((attack, re.findall(r"`([^`]+)`", tests)))
    return found


def test_every_defence_names_tests_that_exist() -> None:
    assert len(defences()) > 35
    missing, path = [], ""
    for attack, tests in defences():
        for test in tests or ["no test"]:
            file, _, name = test.partition("::")
            path = file or path
            source = ROOT / path
            if not source.is_file() or (name and f"def {name}(" not in source.read_text()):
                missing.append(f"{attack}: {path}::{name}")
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_the_tests_that_documents_name_exist(document) -> None:
    for path, name in re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", document.read_text()):
        assert (ROOT / path).exists(), path
        assert not name or f"def {name}(" in (ROOT / path).read_text(), f"{path}::{name}"
