r"""Exact algebra on mixed derivatives and on tables, and kinks made smooth.

.. math:: \partial_u \partial_v\, \ell \equiv 0 \iff \ell = a(u) + b(v)
"""

from __future__ import annotations

import sympy
from sympy import Abs, Dummy, Expr, Indexed, Symbol
from sympy.core.function import AppliedUndef

from avi_theory.spec import terms
from avi_theory.symbolic.errors import Stuck
from avi_theory.symbolic.instances import Generic, Instance
from avi_theory.symbolic.numbers import OutOfDomain, arithmetic_of
from avi_theory.symbolic.structure import Structure, opaque
from avi_theory.symbolic.worlds import MODES, Domains, World

POINTS = 5


def equal_corners(domains: Domains, instances: tuple[Instance, ...], u: Expr, v: Expr) -> bool:
    """Whether all corner differences over the categories vanish in exact arithmetic."""
    counts = [domains.categories(terms.name_of(a)) for a in (u, v)]
    if any(i.free for i in instances) or counts[0] * counts[1] > 36:
        return False
    whole = sympy.Add(*(i.expr for i in instances))
    table = [
        [_looked_up(domains.structure, whole.xreplace({u: sympy.Integer(a), v: sympy.Integer(b)}))
         for b in range(counts[1])]
        for a in range(counts[0])
    ]  # fmt: skip
    return all(
        sympy.expand(row[b] - row[0] - table[0][b] + table[0][0]) == 0
        for row in table[1:]
        for b in range(1, counts[1])
    )


def quadratic(instances: tuple[Instance, ...], u: Expr, v: Expr) -> Expr | None:
    r"""Sum of ∂²ℓ/∂u∂v over squares of linear forms, a number; None where a factor is not such.

    .. math:: \partial_u \partial_v\, k\,(a u + b v + \dots)^2 = 2kab

    Most densities are Normal, and reading the coefficients off is faster than any evaluation.
    """
    if u in v.free_symbols or v in u.free_symbols or len({i.free for i in instances}) != 1:
        return None
    whole: Expr = sympy.Integer(0)
    for instance in instances:
        for part in sympy.Add.make_args(instance.expr):
            if {u, v} <= part.free_symbols:
                coefficient = square(part, u, v)
                if coefficient is None:
                    return None
                whole += coefficient
    return whole


def square(part: Expr, u: Expr, v: Expr) -> Expr | None:
    """2kab of a term k (a u + b v + ...)²; None if it is not one, or not with numbers."""
    scale, power = part.as_coeff_Mul()
    if not (isinstance(power, sympy.Pow) and power.exp == 2 and scale.is_Rational):
        return None
    found = {}
    both = {u, v}  # a set compares hashes first, which is much faster than comparing references
    for term in sympy.Add.make_args(power.base):
        slope, atom = term.as_coeff_Mul()
        if atom in both and slope.is_Rational:
            found[atom] = slope
        elif term.free_symbols & both:
            return None
    return 2 * scale * found[u] * found[v] if len(found) == 2 else None


def decide_exactly(
    domains: Domains, instances: tuple[Instance, ...], u: Expr, v: Expr
) -> bool | None:
    """Exact algebra on the mixed derivative: True (zero), False (not zero), None (open)."""
    kinds = {domains.kind(terms.name_of(a)) for a in (u, v)}
    if kinds <= {"categories", "binary"}:
        return equal_corners(domains, instances, u, v) or None
    if kinds & {"categories", "binary", "label"}:
        return None
    whole: Expr = sympy.Integer(0)
    first, second = Dummy("u", real=True), Dummy("v", real=True)
    for instance in instances:
        expr = instance.expr
        vectors = (terms.vector, terms.total, terms.pick, terms.matvec, terms.mvn_log_density)
        if has_kink(expr) or expr.has(opaque, AppliedUndef, *vectors):
            return None
        plain = expr.xreplace({u: first, v: second})
        others = {a: Dummy(real=True) for a in plain.atoms(Indexed)}
        back = {d: a for a, d in others.items()}
        whole += _count(instance.free) * sympy.diff(plain.xreplace(others), first, second).xreplace(
            back
        )
    whole = sympy.expand(whole)
    if whole == 0:
        return True
    if sympy.count_ops(whole) < 400:
        try:
            if sympy.cancel(sympy.together(whole)) == 0:
                return True
        except (sympy.PolynomialError, NotImplementedError):
            return _dominated(domains, whole.xreplace({first: u, second: v}))
    return _dominated(domains, whole.xreplace({first: u, second: v}))


def _dominated(domains: Domains, derivative: Expr) -> bool | None:
    """False if the terms of a derivative, however small, do not cancel at some point."""
    parts = sympy.Add.make_args(derivative)
    for attempt in range(POINTS):
        world = World(domains, attempt, attempt % MODES, arithmetic_of(50))
        evaluate = world.evaluator({})
        try:
            values = [evaluate(p) for p in parts]
        except (OutOfDomain, Stuck):
            continue
        size = sum(abs(x) for x in values)
        if size > 0 and abs(sum(values)) > 1e-25 * size:
            return False
    return None


def _looked_up(structure: Structure, expr: Expr) -> Expr:
    """Array literals read at their numeric subscripts; logarithms opened up."""
    for _ in range(3):
        expr = expr.xreplace(
            {
                a: structure.looked_up(terms.name_of(a), list(a.indices))
                for a in expr.atoms(Indexed)
                if terms.name_of(a) in structure.tables
            }
        ).replace(
            lambda e: (
                isinstance(e, terms.pick)
                and isinstance(e.args[0], terms.vector)
                and e.args[1].is_Integer
            ),
            lambda e: e.args[0].args[int(e.args[1])],
        )
    return sympy.expand(sympy.expand_log(expr, force=True))


def has_kink(expr: Expr) -> bool:
    """Whether an expression holds a function with zero mixed derivative almost everywhere."""
    return bool(expr.has(Abs, terms.maximum, terms.minimum, terms.where_positive, sympy.Max,
                         sympy.Min, sympy.sign))  # fmt: skip


def smoothed(expr: Expr) -> Expr:
    """The expression with every kink rounded off: it depends on the same pairs."""

    def bowl(x: Expr) -> Expr:
        return sympy.sqrt(x**2 + 1)

    return (
        expr.replace(Abs, bowl)
        .replace(terms.maximum, lambda a, b: a + b + bowl(a - b))
        .replace(terms.minimum, lambda a, b: a + b - bowl(a - b))
        .replace(sympy.Max, lambda *a: bowl(sympy.Add(*(k * x for k, x in enumerate(a, 1)))))
        .replace(sympy.Min, lambda *a: bowl(sympy.Add(*(k * x for k, x in enumerate(a, 1)))))
        .replace(terms.where_positive, lambda c, a: a + bowl(c))
        .replace(sympy.sign, lambda x: x / bowl(x))
    )


def _count(free: tuple[Generic, ...]) -> Expr:
    """How many points the letters run over, as an expression; a symbol where a map decides."""
    count: Expr = sympy.Integer(1)
    for g in free:
        count *= Symbol(f"members of {g.facts}") if g.facts else g.high - g.low + 1
    return count
