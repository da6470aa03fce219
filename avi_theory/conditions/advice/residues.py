r"""One index written as residue classes, :math:`t = P(k-1) + c` with :math:`c = 1, \dots, P`.

A variable :math:`z_t` becomes :math:`P` variables :math:`z^{(c)}_k`; the density is the same.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace

from avi_theory.conditions.advice.lines import (
    Line,
    Unfit,
    fresh,
    lines_of,
    names_in,
    parsed,
    reference,
    subscripts,
    text_of,
)  # fmt: skip
from avi_theory.spec.model import Given, Model, Variable


@dataclass(frozen=True)
class Affine:
    """A subscript or an end: ``letter·n + size·N + constant``."""

    letter: int = 0
    size: int = 0
    constant: int = 0

    def __add__(self, other: Affine) -> Affine:
        return Affine(
            self.letter + other.letter, self.size + other.size, self.constant + other.constant
        )

    def times(self, factor: int) -> Affine:
        """A multiple."""
        return Affine(self.letter * factor, self.size * factor, self.constant * factor)


def split(model: Model, letter: str, period: int) -> tuple[str, dict[str, tuple[str, ...]]]:
    """The model with an index split into residue classes.

    Its size must be a multiple of the period: the new index counts the periods.

    Args:
        model: whose index to split.
        letter: of the index, which runs over ``1:N`` with N a size.
        period: the number of classes.

    Returns:
        The text, and for every split variable its new names by class.

    Raises:
        Unfit: a subscript on that index is more than the letter or the last index plus a number.
    """
    return _Splitter(model, letter, period).run()


class _Splitter:
    def __init__(self, model: Model, letter: str, period: int) -> None:
        index = model.indices.get(letter)
        if index is None or index.parents or index.range.low != 1 or not index.range.high.is_Symbol:
            raise Unfit(f"{letter} does not run from 1 to a size")
        self.letter, self.period = letter, period
        self.size = str(index.range.high)
        self.lines = lines_of(model.text)
        taken = names_in(self.lines)
        self.count = fresh(taken, "k", "l", "b", "r", "k_")
        self.periods = fresh(taken, self.count.upper())
        self.axis: dict[str, int] = {}
        owners: list[Variable | Given] = [*model.variables.values(), *model.givens.values()]
        for owner in owners:
            along = [k for k, a in enumerate(owner.axes) if a.letter == letter]
            if len(along) > 1 or (along and getattr(owner, "member_of", None)):
                raise Unfit(f"{owner.name} has several axes {letter}, or maps it")
            if along:
                self.axis[owner.name] = along[0]
        if any(g.member_of == letter for g in model.givens.values()):
            raise Unfit(f"a map points into {letter}")
        self.names = {
            v: tuple(fresh(taken, f"{v}_{c}") for c in range(1, period + 1)) for v in self.axis
        }

    def run(self) -> tuple[str, dict[str, tuple[str, ...]]]:
        return text_of(new for line in self.lines for new in self._line(line)), self.names

    def _line(self, line: Line) -> Iterator[Line]:
        if line.keyword == "network":
            yield line
            return
        if line.keyword == "index" and line.name == self.letter:
            ends = (parsed("1"), ast.Name(self.periods))
            yield Line("index", ast.Name(self.count), ranges=((self.count, *ends),))
            return
        bound = self._bound(line)
        if bound is None:
            yield line.mapped(_Renamed(self, "", 0).visit)
            return
        if line.over:
            raise Unfit("a joint prior")
        low, high = self._ends(line, bound)
        rest = tuple(r for r in line.ranges if r[0] != bound)
        for c in range(1, self.period + 1):
            first, last = self._periods(low, c, up=True), self._periods(high, c, up=False)
            if first[0] == last[0] and last[1] < first[1]:
                continue
            here = replace(line, ranges=rest).mapped(_Renamed(self, bound, c).visit)
            if first == last:
                yield here.mapped(_Put(self.count, self._written(first)).visit)
            elif line.keyword == "given" or (first, last) == ((0, 1), (1, 0)):
                yield here if line.keyword != "potential" else self._ranged(here, first, last)
            else:
                yield self._ranged(here, first, last)

    def _ranged(self, line: Line, first: tuple[int, int], last: tuple[int, int]) -> Line:
        new = (self.count, self._written(first), self._written(last))
        return replace(line, ranges=(new, *line.ranges))

    def _bound(self, line: Line) -> str | None:
        """The letter of a statement that runs along the index."""
        own = {x for x, _, _ in line.ranges} | {self.letter}
        found = {
            node.id
            for part in (line.target, line.body)
            if part is not None
            for ref in ast.walk(part)
            if isinstance(ref, ast.Subscript)
            and isinstance(ref.value, ast.Name)
            and ref.value.id in self.axis
            for node in ast.walk(subscripts(ref)[self.axis[ref.value.id]])
            if isinstance(node, ast.Name) and node.id in own
        }
        if len(found) > 1:
            raise Unfit("two letters along one index")
        return found.pop() if found else None

    def _ends(self, line: Line, bound: str) -> tuple[Affine, Affine]:
        for letter, low, high in line.ranges:
            if letter == bound:
                return self.affine(low, ""), self.affine(high, "")
        if bound != self.letter:
            raise Unfit(f"{bound} has no range")
        return Affine(constant=1), Affine(size=1)

    def _periods(self, end: Affine, residue: int, *, up: bool) -> tuple[int, int]:
        """The first or last period whose member is inside: multiples of the count, a number."""
        if end.letter or end.size not in (0, 1):
            raise Unfit("an end that is no number and no last index")
        step = end.constant - residue
        number = -(-step // self.period) if up else step // self.period
        return end.size, number + 1

    def _written(self, end: tuple[int, int]) -> ast.expr:
        return shifted(ast.Name(self.periods), end[1]) if end[0] else parsed(str(end[1]))

    def place(self, sub: ast.expr, bound: str, residue: int) -> tuple[int, ast.expr]:
        """The class and the period of a subscript along the index."""
        at = self.affine(sub, bound)
        if (at.letter, at.size) not in {(0, 0), (1, 0), (0, 1)}:
            raise Unfit("a subscript that stretches the index")
        step = at.constant - 1 + (residue if at.letter else 0)
        number = step // self.period
        if at.letter:
            period = shifted(ast.Name(self.count), number)
        elif at.size:
            period = shifted(ast.Name(self.periods), number + 1)
        else:
            period = parsed(str(number + 1))
        return step % self.period, period

    def affine(self, node: ast.expr, bound: str) -> Affine:
        """A subscript or an end as an affine expression.

        Raises:
            Unfit: it is none.
        """
        if isinstance(node, ast.Constant) and isinstance(node.value, int):
            return Affine(constant=node.value)
        if isinstance(node, ast.Name) and node.id == bound:
            return Affine(letter=1)
        if isinstance(node, ast.Name) and node.id == self.size:
            return Affine(size=1)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return self.affine(node.operand, bound).times(-1)
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
            sign = 1 if isinstance(node.op, ast.Add) else -1
            return self.affine(node.left, bound) + self.affine(node.right, bound).times(sign)
        raise Unfit("a subscript that is not affine")


def shifted(node: ast.expr, by: int) -> ast.expr:
    """An index and a number, as ``k-1``."""
    if by == 0:
        return node
    sign: ast.operator = ast.Add() if by > 0 else ast.Sub()
    return ast.BinOp(node, sign, ast.Constant(abs(by)))


class _Put(ast.NodeTransformer):
    """Puts an expression in place of a letter."""

    def __init__(self, letter: str, value: ast.expr) -> None:
        self.letter, self.value = letter, value

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.value if node.id == self.letter else node


class _Renamed(ast.NodeTransformer):
    """One statement at one residue class."""

    def __init__(self, splitter: _Splitter, bound: str, residue: int) -> None:
        self.splitter, self.bound, self.residue = splitter, bound, residue

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        if not isinstance(node.value, ast.Name) or node.value.id not in self.splitter.axis:
            return self.generic_visit(node)  # type: ignore[return-value]
        name, subs = node.value.id, list(subscripts(node))
        along = self.splitter.axis[name]
        residue, period = self.splitter.place(subs[along], self.bound, self.residue)
        rest = [self.visit(s) for s in subs]
        rest[along] = period
        return reference(self.splitter.names[name][residue], rest)

    def visit_Name(self, node: ast.Name) -> ast.expr:
        s = self.splitter
        if node.id in s.axis:
            raise Unfit(f"all of {node.id} at once")
        if node.id == self.bound:
            return parsed(f"{s.period}*({s.count}-1)+{self.residue}")
        if node.id == s.letter:
            raise Unfit(f"a free {s.letter}")
        return parsed(f"{s.period}*{s.periods}") if node.id == s.size else node
