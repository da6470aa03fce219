"""A model as mathematics: its statements in LaTeX, its graph as lines of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sympy
from sympy import Expr
from sympy.core.function import AppliedUndef
from sympy.printing.latex import LatexPrinter

from avi_theory.spec import terms
from avi_theory.spec.model import Density, Potential, Range

if TYPE_CHECKING:
    from avi_theory.spec.model import Model


class _Printer(LatexPrinter):
    """LaTeX of the heads that sympy does not know."""

    def _print_Indexed(self, expr: sympy.Indexed) -> str:
        inner = ",".join(self._print(i) for i in expr.indices)
        return f"{self._print(sympy.Symbol(str(expr.base.label)))}_{{{inner}}}"

    def _print_pick(self, expr: Expr) -> str:
        vector, k = expr.args
        return rf"\left({self._print(vector)}\right)_{{{self._print(k)}}}"

    def _print_vector(self, expr: Expr) -> str:
        return rf"\left({', '.join(self._print(a) for a in expr.args)}\right)"

    def _print_matvec(self, expr: Expr) -> str:
        a, v = expr.args
        return f"{self._print(a)} \\, {self._print(v)}"


def expression_latex(expression: Expr) -> str:
    """One expression in LaTeX."""
    return str(_Printer({"mul_symbol": r" \, "}).doprint(expression))


def _ranges(ranges: tuple[Range, ...]) -> str:
    shown = [
        rf"{expression_latex(r.letter)} = {expression_latex(r.low)}, \dots, "
        f"{expression_latex(r.high)}"
        for r in ranges
    ]
    return rf" & {'; '.join(shown)}" if shown else ""


def _density(density: Density) -> str:
    arguments = ", ".join(
        expression_latex(e) if name not in ("logit", "log_rate")
        else rf"\mathrm{{{name.replace('_', ' ')}}} = {expression_latex(e)}"
        for name, e in density.arguments.items()
    )  # fmt: skip
    target = expression_latex(density.target)
    if density.over:
        first, second = density.over
        target = rf"{target}_{{\cdot}}"
        arguments += rf" \;\text{{over }} {first}, {second}"
    name = rf"\mathrm{{{density.distribution}}}"
    return rf"{target} &\sim {name}\left({arguments}\right){_ranges(density.ranges)}"


def _potential(potential: Potential) -> str:
    left = r"\log p &\mathrel{+}="
    return rf"{left} {expression_latex(potential.expression)}{_ranges(potential.ranges)}"


def model_latex(model: Model) -> str:
    r"""The model's statements as an aligned block.

    .. math:: z_n \sim \mathrm{Normal}(\mu, \tau), \quad n = 1, \dots, N

    Example:
        >>> from avi_theory.spec.model import Model
        >>> print(model_latex(Model("local mu ~ Normal(0, 5)")).splitlines()[1])
        \mu &\sim \mathrm{Normal}\left(0, 5\right)
    """
    lines = [_density(d) for d in model.densities] + [_potential(p) for p in model.potentials]
    body = " \\\\\n".join(lines)
    return f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}"


def model_graph(model: Model) -> tuple[str, ...]:
    r"""The directed graph as lines ``parents → child``, in the order of the statements.

    Example:
        >>> from avi_theory.spec.model import Model
        >>> m = Model("index n = 1:N\nlocal z[n] ~ Normal(0, 1)\nobserved x[n] ~ Normal(z[n], 1)")
        >>> model_graph(m)
        ('→ z[n]', 'z[n] → x[n]')
    """
    lines: list[str] = []
    for density in model.densities:
        parents = sorted({p for e in density.arguments.values() for p in _parents(model, e)})
        child = str(density.target) if not density.over else f"{density.target}[:]"
        lines.append(f"{', '.join(parents)} → {_plain(child)}".strip())
    for potential in model.potentials:
        members = _parents(model, potential.expression)
        lines.append(f"{' — '.join(sorted(members))} (potential)")
    return tuple(lines)


def _parents(model: Model, expression: Expr) -> set[str]:
    found: set[str] = set()
    pending = [expression]
    while pending:
        for reference in model.references_in(pending.pop()):
            found.add(_plain(str(reference)))
            pending += list(terms.subscripts_of(reference))
    return found | {f"network {type(c).__name__}" for c in expression.atoms(AppliedUndef)}


def _plain(text: str) -> str:
    return text.replace(" ", "")
