"""The notation: from a model text to the fields of a `Model`.  See `parse`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from avi_theory.errors import ModelError, Problem
from avi_theory.spec.notation.checks import check_everything
from avi_theory.spec.notation.declare import declare
from avi_theory.spec.notation.densities import Written, note_supports, write_densities
from avi_theory.spec.notation.places import Declared
from avi_theory.spec.notation.scope import Scope
from avi_theory.spec.notation.syntax import read
from avi_theory.spec.notation.tokens import Problems, Token, statements_of


def parse(text: str) -> dict[str, Any]:
    r"""Read a model text.

    Args:
        text: statements, one a line, as the notation page describes them.

    Returns:
        The fields of `Model` that the text determines: text, indices, sizes, givens, networks,
        variables, edge_values, densities, potentials.

    Raises:
        ModelError: with every problem of the text, each with its line, column and a hint.

    Example:
        >>> fields = parse("index n = 1:N\nlocal z[n] ~ Normal(0, 1)")
        >>> fields["sizes"], str(fields["variables"]["z"])
        (('N',), 'z[n]')
    """
    fields, _, problems = examine(text)
    if problems:
        raise ModelError(problems)
    return fields


def examine(text: str) -> tuple[dict[str, Any], dict[str, str], tuple[Problem, ...]]:
    """As `parse`, but problems are returned.

    Returns:
        The fields as far as they could be read, every declared name with its kind (``local``,
        ``given``, …, ``size``), and the problems.
    """
    problems = Problems()
    try:
        return _examined(text, problems)
    except (RecursionError, MemoryError, OverflowError):
        start = Token("name", "", 1, 1)
        problems.add(start, "This text is too large or too deep to mean anything.", "Split it.")
        return {}, {}, tuple(problems.found.values())


def _examined(
    text: str, problems: Problems
) -> tuple[dict[str, Any], dict[str, str], tuple[Problem, ...]]:
    raws = [read(s, problems) for s in statements_of(text, problems)]
    scope = Scope(problems)
    declared = declare(raws, scope)
    note_supports(raws, scope)
    written = write_densities(raws, declared, scope)
    check_everything(raws, declared, written, scope)
    kinds = {**dict.fromkeys(scope.sizes, "size"), **scope.kinds}
    return _fields(text, declared, written, scope), kinds, tuple(problems.found.values())


def _fields(text: str, declared: Declared, written: Written, scope: Scope) -> dict[str, Any]:
    givens = {
        n: replace(g, member_of=g.member_of or scope.pointing.get(n))
        for n, g in scope.givens.items()
    }
    variables = {
        n: replace(v, support=v.support or "real", categories=written.categories.get(n))
        for n, v in scope.variables.items()
    }
    return {
        "text": text,
        "indices": dict(scope.indices),
        "sizes": tuple(scope.sizes),
        "givens": givens,
        "networks": dict(scope.networks),
        "variables": variables,
        "edge_values": tuple(declared.edges),
        "densities": tuple(d for d, _ in written.densities),
        "potentials": tuple(written.potentials),
    }
