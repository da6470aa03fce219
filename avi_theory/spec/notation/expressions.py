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

from avi_theory.errors import nearest
from avi_theory.spec import terms
from avi_theory.spec.distributions import DISTRIBUTIONS
from avi_theory.spec.model import Axis, Range
from avi_theory.spec.notation import arithmetic
from avi_theory.spec.notation.arithmetic import TooLarge, Undefined
from avi_theory.spec.notation.intervals import compare
from avi_theory.spec.notation.scope import FUNCTIONS, Reference, Scope
from avi_theory.spec.notation.syntax import Code

Shape = tuple[Expr | None, ...]
MAX_NODES = 6000
MAX_NESTING = 60


@dataclass(frozen=True)
class Value:
    """A read expression.

    Attributes:
        expr: the sympy expression.
        shape: () of a scalar, (length,) of a vector, two lengths of a matrix; None if unknown.
        integer: whether it may stand in a subscript.
        partial: why it is not a scalar, in words, if subscripts are missing.
        broken: a problem inside was already reported.
    """

    expr: Expr
    shape: Shape = ()
    integer: bool = False
    partial: str = ""
    broken: bool = False


BROKEN = Value(Symbol("?"), broken=True)

_ELEMENTWISE: dict[str, type[sympy.Function]] = {
    "exp": sympy.exp,
    "log": sympy.log,
    "sin": sympy.sin,
    "cos": sympy.cos,
    "tanh": sympy.tanh,
    "sigmoid": terms.sigmoid,
    "softplus": terms.softplus,
    "abs": sympy.Abs,
}
_PAIRWISE: dict[str, type[sympy.Function]] = {"min": terms.minimum, "max": terms.maximum}
_NOT_OURS = {ast.FloorDiv: "//", ast.Mod: "%"}


@dataclass
class Reader:
    """Reads the expressions of one statement.

    Attributes:
        scope: what is declared; code: the expression with its places.
        letters: the bound letters and their ranges.
        uses: every name met; references: every indexed one, for the range checks.
    """

    scope: Scope
    code: Code
    letters: Mapping[str, Range]
    uses: set[str] = field(default_factory=set)
    references: list[Reference] = field(default_factory=list)
    _summed: list[Range] | None = None
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
                f"A subscript or range end must be a whole number, but found {_short(value.expr)}.",
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
            return self._coordinate(node, self._outside_sum(node.value), subscripts)
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
            return self.problem(node, _count_message(name, axes, len(nodes)))
        subscripts: list[Expr] = []
        lengths: list[Expr | None] = []
        substitution: dict[Symbol, Expr] = {}
        broken = False
        opened: list[Range] = []
        missing = [None] * (len(axes) - len(nodes) if self._summed is not None else 0)
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
        bound.update({r.letter: r for r in self._summed or ()})
        self.references.append(Reference(name, tuple(subscripts), bound, self.code.place(node)))
        row = list(subscripts)
        if not self._network_argument:
            while row and row[-1] is terms.ALL:
                row.pop()
        if name in scope.integers and not row:
            expr: Expr = terms.index_symbol(name)
        else:
            expr = terms.ref(name, *row)
        partial = _count_message(name, axes, len(subscripts)) if len(subscripts) < len(axes) else ""
        shape = (*lengths, dim) if dim is not None else tuple(lengths)
        result = Value(expr, shape, self._is_integer(name, bool(lengths)), partial)
        return self._coordinate(node, result, coordinate) if coordinate else result

    def _is_integer(self, name: str, row: bool) -> bool:
        if row:
            return False
        if name in self.scope.givens:
            return not _has_fractions(self.scope.givens[name].value)
        return self.scope.discrete.get(name, "") in ("binary", "categories")

    def _slice(
        self, node: ast.expr, axis: Axis, low: Expr, high: Expr, opened: list[Range]
    ) -> Expr:
        """``:`` is the whole axis, or inside ``sum`` the next bound letter."""
        if self._summed is None:
            return terms.ALL
        if len(opened) < len(self._summed):
            r = self._summed[len(opened)]
            if compare(r.low, low) or compare(r.high, high):
                self.problem(node, f"This sum runs over {r.low}:{r.high} and over {low}:{high}.")
        else:
            r = Range(self.scope.fresh_letter(axis.letter), low, high)
            self._summed.append(r)
        opened.append(r)
        return r.letter

    def _index_into(self, node: ast.expr, axis: Axis) -> Value:
        """A subscript; a given used as one is remembered as a map into the axis."""
        summed, self._summed = self._summed, None
        value = self.index(node)
        self._summed = summed
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
        shape = self._common_shape(node, [base, exponent])
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
        shape = self._common_shape(node, values)
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

    def _common_shape(self, node: ast.expr, values: list[Value]) -> Shape | None:
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

    def _outside_sum(self, node: ast.expr) -> Value:
        """Read with ``:`` meaning the whole axis."""
        summed, self._summed = self._summed, None
        value = self.value(node)
        self._summed = summed
        return value

    def _matrix_product(self, node: ast.BinOp) -> Value:
        a, b = self._outside_sum(node.left), self._outside_sum(node.right)
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
        entries = [self._outside_sum(e) for e in node.elts]
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

    # -- calls ---------------------------------------------------------------------------------

    _network_argument: bool = False

    def _call(self, node: ast.Call) -> Value:
        if not isinstance(node.func, ast.Name):
            return self.problem(node, "Only a function's name can be applied.", "Write a*(b + c).")
        name = node.func.id
        if node.keywords or any(isinstance(a, ast.Starred) for a in node.args):
            return self.problem(node, f"{name!r} takes plain arguments.", "Remove '=' and '*'.")
        if name in self.scope.networks:
            return self._network(node, name)
        if name == "sum":
            return self._sum(node)
        arguments = [self.value(a) for a in node.args]
        if name in self.scope.broken or any(a.broken for a in arguments):
            return self._unknown(node, name) if not self._callable(name) else BROKEN
        if not self._callable(name):
            return self._unknown(node, name)
        shape = self._common_shape(node, arguments)
        if shape is None:
            return BROKEN
        if name in _PAIRWISE:
            if len(arguments) < 2:
                return self.problem(node, f"{name}() takes two arguments or more.", f"{name}(a, b)")
            result = arguments[0].expr
            for a in arguments[1:]:
                result = arithmetic.apply(_PAIRWISE[name], result, a.expr)
            return Value(result, shape)
        if len(arguments) != 1:
            found = len(arguments)
            return self.problem(node, f"{name}() takes one argument, but found {found}.")
        if name == "sqrt":
            return Value(arithmetic.power(arguments[0].expr, sympy.S.Half), shape)
        return Value(arithmetic.apply(_ELEMENTWISE[name], arguments[0].expr), shape)

    def _callable(self, name: str) -> bool:
        return name in FUNCTIONS

    def _unknown(self, node: ast.Call, name: str) -> Value:
        scope = self.scope
        self.uses.add(name)
        if name in scope.broken:
            return BROKEN
        if name in DISTRIBUTIONS:
            hint = f"For example 'local z ~ {name}(…)'."
            return self.problem(node, f"The distribution {name} stands only after '~'.", hint)
        if name in self.letters or name in scope.kinds or name in scope.sizes:
            hint = f"Write a product as {name}*(…), an element as {name}[…]."
            return self.problem(node, f"{name!r} is not a function.", hint)
        hint = nearest(name, [*FUNCTIONS, *scope.networks])
        return self.problem(
            node, f"The function {name!r} is unknown.", hint or f"Known: {', '.join(FUNCTIONS)}."
        )

    def _network(self, node: ast.Call, name: str) -> Value:
        self.uses.add(name)
        saved, self._network_argument = self._network_argument, True
        arguments = [self._outside_sum(a) for a in node.args]
        self._network_argument = saved
        if any(a.broken for a in arguments):
            return BROKEN
        network = self.scope.networks[name]
        expected = sympy.Add(*network.inputs)
        if not arguments:
            return self.problem(node, f"The network {name} needs its {expected} inputs.")
        sizes = [_volume(a.shape) for a in arguments]
        known = [s for s in sizes if s is not None]
        difference = sympy.Add(*known) - expected
        if len(known) == len(sizes) and difference.is_Integer and difference != 0:
            return self.problem(
                node,
                f"The network {name} takes {expected} numbers, but found {sympy.Add(*known)}.",
                "Several arguments are concatenated.",
            )
        shape: Shape = () if network.output == 1 else (network.output,)
        return Value(terms.network_call(name, *(a.expr for a in arguments)), shape)

    def _sum(self, node: ast.Call) -> Value:
        """``sum(z)``, ``sum(z[s,:])``: over index points; over coordinates of a vector."""
        if len(node.args) != 1:
            return self.problem(node, f"sum() takes one argument, but found {len(node.args)}.")
        argument = node.args[0]
        saved, self._summed = self._summed, []
        value = self.value(argument)
        ranges, self._summed = self._summed, saved
        if value.broken:
            return value
        if not ranges:
            if len(value.shape) != 1:
                hint = "For example sum(z) or sum(z[s,:])."
                return self.problem(node, "There is nothing to sum over here.", hint)
            return Value(terms.total(value.expr))
        if value.shape and not isinstance(argument, ast.Name | ast.Subscript):
            hint = "Sum them one after the other."
            return self.problem(node, "This sum mixes index points and coordinates.", hint)
        limits = [(r.letter, r.low, r.high) for r in reversed(ranges)]
        return Value(sympy.Sum(value.expr, *limits), value.shape)


