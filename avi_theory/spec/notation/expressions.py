"""From Python syntax to sympy: the whitelist of what an expression may hold, and what it means.

Every problem inside an expression is reported and replaced by `BROKEN`, so that one reading finds
them all.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import sympy
from sympy import Expr, Symbol

from avi_theory.spec import terms
from avi_theory.spec.distributions import DISTRIBUTIONS
from avi_theory.spec.model import Axis, Range
from avi_theory.spec.notation import arithmetic
from avi_theory.spec.notation.arithmetic import TooLarge, Undefined
from avi_theory.spec.notation.calls import read_call
from avi_theory.spec.notation.intervals import compare
from avi_theory.spec.notation.scope import FUNCTIONS, Reference, Scope
from avi_theory.spec.notation.shapes import (
    BROKEN,
    Shape,
    Value,
    count_message,
    has_fractions,
    same_shape,
    short,
    shown_shape,
)
from avi_theory.spec.notation.syntax import Code

MAX_NODES = 6000
MAX_NESTING = 60


_NOT_OURS = {ast.FloorDiv: "//", ast.Mod: "%"}


@dataclass
class Reader:
    """Reads the expressions of one statement.

    Attributes:
        scope: what is declared; code: the expression with its places.
        letters: the bound letters and their ranges.
        uses: every name met; references: every indexed one, for the range checks.
        summed: inside ``sum``, the letters its colons have bound; else None.
        network_argument: inside a network's argument, where a colon stays a colon.
    """

    scope: Scope
    code: Code
    letters: Mapping[str, Range]
    uses: set[str] = field(default_factory=set)
    references: list[Reference] = field(default_factory=list)
    summed: list[Range] | None = None
    network_argument: bool = False
    _nodes: int = 0
    _depth: int = 0

    def problem(self, node: ast.AST, message: str, hint: str = "") -> Value:
        """Report a problem at a node."""
        self.scope.problems.add(self.code.place(node), message, hint)
        return BROKEN

    def scalar(self, node: ast.expr | None = None) -> Value:
        """Read an expression that must be one number."""
        node = self.code.node if node is None else node
        value = self.value(node)
        if value.broken or not value.shape:
            return value
        if value.partial:
            return self.problem(node, value.partial)
        return self.problem(
            node, "Expected one number, but this is a vector.", "Pick a coordinate."
        )

    def index(self, node: ast.expr | None = None) -> Value:
        """Read an expression that must be a whole number: a subscript or the end of a range."""
        node = self.code.node if node is None else node
        value = self.scalar(node)
        if value.broken:
            return value
        if not value.integer:
            return self.problem(
                node,
                f"A subscript or range end must be a whole number, but found {short(value.expr)}.",
                "Use index letters, sizes, maps and categories.",
            )
        numbers = value.expr.atoms(sympy.Rational) - {sympy.S.NegativeOne}
        for number in numbers:
            if abs(number) > arithmetic.MAX_INTEGER:
                return self.problem(node, "An index this large means nothing.", "Use a size.")
        return value

    def value(self, node: ast.expr) -> Value:
        """Read any expression."""
        self._nodes += 1
        self._depth += 1
        try:
            if self._nodes > MAX_NODES or self._depth > MAX_NESTING:
                return self.problem(node, "This expression is too long or too deep.", "Split it.")
            reader = _NODES.get(type(node))
            if reader is None:
                return self.problem(
                    node, "This is not part of the notation.", "Use + - * / ** @ and functions."
                )
            return reader(self, node)
        except (TooLarge, Undefined) as error:
            return self.problem(node, str(error))
        except (RecursionError, OverflowError, MemoryError):
            return self.problem(node, "This expression is too large to mean anything.")
        finally:
            self._depth -= 1

    # -- atoms ---------------------------------------------------------------------------------

    def _constant(self, node: ast.Constant) -> Value:
        if isinstance(node.value, bool) or not isinstance(node.value, int | float):
            return self.problem(node, f"{node.value!r} is not a number.")
        number = arithmetic.literal(self.code.place(node).text)
        return Value(number, integer=bool(number.is_Integer))

    def _name(self, node: ast.Name) -> Value:
        name, scope = node.id, self.scope
        if name in self.letters:
            return Value(terms.index_symbol(name), integer=True)
        self.uses.add(name)
        if name in scope.broken:
            return BROKEN
        if name in scope.variables or name in scope.givens:
            return self._element(node, name, [])
        if name in scope.sizes:
            return Value(terms.index_symbol(name), integer=True)
        if name in scope.indices:
            hint = f"Put it on the left side, or add 'for {name} in …'."
            return self.problem(node, f"The index {name!r} is not bound in this statement.", hint)
        if name in scope.networks:
            return self.problem(node, f"{name!r} is a network.", f"Apply it: {name}(…).")
        if name in FUNCTIONS or name in DISTRIBUTIONS:
            return self.problem(node, f"{name!r} is a function, not a value.", f"Write {name}(…).")
        scope.undeclared(self.code.place(node), name, self.letters)
        return BROKEN

    # -- subscripts ----------------------------------------------------------------------------

    def _subscript(self, node: ast.Subscript) -> Value:
        inner = node.slice
        subscripts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
        if not isinstance(node.value, ast.Name):
            return self._coordinate(node, self.outside_sum(node.value), subscripts)
        name = node.value.id
        self.uses.add(name)
        scope = self.scope
        if name in scope.variables or name in scope.givens:
            return self._element(node, name, subscripts)
        for s in subscripts:
            if not isinstance(s, ast.Slice):
                self.index(s)
        if name in scope.broken:
            return BROKEN
        if name in self.letters or name in scope.sizes or name in scope.indices:
            return self.problem(node, f"{name!r} is a whole number and has no subscripts.")
        if name in scope.networks:
            return self.problem(node, f"{name!r} is a network.", f"Apply it: {name}(…).")
        scope.undeclared(self.code.place(node), name)
        return BROKEN

    def _element(self, node: ast.expr, name: str, nodes: list[ast.expr]) -> Value:
        """A variable or given with its subscripts, possibly fewer than its axes (a row)."""
        scope = self.scope
        axes, dim = scope.axes(name), scope.dim(name)
        coordinate: list[ast.expr] = []
        if len(nodes) == len(axes) + 1 and dim is not None:
            nodes, coordinate = nodes[:-1], nodes[-1:]
        if len(nodes) > len(axes):
            return self.problem(node, count_message(name, axes, len(nodes)))
        subscripts: list[Expr] = []
        lengths: list[Expr | None] = []
        substitution: dict[Symbol, Expr] = {}
        broken = False
        opened: list[Range] = []
        missing = [None] * (len(axes) - len(nodes) if self.summed is not None else 0)
        for axis, sub in zip(axes, [*nodes, *missing], strict=False):
            low, high = axis.low.xreplace(substitution), axis.high.xreplace(substitution)
            if sub is None or isinstance(sub, ast.Slice):
                if sub is not None and (sub.lower or sub.upper or sub.step):
                    self.problem(node, "A range inside a subscript is ':' alone.", "Use 'for'.")
                    broken = True
                    continue
                letter = self._slice(node, axis, low, high, opened)
                subscripts.append(letter)
                if letter is terms.ALL:
                    lengths.append(high - low + 1)
            else:
                value = self._index_into(sub, axis)
                broken = broken or value.broken
                subscripts.append(value.expr)
            if axis.letter:
                substitution[terms.index_symbol(axis.letter)] = subscripts[-1]
        if broken:
            return BROKEN
        for axis in axes[len(subscripts) :]:
            low, high = axis.low.xreplace(substitution), axis.high.xreplace(substitution)
            lengths.append(high - low + 1)
        return self._referenced(node, name, subscripts, lengths, coordinate)

    def _referenced(
        self,
        node: ast.expr,
        name: str,
        subscripts: list[Expr],
        lengths: list[Expr | None],
        coordinate: list[ast.expr],
    ) -> Value:
        scope = self.scope
        axes, dim = scope.axes(name), scope.dim(name)
        bound = {terms.index_symbol(k): r for k, r in self.letters.items()}
        bound.update({r.letter: r for r in self.summed or ()})
        self.references.append(Reference(name, tuple(subscripts), bound, self.code.place(node)))
        row = list(subscripts)
        if not self.network_argument:
            while row and row[-1] is terms.ALL:
                row.pop()
        if name in scope.integers and not row:
            expr: Expr = terms.index_symbol(name)
        else:
            expr = terms.ref(name, *row)
        partial = count_message(name, axes, len(subscripts)) if len(subscripts) < len(axes) else ""
        shape = (*lengths, dim) if dim is not None else tuple(lengths)
        result = Value(expr, shape, self._is_integer(name, bool(lengths)), partial)
        return self._coordinate(node, result, coordinate) if coordinate else result

    def _is_integer(self, name: str, row: bool) -> bool:
        if row:
            return False
        if name in self.scope.givens:
            return not has_fractions(self.scope.givens[name].value)
        return self.scope.discrete.get(name, "") in ("binary", "categories")

    def _slice(
        self, node: ast.expr, axis: Axis, low: Expr, high: Expr, opened: list[Range]
    ) -> Expr:
        """``:`` is the whole axis, or inside ``sum`` the next bound letter."""
        if self.summed is None:
            return terms.ALL
        if len(opened) < len(self.summed):
            r = self.summed[len(opened)]
            if compare(r.low, low) or compare(r.high, high):
                self.problem(node, f"This sum runs over {r.low}:{r.high} and over {low}:{high}.")
        else:
            r = Range(self.scope.fresh_letter(axis.letter), low, high)
            self.summed.append(r)
        opened.append(r)
        return r.letter

    def _index_into(self, node: ast.expr, axis: Axis) -> Value:
        """A subscript; a given used as one is remembered as a map into the axis."""
        summed, self.summed = self.summed, None
        value = self.index(node)
        self.summed = summed
        name = terms.name_of(value.expr) if isinstance(value.expr, sympy.Indexed) else ""
        if name in self.scope.givens and axis.letter in self.scope.indices:
            self.scope.pointing.setdefault(name, axis.letter)
        return value

    def _coordinate(self, node: ast.expr, vector: Value, subscripts: list[ast.expr]) -> Value:
        """``z[n][0]``: one coordinate, zero-based."""
        if vector.broken:
            return vector
        if len(vector.shape) != len(subscripts) or len(subscripts) != 1:
            found = "one number" if not vector.shape else f"{len(vector.shape)} dimensions"
            return self.problem(node, f"Found a coordinate of something with {found}.")
        k = self.index(subscripts[0])
        if k.broken:
            return k
        length = vector.shape[0]
        if compare(k.expr, sympy.Integer(0)) == -1 or (
            length is not None and compare(k.expr, length) in (0, 1) and k.expr.is_Integer
        ):
            hint = f"Coordinates are 0..{length - 1}." if length is not None else ""
            return self.problem(node, f"The coordinate {k.expr} is out of range.", hint)
        return Value(terms.pick(vector.expr, k.expr))

    # -- operations ----------------------------------------------------------------------------

    def _binary(self, node: ast.BinOp) -> Value:
        if isinstance(node.op, ast.Add | ast.Sub):
            return self._chain(node, (ast.Add, ast.Sub), arithmetic.plus)
        if isinstance(node.op, ast.Mult | ast.Div):
            return self._chain(node, (ast.Mult, ast.Div), arithmetic.times)
        if isinstance(node.op, ast.MatMult):
            return self._matrix_product(node)
        if not isinstance(node.op, ast.Pow):
            sign = _NOT_OURS.get(type(node.op), "this sign")
            return self.problem(node, f"{sign} is not part of the notation.", "Use + - * / ** @.")
        base, exponent = self.value(node.left), self.value(node.right)
        if base.broken or exponent.broken:
            return BROKEN
        shape = self.common_shape(node, [base, exponent])
        if shape is None:
            return BROKEN
        size = arithmetic.constant(exponent.expr, self.scope.numbers())
        if size is not None and abs(size) > arithmetic.MAX_EXPONENT:
            raise TooLarge(f"The exponent {size:.12g} is too large to mean anything.")
        whole = base.integer and exponent.expr.is_Integer and exponent.expr >= 0
        return Value(arithmetic.power(base.expr, exponent.expr), shape, bool(whole))

    def _chain(self, node: ast.BinOp, kinds: tuple[type, ...], join: Callable[..., Expr]) -> Value:
        """a + b - c … or a * b / c …, read as one."""
        parts: list[tuple[ast.expr, ast.operator | None]] = []
        left: ast.expr = node
        while isinstance(left, ast.BinOp) and isinstance(left.op, kinds):
            parts.append((left.right, left.op))
            left = left.left
        parts.append((left, None))
        parts.reverse()
        values = [self.value(p) for p, _ in parts]
        if any(v.broken for v in values):
            return BROKEN
        shape = self.common_shape(node, values)
        if shape is None:
            return BROKEN
        pieces: list[Expr] = []
        for (_, op), value in zip(parts, values, strict=True):
            if isinstance(op, ast.Sub):
                pieces.append(arithmetic.times(sympy.S.NegativeOne, value.expr))
            elif isinstance(op, ast.Div):
                pieces.append(arithmetic.divide(sympy.S.One, value.expr))
            else:
                pieces.append(value.expr)
        divided = any(isinstance(op, ast.Div) for _, op in parts)
        whole = all(v.integer for v in values) and not divided
        return Value(join(*pieces), shape, whole)

    def _unary(self, node: ast.UnaryOp) -> Value:
        if not isinstance(node.op, ast.USub | ast.UAdd):
            return self.problem(node, "This sign is not part of the notation.", "Use + and -.")
        value = self.value(node.operand)
        if value.broken or isinstance(node.op, ast.UAdd):
            return value
        return replace(value, expr=arithmetic.times(sympy.S.NegativeOne, value.expr))

    def common_shape(self, node: ast.expr, values: list[Value]) -> Shape | None:
        """The shape of an elementwise operation; a scalar fits everything."""
        shape: Shape = ()
        for value in values:
            if not value.shape:
                continue
            if shape and not same_shape(shape, value.shape):
                self.problem(
                    node,
                    f"Found {shown_shape(shape)} beside {shown_shape(value.shape)}.",
                    "Both sides need the same length.",
                )
                return None
            shape = shape or value.shape
        return shape

    def outside_sum(self, node: ast.expr) -> Value:
        """Read with ``:`` meaning the whole axis."""
        summed, self.summed = self.summed, None
        value = self.value(node)
        self.summed = summed
        return value

    def _matrix_product(self, node: ast.BinOp) -> Value:
        a, b = self.outside_sum(node.left), self.outside_sum(node.right)
        if a.broken or b.broken:
            return BROKEN
        if len(b.shape) != 1 or len(a.shape) not in (1, 2):
            return self.problem(
                node,
                f"'@' takes a matrix or vector and a vector, but found {shown_shape(a.shape)} "
                f"and {shown_shape(b.shape)}.",
            )
        if not same_shape(a.shape[-1:], b.shape):
            return self.problem(
                node, f"'@' joins lengths {a.shape[-1]} and {b.shape[0]}.", "They must be equal."
            )
        return Value(terms.matvec(a.expr, b.expr), a.shape[:-1])

    def _list(self, node: ast.List) -> Value:
        """A vector or matrix written out."""
        entries = [self.outside_sum(e) for e in node.elts]
        if any(e.broken for e in entries):
            return BROKEN
        if not entries:
            return self.problem(node, "An empty vector means nothing.", "Write its entries.")
        length = sympy.Integer(len(entries))
        first = entries[0].shape
        if any(len(e.shape) != len(first) or not same_shape(e.shape, first) for e in entries):
            return self.problem(node, "The rows of this matrix differ in length.")
        if len(first) > 1:
            return self.problem(node, "An array in an argument has at most two dimensions.")
        return Value(terms.vector(*(e.expr for e in entries)), (length, *first))


_NODES: dict[type, Callable[[Reader, Any], Value]] = {
    ast.Constant: Reader._constant,
    ast.Name: Reader._name,
    ast.Subscript: Reader._subscript,
    ast.BinOp: Reader._binary,
    ast.UnaryOp: Reader._unary,
    ast.List: Reader._list,
    ast.Call: read_call,
}
