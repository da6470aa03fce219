"""Calls inside expressions: the whitelisted functions, sums, and networks."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import sympy

from avi_theory.errors import nearest
from avi_theory.spec import terms
from avi_theory.spec.distributions import DISTRIBUTIONS
from avi_theory.spec.notation import arithmetic
from avi_theory.spec.notation.scope import FUNCTIONS
from avi_theory.spec.notation.shapes import BROKEN, Shape, Value, volume

if TYPE_CHECKING:
    from avi_theory.spec.notation.expressions import Reader

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


def read_call(reader: Reader, node: ast.Call) -> Value:
    """``f(a, b)``: a function, a sum or a network."""
    if not isinstance(node.func, ast.Name):
        return reader.problem(node, "Only a function's name can be applied.", "Write a*(b + c).")
    name = node.func.id
    if node.keywords or any(isinstance(a, ast.Starred) for a in node.args):
        return reader.problem(node, f"{name!r} takes plain arguments.", "Remove '=' and '*'.")
    if name in reader.scope.networks:
        return _network(reader, node, name)
    if name == "sum":
        return _sum(reader, node)
    arguments = [reader.value(a) for a in node.args]
    if name in reader.scope.broken or any(a.broken for a in arguments):
        return _unknown(reader, node, name) if name not in FUNCTIONS else BROKEN
    if name not in FUNCTIONS:
        return _unknown(reader, node, name)
    shape = reader.common_shape(node, arguments)
    if shape is None:
        return BROKEN
    if name in _PAIRWISE:
        if len(arguments) < 2:
            return reader.problem(node, f"{name}() takes two arguments or more.", f"{name}(a, b)")
        result = arguments[0].expr
        for a in arguments[1:]:
            result = arithmetic.apply(_PAIRWISE[name], result, a.expr)
        return Value(result, shape)
    if len(arguments) != 1:
        found = len(arguments)
        return reader.problem(node, f"{name}() takes one argument, but found {found}.")
    if name == "sqrt":
        return Value(arithmetic.power(arguments[0].expr, sympy.S.Half), shape)
    return Value(arithmetic.apply(_ELEMENTWISE[name], arguments[0].expr), shape)


def _unknown(reader: Reader, node: ast.Call, name: str) -> Value:
    scope = reader.scope
    reader.uses.add(name)
    if name in scope.broken:
        return BROKEN
    if name in DISTRIBUTIONS:
        hint = f"For example 'local z ~ {name}(…)'."
        return reader.problem(node, f"The distribution {name} stands only after '~'.", hint)
    if name in reader.letters or name in scope.kinds or name in scope.sizes:
        hint = f"Write a product as {name}*(…), an element as {name}[…]."
        return reader.problem(node, f"{name!r} is not a function.", hint)
    hint = nearest(name, [*FUNCTIONS, *scope.networks])
    return reader.problem(
        node, f"The function {name!r} is unknown.", hint or f"Known: {', '.join(FUNCTIONS)}."
    )


def _network(reader: Reader, node: ast.Call, name: str) -> Value:
    reader.uses.add(name)
    saved, reader.network_argument = reader.network_argument, True
    arguments = [reader.outside_sum(a) for a in node.args]
    reader.network_argument = saved
    if any(a.broken for a in arguments):
        return BROKEN
    network = reader.scope.networks[name]
    expected = sympy.Add(*network.inputs)
    if not arguments:
        return reader.problem(node, f"The network {name} needs its {expected} inputs.")
    sizes = [volume(a.shape) for a in arguments]
    known = [s for s in sizes if s is not None]
    difference = sympy.Add(*known) - expected
    if len(known) == len(sizes) and difference.is_Integer and difference != 0:
        return reader.problem(
            node,
            f"The network {name} takes {expected} numbers, but found {sympy.Add(*known)}.",
            "Several arguments are concatenated.",
        )
    shape: Shape = () if network.output == 1 else (network.output,)
    return Value(terms.network_call(name, *(a.expr for a in arguments)), shape)


def _sum(reader: Reader, node: ast.Call) -> Value:
    """``sum(z)``, ``sum(z[s,:])``: over index points; over coordinates of a vector."""
    if len(node.args) != 1:
        return reader.problem(node, f"sum() takes one argument, but found {len(node.args)}.")
    argument = node.args[0]
    saved, reader.summed = reader.summed, []
    value = reader.value(argument)
    ranges, reader.summed = reader.summed, saved
    if value.broken:
        return value
    if not ranges:
        if len(value.shape) != 1:
            hint = "For example sum(z) or sum(z[s,:])."
            return reader.problem(node, "There is nothing to sum over here.", hint)
        return Value(terms.total(value.expr))
    if value.shape and not isinstance(argument, ast.Name | ast.Subscript):
        hint = "Sum them one after the other."
        return reader.problem(node, "This sum mixes index points and coordinates.", hint)
    limits = [(r.letter, r.low, r.high) for r in reversed(ranges)]
    return Value(sympy.Sum(value.expr, *limits), value.shape)
