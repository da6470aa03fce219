r"""Many data sets of the same kind: the whole data set becomes the unit.

.. math:: p(\theta) \prod_s p(z_{s} \mid \theta)\, p(x_{s} \mid z_{s}, \theta)
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import replace

from avi_theory.conditions.advice.lines import (
    Line,
    fresh,
    lines_of,
    names_in,
    parsed,
    reference,
    subscripts,
    text_of,
)  # fmt: skip
from avi_theory.spec.model import Model


def replicated(model: Model) -> tuple[str, str]:
    """The model with a new outer index on every local, observation and covariate.

    Globals, constants and sizes stay shared.

    Returns:
        The new index letter and the text.
    """
    lines = lines_of(model.text)
    taken = names_in(lines)
    letter = fresh(taken, "s", "u", "r", "s_")
    size = fresh(taken, letter.upper())
    spread = _Spread(letter, _axes(model, lines))
    head = Line("index", ast.Name(letter), ranges=((letter, parsed("1"), ast.Name(size)),))
    body = [spread.line(line, size) for line in lines]
    return letter, text_of([head, *body])


def _axes(model: Model, lines: tuple[Line, ...]) -> dict[str, int]:
    """The variables that every data set has its own of, and how many axes they have now."""
    sizes = {
        node.id
        for line in lines
        if line.keyword == "index"
        for _, *ends in line.ranges
        for end in ends
        for node in ast.walk(end)
        if isinstance(node, ast.Name)
    }
    own = {v.name: len(v.axes) for v in (*model.locals, *model.observed)}
    covariates = {
        g.name: len(g.axes)
        for g in model.givens.values()
        if g.axes and g.value is None and g.name not in sizes
    }
    return {**own, **covariates}


class _Spread(ast.NodeTransformer):
    """Puts the new subscript first in every reference to what each data set has its own of."""

    def __init__(self, letter: str, axes: Mapping[str, int]) -> None:
        self.letter = letter
        self.axes = axes

    def line(self, line: Line, size: str) -> Line:
        """A statement with the new subscript."""
        new = line.mapped(self.visit)
        if line.keyword == "potential":
            whole = (self.letter, parsed("1"), ast.Name(size))
            return replace(new, ranges=(whole, *new.ranges))
        return new

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        if isinstance(node.value, ast.Name) and node.value.id in self.axes:
            inner = (self.visit(s) for s in subscripts(node))
            first = () if not self.axes[node.value.id] else (ast.Name(self.letter),)
            if not first:  # a coordinate of a vector without an index
                row = reference(node.value.id, (ast.Name(self.letter),))
                return ast.Subscript(row, node.slice)
            return reference(node.value.id, (*first, *inner))
        return self.generic_visit(node)  # type: ignore[return-value]

    def visit_Call(self, node: ast.Call) -> ast.expr:
        return ast.Call(
            node.func,
            [self.visit(a) for a in node.args],
            [ast.keyword(k.arg, self.visit(k.value)) for k in node.keywords],
        )

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id not in self.axes:
            return node
        whole = [ast.Slice() for _ in range(self.axes[node.id])]
        return reference(node.id, (ast.Name(self.letter), *whole))
