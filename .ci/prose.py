"""Check the project's prose and names: `python .ci/prose.py [FILE ...]`; exit 1 when a limit is passed.

The limits, the words and the exceptions are data in prose.toml. Without arguments all tracked files are
checked and the shares are compared with their limits. With files, only their findings are listed.
"""

import argparse
import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
DATA = tomllib.loads((HERE / "prose.toml").read_text(encoding="utf-8"))
GENERATED = "dam_connector/store/migrations/versions/"  # Alembic wrote most of it
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
DOCUMENTED = (*FUNCTIONS, ast.ClassDef, ast.Module)


@dataclass
class Count:
    """The words of some texts, and how often each watched pattern occurs in them."""

    words: int = 0
    found: dict[str, int] = field(default_factory=dict)
    places: list[str] = field(default_factory=list)

    def add(self, text: str, patterns: dict[str, float], place: str) -> None:
        """Count one text; `place` is listed when a pattern occurs in it."""
        tokens = re.findall(r"[a-z]+", text.lower())
        self.words += len(tokens)
        for pattern in patterns:
            hits = sum(bool(re.fullmatch(pattern, token)) for token in tokens)
            self.found[pattern] = self.found.get(pattern, 0) + hits
            if hits:
                self.places.append(f"{place}: {pattern.split('|')[0]} x{hits}")

    def over(self, patterns: dict[str, float]) -> Iterator[str]:
        """Yield a line for each pattern that occurs more often per thousand words than allowed."""
        for pattern, most in patterns.items():
            share = 1000 * self.found.get(pattern, 0) / max(1, self.words)
            if share > most:
                yield f"{pattern}: {share:.1f} per thousand words, at most {most}"


def tracked(*patterns: str) -> list[Path]:
    """Return the tracked and new files that match, as paths relative to the root."""
    listed = ["git", "ls-files", "-co", "--exclude-standard", "--", *patterns]
    out = subprocess.run(listed, capture_output=True, text=True, check=True).stdout
    return [path for path in map(Path, out.splitlines()) if path.exists()]


def long_parts(path: Path, text: str, tree: ast.Module) -> Iterator[str]:
    """Yield the lines, functions and files that are too long."""
    limits = DATA["limits"]
    lines = text.splitlines()
    if len(lines) > limits["file"]:
        yield f"{path}: {len(lines)} lines, at most {limits['file']}"
    for number, line in enumerate(lines, 1):
        if len(line) > limits["line"]:
            yield f"{path}:{number}: {len(line)} characters, at most {limits['line']}"
    for node in ast.walk(tree):
        if (
            isinstance(node, FUNCTIONS)
            and node.end_lineno
            and node.end_lineno - node.lineno >= limits["function"]
        ):
            size = node.end_lineno - node.lineno + 1
            yield f"{path}:{node.lineno}: {node.name} has {size} lines, at most {limits['function']}"


def names_of(path: Path, tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield (line, name) for the module and for everything that it defines."""
    yield 1, path.parent.name if path.stem == "__init__" else path.stem
    for node in ast.walk(tree):
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr


def words_of(name: str) -> list[str]:
    """Split a name into its words, e.g. `RemoteStateOf` and `remote_state_of` alike."""
    return [part.lower() for part in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]


def foreign_words(path: Path, tree: ast.Module) -> Iterator[str]:
    """Yield the names that use a word which the glossary gives to no concept."""
    allowed, seen = set(DATA["exceptions"]["names"]), set()
    for line, name in names_of(path, tree):
        if name in allowed or f"{path}:{name}" in allowed or name in seen:
            continue
        seen.add(name)
        for word in words_of(name):
            if word in DATA["names"]:
                yield f"{path}:{line}: {name}: say {DATA['names'][word]} instead of {word!r}"


def check(files: list[Path]) -> tuple[list[str], Count, dict[str, list[str]], int]:
    """Check some Python files.

    Returns:
        The findings, the count of the docstrings' words, the wrong beginnings of functions' docstrings by
        pattern, and the number of functions with a docstring.
    """
    rules, found, count = DATA["docstrings"], [], Count()
    riddles: dict[str, list[str]] = {}
    functions = 0
    for path in files:
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        generated = str(path).startswith(GENERATED)
        if not generated:
            found.extend(long_parts(path, text, tree))
        if path.parts[0] not in rules["packages"] or generated:
            continue
        found.extend(foreign_words(path, tree))
        for node in ast.walk(tree):
            doc = ast.get_docstring(node) if isinstance(node, DOCUMENTED) else None
            if doc:
                place = f"{path}:{getattr(node, 'lineno', 1)}"
                count.add(doc, rules["per_thousand"], place)
                if isinstance(node, FUNCTIONS):
                    functions += 1
                    for pattern in rules["beginnings"]:
                        if re.match(rf"({pattern})\b", doc):
                            riddles.setdefault(pattern, []).append(
                                f"{place}: {node.name}: {doc.splitlines()[0][:80]}"
                            )
    return found, count, riddles, functions


def main() -> int:
    """Print what is over a limit; return 1 if anything is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path)
    chosen = parser.parse_args().files
    found, count, riddles, functions = check(chosen or tracked("*.py"))
    if chosen:
        print("\n".join([*found, *(line for lines in riddles.values() for line in lines), *count.places]))
        return int(bool(found or riddles))
    documents = Count()
    for path in tracked("README.md", "CHANGELOG.md", "docs/*.md"):
        documents.add(path.read_text(encoding="utf-8"), DATA["documents"]["per_thousand"], str(path))
    rules = DATA["docstrings"]
    for pattern, lines in riddles.items():
        if len(lines) > rules["beginnings"][pattern] * functions:
            found.extend(lines)
            found.append(f"{len(lines)} of {functions} docstrings of functions begin with {pattern}")
    found.extend(f"docstrings: {line}" for line in count.over(rules["per_thousand"]))
    found.extend(f"documents: {line}" for line in documents.over(DATA["documents"]["per_thousand"]))
    print(
        "\n".join(found)
        or f"prose: {functions} functions, {count.words + documents.words} words, nothing over a limit"
    )
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
