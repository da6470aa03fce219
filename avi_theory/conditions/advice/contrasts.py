r"""Exchangeable Gaussian locals that meet only in their sums: means and contrasts.

.. math:: \sum_{ij} (y_{ij} - \mu - a_i - b_j)^2 \ni 2\,\Big(\sum_i a_i\Big)\Big(\sum_j b_j\Big)
    = 2\sqrt{IJ}\, \bar a_0 \bar b_0

With H orthonormal and its first row constant (Helmert), a = H'(a_0, a_c) leaves an isotropic
prior and likelihood as they are, so only the scalars a_0, b_0 stay coupled.  docs/theory.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations

import sympy
from sympy import Expr, Indexed

from avi_theory.conditions.advice.lines import Unfit, fresh, lines_of, listed, names_in
from avi_theory.conditions.advice.suggestion import SEPARATE, Suggestion
from avi_theory.conditions.advice.ties import ties_of
from avi_theory.conditions.advice.written import atoms_of, declarations, index_free, written
from avi_theory.spec import terms
from avi_theory.spec.model import Density
from avi_theory.symbolic.analysis import Analysis

ONE = sympy.Integer(1)


@dataclass(frozen=True)
class Mean:
    """An observed mean: ``constant + Σ along[f]·f[its letter] + Σ sums[f]·sum(f)``."""

    constant: Expr
    along: dict[str, Expr]
    sums: dict[str, Expr]


def contrasts(analysis: Analysis) -> Iterator[Suggestion]:
    """The model in means and contrasts, where every density is Gaussian and index-free."""
    try:
        yield from _Contrasts(analysis).suggestions()
    except Unfit:
        return


class _Contrasts:
    def __init__(self, analysis: Analysis) -> None:
        self.model = model = analysis.model
        ties = ties_of(analysis)
        self.letters: dict[str, str] = {}
        for name, letters in ties.families.items():
            if len(letters) != 1 or model.variables[name].dim is not None:
                raise Unfit(name)
            self.letters[name] = letters[0]
        self.priors = {name: self._prior(name) for name in self.letters}
        self.observed = [d for d in model.densities if self._holds(d) and d.variable not in
                         self.letters]  # fmt: skip
        if any(atoms_of(model, p.expression, *("local",)) for p in model.potentials):
            raise Unfit("a potential")
        self.means = [self._mean(d) for d in self.observed]
        axes = {a.letter: a for v in model.variables.values() for a in v.axes}
        self.counts = {x: sympy.expand(a.high - a.low + 1) for x, a in axes.items()}
        if any(not self.counts[x].free_symbols for x in self.letters.values()):
            raise Unfit("an index of fixed size")
        taken = names_in(lines_of(model.text))
        used = sorted({x for d in self.observed for x in map(str, d.subscripts)}
                      | set(self.letters.values()))  # fmt: skip
        self.index: dict[str, str] = {}
        for letter in used:
            self.index[letter] = fresh(taken | set(self.index.values()), "k", "l", "r", "k_")
        self.taken = taken

    def _holds(self, density: Density) -> bool:
        expressions = [*map(sympy.sympify, density.arguments.values())]
        return any(terms.name_of(a) in self.letters for e in expressions
                   for a in atoms_of(self.model, e, "local"))  # fmt: skip

    def _prior(self, name: str) -> Density:
        found = [d for d in self.model.densities if d.variable == name]
        axis = self.model.variables[name].axes[0]
        if len(found) != 1 or found[0].distribution != "Normal" or len(found[0].ranges) != 1:
            raise Unfit(name)
        (density,) = found
        if not all(index_free(self.model, sympy.sympify(e)) for e in density.arguments.values()):
            raise Unfit(name)
        if density.subscripts != (terms.index_symbol(axis.letter),):
            raise Unfit(name)
        return density

    def _mean(self, density: Density) -> Mean:
        """The mean of an observed density that holds tied locals.

        Raises:
            Unfit: it is not Gaussian, incomplete, or treats index points apart.
        """
        model, variable = self.model, self.model.variables[density.variable]
        sd, mean = (sympy.sympify(density.arguments.get(k, ONE)) for k in ("sd", "mean"))
        plain = tuple(terms.index_symbol(x) for x in variable.letters)
        if (
            variable.role != "observed" or variable.missing or variable.dim is not None
            or density.distribution != "Normal" or density.subscripts != plain
            or not index_free(model, sd)
            or sum(d.variable == density.variable for d in model.densities) != 1
        ):  # fmt: skip
            raise Unfit(density.variable)
        rest, along, sums = sympy.expand(mean), {}, {}
        for name, letter in self.letters.items():
            own = terms.ref(name, terms.index_symbol(letter))
            axis = model.variables[name].axes[0]
            along[name] = rest.coeff(own) if letter in variable.letters else sympy.Integer(0)
            rest = sympy.expand(rest - along[name] * own)
            sums[name] = sympy.Integer(0)
            for whole in sorted(rest.atoms(sympy.Sum), key=sympy.default_sort_key):
                ((bound, low, high),) = whole.limits
                if whole.function == terms.ref(name, bound) and (low, high) == (
                    axis.low,
                    axis.high,
                ):
                    sums[name] += rest.coeff(whole)
                    rest = sympy.expand(rest - rest.coeff(whole) * whole)
        axes = {a.letter: (a.low, a.high) for a in variable.axes}
        for name, letter in self.letters.items():
            axis = model.variables[name].axes[0]
            if along[name] != 0 and axes[letter] != (axis.low, axis.high):
                raise Unfit("a range that is not whole")
        if not all(index_free(model, e) for e in (rest, *along.values(), *sums.values())):
            raise Unfit(density.variable)
        if any(r.low.atoms(Indexed) or r.high.atoms(Indexed) for r in density.ranges):
            raise Unfit("a ragged range")
        return Mean(rest, along, sums)

    def suggestions(self) -> Iterator[Suggestion]:
        """New coordinates, and what they teach about the old ones."""
        applied = self._applied()
        for sentence in (self._coordinates(), self._covariates()):
            yield Suggestion(sentence, applied, SEPARATE, values=self.model.values)

    def _applied(self) -> str:
        """The model in means and contrasts."""
        zero, rest = self._names("mean"), self._names("c")
        scalars = [e for d in (*self.priors.values(), *self.observed)
                   for e in map(sympy.sympify, d.arguments.values())]  # fmt: skip
        lines = [str(x) for x in declarations(self.model, scalars)]
        heads = [f"index {k} = 1:{written(self.counts[x] - 1)}" for x, k in self.index.items()]
        for name, letter in self.letters.items():
            prior = self.priors[name].arguments
            mean, sd = sympy.sympify(prior["mean"]), written(sympy.sympify(prior["sd"]))
            root = sympy.sqrt(self.counts[letter])
            lines.append(f"global {zero[name]} ~ Normal({written(root * mean)}, {sd})")
            lines.append(f"local {rest[name]}[{self.index[letter]}] ~ Normal(0, {sd})")
        for density, mean in zip(self.observed, self.means, strict=True):
            lines += self._observed(density, mean, zero, rest)
        return "\n".join([*heads, *lines])

    def _names(self, tail: str) -> dict[str, str]:
        return {n: fresh(self.taken, f"{n}_{tail}") for n in self.letters}

    def _observed(
        self, density: Density, mean: Mean, zero: dict[str, str], rest: dict[str, str]
    ) -> Iterator[str]:
        """The data in the new coordinates: a contrast or the mean along every index."""
        letters = self.model.variables[density.variable].letters
        sd = written(sympy.sympify(density.arguments["sd"]))
        for size in range(len(letters) + 1):
            for chosen in combinations(letters, size):
                total = self._root(letters) * mean.constant if not chosen else sympy.Integer(0)
                for name, letter in self.letters.items():
                    others = [x for x in letters if x != letter]
                    if not chosen:
                        point = terms.ref(zero[name])
                        total += mean.sums[name] * self._root([*letters, letter]) * point
                        total += mean.along[name] * self._root(others) * point
                    elif chosen == (letter,):
                        point = terms.ref(rest[name], terms.index_symbol(self.index[letter]))
                        total += mean.along[name] * self._root(others) * point
                subs = ",".join(self.index[x] for x in chosen)
                tail = "".join(chosen) or "mean"
                target = f"{density.variable}_{tail}" + (f"[{subs}]" if subs else "")
                yield f"observed {target} ~ Normal({written(sympy.expand(total))}, {sd})"

    def _root(self, letters: Iterable[str]) -> Expr:
        return sympy.sqrt(sympy.Mul(*(self.counts[x] for x in letters)))

    def _coordinates(self) -> str:
        rest = self._names("c")
        names = listed(self.letters)
        data = listed(d.variable for d in self.observed)
        means = "mean stays coupled, a single latent" if len(self.letters) == 1 else (
            "means stay coupled, single latents"
        )  # fmt: skip
        close = listed(rest.values()) + (" closes" if len(rest) == 1 else " close")
        return (
            f"Change coordinates: rotate {names} and the data {data} along each index into the "
            f"mean and orthonormal contrasts (Helmert). Only the {means} to declare global; "
            f"{close}, each from the same contrast of the data."
        )

    def _covariates(self) -> str:
        """The sum of the locals is a function of the means of the data: a covariate to add."""
        summary = [f"mean({d.variable})" if d.subscripts else d.variable for d in self.observed]
        own = []
        for name, letter in self.letters.items():
            seen = [
                reference_text(d, letter)
                for d, mean in zip(self.observed, self.means, strict=True) if mean.along[name] != 0
            ]  # fmt: skip
            own.append(f"{name}[{letter}] from {', '.join([*seen, *summary])}")
        return (
            f"Or add a covariate: in the old coordinates a function closes if it also receives "
            f"{listed(summary)} ({'; '.join(own)}): these tell it the sums of the locals, and at a "
            "given size the optimal mean is affine in all of them."
        )


def reference_text(density: Density, letter: str) -> str:
    """The observations of one index point: ``y[i,:]``."""
    subs = (str(s) if str(s) == letter else ":" for s in density.subscripts)
    return f"{density.variable}[{','.join(subs)}]"
