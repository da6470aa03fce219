"""A model text as statements that can be rewritten and written down again."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace

from avi_theory.spec.notation.syntax import Code, Item, Raw, read
from avi_theory.spec.notation.tokens import Problems, statements_of


class Unfit(Exception):
    """A text that a rewriting does not cover."""


@dataclass(frozen=True)
class Line:
    """One statement that declares one thing.

    Attributes:
        keyword: its first word.
        target: what it declares, a name with or without subscripts; None for a potential.
        relation: of a given or an index: ``=``, ``>``, ``in``, …, or "".
        body: the density, the potential, the value; None without one.
        ranges: letter, first and last index.
        over: the letters of a kernel.
        space: the dimension of a vector; None of a scalar.
        missing: whether cells may be empty.
        verbatim: a statement that is never rewritten (a network).
    """

    keyword: str
    target: ast.expr | None = None
    relation: str = ""
    body: ast.expr | None = None
    ranges: tuple[tuple[str, ast.expr, ast.expr], ...] = ()
    over: tuple[str, ...] = ()
    space: ast.expr | None = None
    missing: bool = False
    verbatim: str = ""

    @property
    def name(self) -> str:
        """The declared name; "" for a potential."""
        target = self.target.value if isinstance(self.target, ast.Subscript) else self.target
        return target.id if isinstance(target, ast.Name) else ""

    @property
    def subscripts(self) -> tuple[ast.expr, ...]:
        """Of what it declares."""
        return subscripts(self.target) if isinstance(self.target, ast.Subscript) else ()

    def mapped(self, change: Callable[[ast.expr], ast.expr]) -> Line:
        """The statement with every expression changed."""
        return replace(
            self,
            target=self.target and change(deepcopy(self.target)),
            body=self.body and change(deepcopy(self.body)),
            ranges=tuple(
                (x, change(deepcopy(low)), change(deepcopy(high))) for x, low, high in self.ranges
            ),
        )

    def __str__(self) -> str:
        if self.verbatim:
            return self.verbatim
        if self.keyword == "index":
            ((letter, low, high),) = self.ranges
            return f"index {letter} = {_tight(low)}:{_tight(high)}"
        parts = [self.keyword, *([code(self.target)] if self.target else [])]
        if self.space is not None:
            parts.append(f": R[{code(self.space)}]")
        sign = "~" if self.keyword in {"local", "global", "observed"} else self.relation
        parts += [sign] if sign and self.body is not None else []
        parts += [code(self.body)] if self.body is not None else []
        if self.over:
            parts.append("over " + ", ".join(self.over))
        if self.ranges:
            parts.append(
                "for " + ", ".join(f"{x} in {_tight(a)}:{_tight(b)}" for x, a, b in self.ranges)
            )
        return " ".join([*parts, *(["missing"] if self.missing else [])])


def code(node: ast.expr) -> str:
    """An expression as the notation writes it.

    Example:
        >>> code(parsed("phi * z[t - 1, j]"))
        'phi*z[t-1,j]'
    """
    if isinstance(node, ast.Subscript):
        inner = ",".join(map(_tight, subscripts(node)))
        return f"{code(node.value)}[{inner}]"
    if isinstance(node, ast.Slice):
        return ":"
    return ast.unparse(_Compact().visit(ast.parse(ast.unparse(node), mode="eval").body)).replace(
        " * ", "*").replace(" ** ", "**").replace(" / ", "/")  # fmt: skip


def _tight(node: ast.expr) -> str:
    return code(node).replace(" ", "")


class _Compact(ast.NodeTransformer):
    """References become names, so that `ast.unparse` leaves their subscripts alone."""

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        return ast.Name(code(node))


def parsed(text: str) -> ast.expr:
    """An expression of the notation as Python syntax."""
    return ast.parse(text, mode="eval").body


def subscripts(node: ast.Subscript) -> tuple[ast.expr, ...]:
    """The subscripts of a reference."""
    return tuple(node.slice.elts) if isinstance(node.slice, ast.Tuple) else (node.slice,)


def reference(name: str, subs: Iterable[ast.expr]) -> ast.expr:
    """A name at subscripts; without any the name alone."""
    found = list(subs)
    if not found:
        return ast.Name(name)
    return ast.Subscript(ast.Name(name), found[0] if len(found) == 1 else ast.Tuple(found))


def lines_of(text: str) -> tuple[Line, ...]:
    """The statements of a valid model text, one for each thing declared."""
    problems = Problems()
    return tuple(
        line
        for statement in statements_of(text, problems)
        for line in _lines(read(statement, problems))
    )


def _lines(raw: Raw) -> Iterator[Line]:
    ranges = tuple((r.letter.text, r.low.node, r.high.node) for r in raw.ranges)
    if raw.keyword == "network":
        yield Line("network", ast.Name(raw.name), verbatim=raw.statement.text)
    elif raw.keyword == "potential":
        yield Line("potential", body=_node(raw.body), ranges=ranges)
    elif raw.keyword == "index":
        yield Line("index", ast.Name(raw.name), ranges=ranges)
    elif raw.keyword == "given":
        for item in raw.items:
            yield _given(item)
    else:
        yield Line(
            raw.keyword, _target(raw.items[0]), "", _node(raw.call), ranges,
            tuple(t.text for t in raw.over), _node(raw.output), raw.missing,
        )  # fmt: skip


def _node(found: Code | None) -> ast.expr | None:
    return found.node if found is not None else None


def _target(item: Item) -> ast.expr:
    return reference(item.name.text, (s.node for s in item.subscripts or ()))


def _given(item: Item) -> Line:
    if item.member_of is not None:
        return Line("given", _target(item), "in", ast.Name(item.member_of.text))
    if item.comparison is not None:
        sign, bound = item.comparison
        return Line("given", _target(item), sign.text, bound.node)
    return Line("given", _target(item), "=" if item.value else "", _node(item.value))


def text_of(lines: Iterable[Line]) -> str:
    """The statements as a model text."""
    return "\n".join(map(str, lines))


def names_in(lines: Iterable[Line]) -> set[str]:
    """Every name that a text uses."""
    return {
        node.id
        for line in lines
        for part in (line.target, line.body, *(e for r in line.ranges for e in r[1:]))
        if part is not None
        for node in ast.walk(part)
        if isinstance(node, ast.Name)
    } | {x for line in lines for x, _, _ in line.ranges}


def without_unused(lines: Iterable[Line]) -> tuple[Line, ...]:
    """The statements without those givens that no other statement mentions."""
    kept = list(lines)
    while True:
        needed = [
            line for line in kept
            if line.keyword != "given" or line.name in names_in(x for x in kept if x is not line)
        ]  # fmt: skip
        if len(needed) == len(kept):
            return tuple(kept)
        kept = needed


def fresh(taken: set[str], *wanted: str) -> str:
    """The first of some names that is not taken, the last one lengthened if all are."""
    for name in wanted:
        if name not in taken:
            return name
    return fresh(taken, wanted[-1] + "_")


def listed(names: Iterable[str], last: str = "and") -> str:
    """Names in a sentence.

    Example:
        >>> listed(["a", "b", "c"])
        'a, b and c'
    """
    found = list(names)
    return found[0] if len(found) == 1 else f"{', '.join(found[:-1])} {last} {found[-1]}"
