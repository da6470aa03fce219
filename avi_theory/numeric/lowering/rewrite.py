"""Rewriting before expectations: transforms of Gaussians, signs of known numbers, logarithms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import sympy
from sympy import Expr, Symbol

from avi_theory.numeric.families import Family
from avi_theory.numeric.lowering.places import Place
from avi_theory.numeric.lowering.values import log_symbol
from avi_theory.spec import terms


def transform(family: Family, u: Expr) -> Expr:
    """The latent as a function of u: itself, exp(u), or low + (high − low) sigmoid(u)."""
    if family.chart == "exp":
        return sympy.exp(u)
    if family.chart == "logistic":
        width = sympy.Rational(family.high) - sympy.Rational(family.low)
        return sympy.Rational(family.low) + width * terms.sigmoid(u)
    return u


def log_slope(family: Family, u: Expr) -> Expr:
    """log dz/du of the transform, what it adds to the entropy of u."""
    if family.chart == "exp":
        return u
    if family.chart == "logistic":
        width = sympy.Rational(family.high) - sympy.Rational(family.low)
        return sympy.log(width) - terms.softplus(u) - terms.softplus(-u)
    return sympy.Integer(0)


def signed(places: Sequence[Place]) -> tuple[dict[Symbol, Symbol], list[Place]]:
    """Known placeholders renamed to symbols that know their sign, so that logarithms split."""
    renamed: dict[Symbol, Symbol] = {}
    found = []
    for p in places:
        if p.values is not None and p.values.size and np.all(p.values > 0):
            new = Symbol(p.symbol.name + "_p", positive=True)
            renamed[p.symbol] = new
            found.append(Place(new, p.name, None, p.values, p.rank, p.whole))
        else:
            found.append(p)
    return renamed, found


def simplify(e: Expr) -> Expr:
    """Split logarithms of products, roots and logistic functions; exact, never approximate."""
    return e.replace(
        lambda a: isinstance(a, sympy.log),
        lambda a: _log(sympy.factor_terms(a.args[0])),
    )


def _log(argument: Expr) -> Expr:
    """log of a product or power of positive parts as a sum; log sigmoid as −softplus."""
    if isinstance(argument, terms.sigmoid):
        return -terms.softplus(-argument.args[0])
    flipped = sympy.expand(1 - argument)
    if isinstance(flipped, terms.sigmoid):
        return -terms.softplus(flipped.args[0])
    if isinstance(argument, sympy.exp) and argument.args[0].is_real:
        return argument.args[0]
    if argument.is_Mul:
        positive = [a for a in argument.args if _positive(a)]
        rest = sympy.Mul(*(a for a in argument.args if a not in positive))
        parts = [_log(a) for a in positive]
        return sympy.Add(*parts) + (sympy.log(rest) if rest != 1 else 0)
    base, power = argument.as_base_exp()
    if power != 1 and _positive(base) and power.is_real:
        return power * _log(base)
    return sympy.log(argument)


def _positive(e: Expr) -> bool:
    if isinstance(e, terms.sigmoid):
        return True
    if e.is_Pow and _positive(e.base) and e.exp.is_real:
        return True
    return bool(e.is_positive)


def substituted(
    e: Expr, latents: Mapping[Symbol, Family], renamed: Mapping[Symbol, Symbol]
) -> Expr:
    """The expression in u and signed known symbols, logarithms split.

    One coordinate of a transformed vector is the transform of that coordinate.
    """
    e = e.xreplace(dict(renamed))
    for s, f in latents.items():
        if f.kind == "Dirichlet":
            e = in_logarithms(e, s)
    curved = {s: f for s, f in latents.items() if f.chart != "identity"}
    if not curved:
        return simplify(e)
    coordinates = {
        a: transform(curved[a.args[0]], a) for a in e.atoms(terms.pick) if a.args[0] in curved
    }
    names = {a: sympy.Dummy(positive=True) for a in coordinates}
    mapped = e.xreplace(names).subs({s: transform(f, s) for s, f in curved.items()})
    inside = mapped.xreplace({names[a]: z for a, z in coordinates.items()})
    return simplify(inside.replace(terms.where_positive, _supported))


def _supported(condition: Expr, value: Expr) -> Expr:
    """A support that the transform's values lie in by construction is no condition."""
    level, rest = sympy.expand(condition).as_independent(terms.sigmoid, as_Add=True)
    share = -rest / level if level != 0 else sympy.S.NaN
    if isinstance(share, terms.sigmoid) and level.is_positive:
        return value
    if level == 0 and all(_positive(a) for a in sympy.Mul.make_args(rest)):
        return value
    return terms.where_positive(condition, value)


def in_logarithms(e: Expr, s: Symbol) -> Expr:
    """log of a simplex point, whole or at one coordinate, as a symbol with its own mean."""
    e = e.xreplace({sympy.log(s): log_symbol(s)})

    def coordinate(a: Expr) -> bool:
        inner = a.args[0] if isinstance(a, sympy.log) else None
        return isinstance(inner, terms.pick) and inner.args[0] == s

    return e.replace(coordinate, lambda a: terms.pick(log_symbol(s), a.args[0].args[1]))
