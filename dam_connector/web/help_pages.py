"""The documentation as pages, for who has no copy of the repository: docs/*.md, as installed."""

import posixpath
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from flask import Blueprint, abort, render_template
from flask.typing import ResponseReturnValue
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from dam_connector.store.users import UserRole
from dam_connector.web.request_context import requires

bp = Blueprint("help_pages", __name__, url_prefix="/help")
# The wheel has the documents inside the package; a clone beside it.
_PACKAGE = Path(__file__).parent.parent
FOLDER = next((f for f in (_PACKAGE / "docs", _PACKAGE.parent / "docs") if f.is_dir()), _PACKAGE)
PLACES = ("", "connections")  # folders with documents for people who use the pages
FOR_DEVELOPERS = ("adding.md", "architecture.md", "licences.md")
CONNECTIONS_GROUP = "Connections"  # has the documents of the folder `connections` too
GROUPS = {
    "First steps": ("install.md", "bulk.md", "configuration.md"),
    "People's work": ("publishing.md", "checks.md", "issues.md", "photos.md"),
    CONNECTIONS_GROUP: ("providers.md", "sign-on.md", "api.md"),
    "Operations": ("operations.md", "scaling.md", "security.md", "reliability.md", "tools.md"),
    "How it works": ("imaging.md", "modeling.md", "benchmarks.md"),
}


@bp.get("")
@requires(UserRole.VIEWER)
def index() -> ResponseReturnValue:
    """List the documents in groups."""
    titles = {group: {name: _read(name)[0] for name in names} for group, names in grouped().items()}
    return render_template("help.html", groups=titles)


@bp.get("/<path:name>")
@requires(UserRole.VIEWER)
def document(name: str) -> ResponseReturnValue:
    """Show one document."""
    if name not in documents():
        abort(404)
    title, body = _read(name)
    return render_template("help.html", title=title, body=body)


@cache
def documents() -> tuple[str, ...]:
    """Return the names of the documents, e.g. `connections/directus.md`."""
    found = (path for place in PLACES for path in sorted((FOLDER / place).glob("*.md")))
    names = [path.relative_to(FOLDER).as_posix() for path in found]
    return tuple(name for name in names if name not in FOR_DEVELOPERS)


@cache
def grouped() -> dict[str, tuple[str, ...]]:
    """Return the names of the documents by group; one that no group names is among `How it works`."""
    named = {name for names in GROUPS.values() for name in names}
    rest = [name for name in documents() if name not in named]
    more = {
        CONNECTIONS_GROUP: tuple(name for name in rest if name.startswith("connections/")),
        "How it works": tuple(name for name in rest if "/" not in name),
    }
    return {
        group: (*(name for name in names if name in documents()), *more.get(group, ()))
        for group, names in GROUPS.items()
    }


@cache
def _read(name: str) -> tuple[str, Markup]:
    """Return the title and the HTML of a document."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse((FOLDER / name).read_text(encoding="utf-8"))
    for token, after in zip(tokens, [*tokens[1:], None], strict=True):
        if token.type == "heading_open" and after is not None:
            token.attrSet("id", _anchor(after.content))
        if token.type in ("table_open", "fence"):
            token.attrJoin("class", "list" if token.type == "table_open" else "code")
        if token.children:
            token.children = list(_inline(token.children, name))
    title = next((t.content for t in tokens if t.type == "inline"), name)
    html = str(parser.renderer.render(tokens, parser.options, {}))
    html = html.replace("<table", '<div class="scroll" tabindex="0"><table').replace(
        "</table>", "</table></div>"
    )
    return title, Markup(html.replace("<pre>", '<pre tabindex="0">'))  # noqa: S704 - the documents are ours


def _anchor(heading: str) -> str:
    """Return the anchor that GitHub gives a heading, since links in the documents use it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _inline(tokens: list[Token], name: str) -> Iterator[Token]:
    """Yield the tokens of a line, without pictures and without links that lead to no page."""
    shown: list[bool] = []  # of the open links
    for token in tokens:
        if token.type == "link_open":
            shown.append(_is_shown(str(token.attrGet("href")), name))
        if token.type == "link_close":
            if not shown.pop():
                continue
        elif token.type == "link_open" and not shown[-1]:
            continue
        if token.type != "image":
            yield token


def _is_shown(address: str, name: str) -> bool:
    path = address.partition("#")[0]
    if "://" in address or not path:
        return True
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), path)) in documents()
