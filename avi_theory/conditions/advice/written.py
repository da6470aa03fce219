"""Sympy expressions of a model back in the notation, and what an expression refers to."""

from __future__ import annotations

from collections.abc import Iterable

import sympy
from sympy import Expr, Indexed, Rational, Symbol
from sympy.printing.str import StrPrinter

from avi_theory.conditions.advice.lines import Line, lines_of
from avi_theory.spec import terms
from avi_theory.spec.model import Model


class _Printer(StrPrinter):
    """Decimals as the text had them."""

    def _print_Rational(self, expr: Rational) -> str:
        rest = expr.q
        for factor in (2, 5):
            while rest % factor == 0:
                rest //= factor
        digits = max(sympy.multiplicity(2, expr.q), sympy.multiplicity(5, expr.q))
        if rest != 1 or digits == 0 or digits > 12:
            return str(super()._print_Rational(expr))
        return f"{sympy.N(expr, 20):.{digits}f}" if expr >= 0 else f"-{self._print(-expr)}"


def written(expr: Expr) -> str:
    """An expression in the notation.

    Example:
        >>> written(Rational(17, 20)), written(sympy.sqrt(Symbol("J")) * Rational(1, 3))
        ('0.85', 'sqrt(J)/3')
    """
    return str(_Printer().doprint(expr))


def atoms_of(model: Model, expr: Expr, *roles: str) -> list[Expr]:
    """The references of some roles in an expression, also inside subscripts and sums."""
    found: set[Expr] = set(expr.atoms(Indexed))
    labels = {a.base.label for a in found}
    found |= {s for s in expr.free_symbols - labels if isinstance(s, Symbol) and not s.is_integer}
    return sorted((a for a in found if role_of(model, a) in roles), key=sympy.default_sort_key)


def role_of(model: Model, atom: Expr) -> str:
    """``local``, ``observed``, ``global``, ``given``, or "" for a size or a letter."""
    name = terms.name_of(atom)
    if name in model.variables:
        return model.variables[name].role
    return "given" if name in model.givens else ""


def index_free(model: Model, expr: Expr) -> bool:
    """Whether an expression holds scalar globals, scalar givens, sizes and numbers only."""
    letters = set(model.indices)
    return (
        not expr.atoms(Indexed)
        and not atoms_of(model, expr, "local", "observed")
        and not any(str(s) in letters for s in expr.free_symbols)
    )


def declarations(model: Model, expressions: Iterable[Expr]) -> list[Line]:
    """The statements that declare what some expressions need, in their order."""
    wanted = {str(s) for e in expressions for s in e.free_symbols}
    lines = [
        line for line in lines_of(model.text)
        if line.keyword in {"given", "global"} and line.name in {*model.givens, *model.variables}
    ]  # fmt: skip
    values = {n: g.value for n, g in model.givens.items() if isinstance(g.value, Expr)}
    while True:
        more = {
            str(s)
            for e in (
                *(values[n] for n in wanted if n in values),
                *(a for d in model.densities if d.variable in wanted
                  and model.variables[d.variable].role == "global"
                  for a in (*d.arguments.values(), *d.subscripts)),
            )
            for s in sympy.sympify(e).free_symbols
        }  # fmt: skip
        if more <= wanted:
            return [line for line in lines if line.name in wanted]
        wanted |= more
