"""The cost of a query to Shopify, as its documentation calculates it before the query runs.

Source: shopify.dev/docs/apps/build/apis/graphql-admin/rate-limits. An object costs 1, a scalar 0, a
connection 2 and its `first` times the cost of a node. A query that costs more than 1,000 is refused.
"""

import re
from collections.abc import Iterator

MAX_COST = 1000
_TOKEN = re.compile(r"\.\.\.|[{}()]|[A-Za-z_][A-Za-z0-9_]*|[^\s{}()A-Za-z_.]+|\"[^\"]*\"")


def query_cost(query: str) -> int:
    """Return the cost of a query; 10 for a mutation."""
    if query.lstrip().startswith("mutation"):
        return 10
    tokens = iter(_TOKEN.findall(query[query.index("{") :]))
    next(tokens)
    return _selection(tokens)


def cost_error(query: str) -> dict[str, object] | None:
    """Return the answer to a query that is too expensive."""
    if (cost := query_cost(query)) <= MAX_COST:
        return None
    message = f"Query cost is {cost}, which exceeds the single query max cost limit ({MAX_COST})."
    code = {"code": "MAX_COST_EXCEEDED", "cost": cost, "maxCost": MAX_COST}
    return {"errors": [{"message": message, "extensions": code}]}


def _selection(tokens: Iterator[str]) -> int:
    """Return the cost of the fields up to the closing brace; `nodes` is counted by its connection."""
    total, first = 0, 0
    for token in tokens:
        if token == "}":
            break
        if token == "(":
            first = _first(tokens)
        elif token == "{":
            inner = _selection(tokens)
            total += 2 + first * inner if first else 1 + inner
            first = 0
        elif token != "...":
            first = 0  # a field without arguments so far
    return total


def _first(tokens: Iterator[str]) -> int:
    """Return the number after `first:` in arguments; 0 if there is none."""
    depth, found, is_next = 1, 0, False
    for token in tokens:
        depth += (token == "(") - (token == ")")
        if not depth:
            break
        if token == "first":
            is_next = True
        elif is_next and (number := re.search(r"\d+", token)):
            found, is_next = int(number.group()), False
    return found
