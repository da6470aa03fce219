r"""A chain that is observed through its increments only: take the increments as locals.

.. math:: z_t = \mu(z_{t-1}, \dots) + w_t \;\Rightarrow\;
    p(x_t \mid z_t - \mu(z_{t-1}, \dots)) = p(x_t \mid w_t)

The change of variables is triangular with ones on its diagonal.  docs/theory.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import sympy
from sympy import Expr

from avi_theory.conditions.advice.lines import (
    Unfit,
    fresh,
    lines_of,
    names_in,
    parsed,
    text_of,
    without_unused,
)
from avi_theory.conditions.advice.suggestion import SEPARATE, Suggestion
from avi_theory.conditions.advice.written import atoms_of, written
from avi_theory.spec import terms
from avi_theory.spec.model import Density, Model
from avi_theory.symbolic.analysis import Analysis

LOCATIONS = ("Normal", "StudentT", "Laplace", "Cauchy")
"""Families in which the mean moves the density and does nothing else."""


def increments(analysis: Analysis) -> Iterator[Suggestion]:
    """One chain whose other statements hold it in innovations only."""
    tied = [v.name for v in analysis.locals.values() if v.closes == "no"]
    try:
        if len(tied) == 1 and not analysis.model.potentials:
            yield _innovations(analysis.model, tied[0])
    except Unfit:
        return


def _innovations(model: Model, name: str) -> Suggestion:
    own = {d.line: d for d in model.densities if d.variable == name}
    chains = [d for d in own.values() if _mentions(model, d, name)]
    if len(chains) != 1 or len(model.variables[name].axes) != 1:
        raise Unfit(name)
    (chain,) = chains
    if any(d.distribution not in LOCATIONS for d in chains) or len(chain.ranges) != 1:
        raise Unfit(name)
    mean = sympy.sympify(chain.arguments["mean"])
    if any(_inside(model, e, name) for k, e in chain.arguments.items() if k != "mean"):
        raise Unfit(name)
    lines = lines_of(model.text)
    if any(line.keyword == "given" and line.name in model.variables for line in lines):
        raise Unfit(f"{name} starts from a value that the text gives")
    new = fresh(names_in(lines), "w", "e", "w_")
    (letter,) = (r.letter for r in chain.ranges)
    densities = {(d.variable, k): d for d, k in _numbered(model)}
    seen: dict[str, int] = {}
    body = []
    for line in lines:
        if line.name not in model.variables:
            body.append(line)
            continue
        seen[line.name] = seen.get(line.name, 0) + 1
        density = densities[line.name, seen[line.name]]
        changed = dict(density.arguments)
        if density is chain:
            changed["mean"] = sympy.Integer(0)
        else:
            changed = {k: _changed(model, sympy.sympify(e), name, new, letter, mean)
                       for k, e in changed.items()}  # fmt: skip
        target = line.target
        if line.name == name:
            target = parsed(str(terms.ref(new, *density.subscripts)))
        if density is chain or changed != dict(density.arguments):
            call = ", ".join(f"{k}={written(sympy.sympify(e))}" for k, e in changed.items())
            line = replace(line, body=parsed(f"{density.distribution}({call})"))
        body.append(replace(line, target=target))
    step = written(mean).replace(" ", "")
    sentence = (
        f"Change coordinates: take the increments {new} = {name}[{letter}] - ({step}) as locals. "
        f"The data meet {name} in these differences only, so {new} closes at each {letter}; "
        f"{name} is their sum."
    )
    return Suggestion(sentence, text_of(without_unused(body)), SEPARATE, values=model.values)


def _numbered(model: Model) -> Iterator[tuple[Density, int]]:
    seen: dict[str, int] = {}
    for density in sorted(model.densities, key=lambda d: d.line):
        seen[density.variable] = seen.get(density.variable, 0) + 1
        yield density, seen[density.variable]


def _inside(model: Model, expr: Expr, name: str) -> bool:
    return any(terms.name_of(a) == name for a in atoms_of(model, sympy.sympify(expr), "local"))


def _mentions(model: Model, density: Density, name: str) -> bool:
    return any(_inside(model, e, name) for e in density.arguments.values())


def _changed(model: Model, expr: Expr, name: str, new: str, letter: Expr, mean: Expr) -> Expr:
    """An argument with the increments put in.

    Raises:
        Unfit: some of the chain is left over.
    """
    mine = [a for a in atoms_of(model, expr, "local") if terms.name_of(a) == name]
    if not mine:
        return expr
    free = {s for a in mine for s in terms.subscripts_of(a)[0].free_symbols}
    if not free:
        return expr.xreplace({a: terms.ref(new, *terms.subscripts_of(a)) for a in mine})
    last = max(mine, key=lambda a: terms.subscripts_of(a)[0].as_coeff_Add()[0])
    at = terms.subscripts_of(last)[0]
    result = sympy.expand(expr.xreplace({last: terms.ref(new, at) + mean.xreplace({letter: at})}))
    if _inside(model, result, name):
        raise Unfit(name)
    return result
