"""Tests of docs/connections: each system that cannot be run here lists every request and its source."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from dam_connector.adapters import PORTS, adapter_names
from tests.support import ROOT

# Adapters that ran against the real system, or whose other side is our own or a plain folder.
PROVED = {
    *("csv", "folder", "library", "memory", "storage", "viewer", "webhook"),
    *("directus", "resourcespace", "vendure", "woocommerce"),
}
UNREACHABLE = sorted({name for port in PORTS for name in adapter_names(port)} - PROVED)
ADAPTERS = ROOT / "dam_connector/adapters"
GRAPHQL = {"saleor", "shopify"}
# A feed that Google fetches, records that a system sends, addresses that are a model's name alone.
WITHOUT_ADDRESSES = {"google_merchant", "standard", "fal"}
OURS = "\0/webhooks"  # where deliveries come in
NO_PATHS = re.compile(r"[\s:<>|[\]{}*]|^docs/|\.(md|py)$")
FIELD_WITH_ARGUMENTS = re.compile(r"\b([a-z]\w+)\s*\(")


def section(name: str) -> str:
    """Return what the page of a system says under *What remains unproved*."""
    _, mark, rest = (ROOT / f"docs/connections/{name}.md").read_text().partition("## What remains unproved\n")
    assert mark, f"docs/connections/{name}.md has no such section"
    return rest.partition("\n## ")[0]


def sources(name: str) -> list[Path]:
    """Return the modules of an adapter."""
    folder = ADAPTERS / name
    return sorted(folder.glob("*.py")) if folder.is_dir() else [ADAPTERS / f"{name}.py"]


def texts(path: Path) -> Iterator[list[str]]:
    """Yield the fixed parts of each text in a module that is no docstring."""
    tree = ast.parse(path.read_text())
    docstrings = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    parts = {id(v) for n in ast.walk(tree) if isinstance(n, ast.JoinedStr) for v in n.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield [
                str(v.value) if isinstance(v, ast.Constant) else "\0"  # the place of a value
                for v in node.values
            ]
        elif isinstance(node, ast.Constant) and id(node) not in docstrings | parts:
            yield [node.value] if isinstance(node.value, str) else []


def paths(name: str) -> Iterator[str]:
    """Yield the addresses that an adapter asks for, below its base URL, a NUL for each value in them."""
    for module in sources(name):
        for found in texts(module):
            text = "".join(found).partition("?")[0].rstrip("\0").rstrip("/")
            fixed = [part for part in text.split("\0") if re.search(r"[A-Za-z]{2}", part)]
            is_path = text.startswith("/") or (text.startswith("\0") and "/" in text[1:])
            if text != OURS and is_path and fixed and not NO_PATHS.search("".join(fixed)):
                yield text


def graphql_fields(name: str) -> Iterator[str]:
    """Yield the fields with arguments of an adapter's queries and mutations."""
    for module in sources(name):
        for found in texts(module):
            text = "".join(found)
            if re.match(r"\s*(query|mutation) ", text):
                _, _, body = text.partition("{")
                yield from FIELD_WITH_ARGUMENTS.findall(body)


@pytest.mark.parametrize("name", UNREACHABLE)
def test_the_page_of_what_cannot_be_run_here_lists_its_assumptions_with_their_sources(name: str) -> None:
    rows = [line for line in section(name).splitlines() if line.startswith("| ")][1:]
    cells = [row.strip("| ").split(" | ") for row in rows]
    assert rows and all(len(each) == 2 and all(map(str.strip, each)) for each in cells), name


@pytest.mark.parametrize("name", sorted(set(UNREACHABLE) - WITHOUT_ADDRESSES))
def test_every_address_that_an_adapter_asks_for_is_named_on_its_page(name: str) -> None:
    """A value in an address is a word in capitals there, e.g. `/api/v4/media/ID/`."""
    page, asked = section(name), set(paths(name))
    if name in GRAPHQL:
        fields = set(graphql_fields(name))
        assert len(fields) >= 5 and [field for field in fields if field not in page] == []
    else:
        assert asked
    unnamed = [
        path
        for path in asked
        if not re.search("[A-Za-z0-9_/.-]+".join(map(re.escape, path.lstrip("\0").split("\0"))), page)
    ]
    assert unnamed == []