_NODES: dict[type, Callable[[Reader, Any], Value]] = {
    ast.Constant: Reader._constant,
    ast.Name: Reader._name,
    ast.Subscript: Reader._subscript,
    ast.BinOp: Reader._binary,
    ast.UnaryOp: Reader._unary,
    ast.List: Reader._list,
    ast.Call: Reader._call,
}


def same_shape(a: Shape, b: Shape) -> bool:
    """Whether two shapes may agree (only certain differences count)."""
    if len(a) != len(b):
        return False
    for x, y in zip(a, b, strict=True):
        if x is not None and y is not None:
            difference = x - y
            if difference.is_Integer and difference != 0:
                return False
    return True


def shown_shape(shape: Shape) -> str:
    """A shape in words."""
    if not shape:
        return "a number"
    sizes = " by ".join("?" if s is None else str(s) for s in shape)
    return f"a vector of length {sizes}" if len(shape) == 1 else f"a matrix of {sizes}"


def _volume(shape: Shape) -> Expr | None:
    if any(s is None for s in shape):
        return None
    return sympy.Mul(*[s for s in shape if s is not None])


def _has_fractions(value: object) -> bool:
    """Whether a given's value holds something that is certainly no whole number."""
    if isinstance(value, tuple):
        return any(_has_fractions(v) for v in value)
    return isinstance(value, Expr) and bool(value.is_Rational) and not value.is_Integer


def _count_message(name: str, axes: tuple[Axis, ...], found: int) -> str:
    shown = f"{name}[{','.join(a.letter or ':' for a in axes)}]" if axes else name
    count = f"{len(axes)} {'index' if len(axes) == 1 else 'indices'}" if axes else "no index"
    return f"{name!r} has {count} ({shown}), but found {found}."


def _short(expression: Expr) -> str:
    text = str(expression)
    return text if len(text) <= 40 else text[:37] + "..."
