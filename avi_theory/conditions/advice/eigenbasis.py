r"""A Gaussian family seen through noise of one scale: the eigenvectors of its prior covariance.

.. math:: z \sim N(m, U \Lambda U'),\ x = c z + N(0, \sigma^2 I) \;\Rightarrow\;
    w = U'z,\ \hat x = U'x:\quad w_k \sim N(\hat m_k, \lambda_k),\ \hat x_k \sim N(c w_k, \sigma^2)

U is known before any data.  docs/theory.md.
"""

from __future__ import annotations

from collections.abc import Iterator

import sympy
from sympy import Expr

from avi_theory.conditions.advice.lines import Unfit, fresh, lines_of, names_in
from avi_theory.conditions.advice.suggestion import Suggestion
from avi_theory.conditions.advice.written import atoms_of, declarations, index_free, written
from avi_theory.spec import terms
from avi_theory.spec.model import Density, Model
from avi_theory.symbolic.analysis import Analysis


def eigenbasis(analysis: Analysis) -> Iterator[Suggestion]:
    """One family with a known joint Gaussian prior and one observation of each member."""
    tied = [v.name for v in analysis.locals.values() if v.closes == "no"]
    try:
        if len(tied) == 1:
            yield _rotated(analysis.model, tied[0])
    except Unfit:
        return


def _rotated(model: Model, name: str) -> Suggestion:
    variable = model.variables[name]
    holding = [d for d in model.densities if d.variable != name and _holds(model, d, name)]
    if len(variable.axes) != 1 or variable.dim is not None or len(holding) != 1:
        raise Unfit(name)
    if any(_inside(model, p.expression, name) for p in model.potentials):
        raise Unfit("a potential")
    for density in (d for d in model.densities if d.variable == name):
        _known_prior(model, density, name)
    (seen,) = holding
    factor, sd, rest = _likelihood(model, seen, name)
    taken = names_in(lines_of(model.text))
    index, new, data = (fresh(taken, *x) for x in (("k", "l", "k_"), ("w", "e", "w_"),
                                                   (f"{seen.variable}_rotated",)))  # fmt: skip
    mean, scale = fresh(taken, "m", "mean_w"), fresh(taken, "scale")
    point = terms.ref(new, terms.index_symbol(index))
    axis = variable.axes[0]
    lines = [
        f"index {index} = 1:{written(sympy.expand(axis.high - axis.low + 1))}",
        *map(str, declarations(model, (factor, sd))),
        f"given {mean}[{index}]",
        f"given {scale}[{index}] > 0",
        f"local {new}[{index}] ~ Normal({mean}[{index}], {scale}[{index}])",
        f"observed {data}[{index}] ~ Normal({written(factor * point)}, {written(sd)})",
    ]
    plain = str(seen.target).replace(" ", "")
    known = written(rest).replace(" ", "")
    shown = seen.variable if rest == 0 else f"({plain} - ({known}))"
    sentence = (
        f"Change coordinates: with U the eigenvectors of the prior covariance of {name}, known "
        f"before any data, {new} = U'{name} and {data} = U'{shown} fall apart into pairs "
        f"{new}[{index}] ~ Normal({mean}[{index}], {scale}[{index}]), {data}[{index}] ~ "
        f"Normal({written(factor * point)}, {written(sd)}): one function of {data}[{index}], "
        f"{mean}[{index}] and the prior scale {scale}[{index}] serves every {index}."
    )
    return Suggestion(sentence, "\n".join(lines), ("inputs",), (index,), model.values)


def _inside(model: Model, expr: Expr, name: str) -> bool:
    return any(terms.name_of(a) == name for a in atoms_of(model, sympy.sympify(expr), "local"))


def _holds(model: Model, density: Density, name: str) -> bool:
    return any(_inside(model, e, name) for e in density.arguments.values())


def _known_prior(model: Model, density: Density, name: str) -> None:
    """Raise `Unfit` unless a density is Gaussian, linear in its own family, and known."""
    arguments = {k: sympy.sympify(v) for k, v in density.arguments.items()}
    if density.distribution not in {"Normal", "MultivariateNormal"}:
        raise Unfit(name)
    for key, expr in arguments.items():
        if atoms_of(model, expr, "global", "observed"):
            raise Unfit(name)
        found = atoms_of(model, expr, "local")
        if not found:
            continue
        if key != "mean" or density.distribution != "Normal":
            raise Unfit(name)
        if any(terms.name_of(a) != name for a in found) or expr.atoms(sympy.Sum):
            raise Unfit(name)
        if any(sympy.expand(sympy.diff(expr, a)).has(*found) for a in found):
            raise Unfit(name)


def _likelihood(model: Model, density: Density, name: str) -> tuple[Expr, Expr, Expr]:
    """Slope, scale and known rest of ``x[t] ~ Normal(c·z[t] + rest, sd)``."""
    variable, axis = model.variables[density.variable], model.variables[name].axes[0]
    letters = [r.letter for r in density.ranges]
    if (
        variable.role != "observed" or variable.missing or variable.dim is not None
        or density.distribution != "Normal" or len(letters) != 1
        or density.subscripts != tuple(letters)
        or (density.ranges[0].low, density.ranges[0].high) != (axis.low, axis.high)
        or (variable.axes[0].low, variable.axes[0].high) != (axis.low, axis.high)
    ):  # fmt: skip
        raise Unfit(density.variable)
    mean, sd = (sympy.sympify(density.arguments[k]) for k in ("mean", "sd"))
    own = terms.ref(name, letters[0])
    factor = sympy.expand(mean).coeff(own)
    rest = sympy.expand(mean - factor * own)
    if not index_free(model, sd) or not index_free(model, factor) or letters[0] in sd.free_symbols:
        raise Unfit(density.variable)
    if factor == 0 or atoms_of(model, rest, "local", "global") or letters[0] in factor.free_symbols:
        raise Unfit(density.variable)
    return factor, sd, rest
