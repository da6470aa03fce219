r"""A declared hidden Markov model as one of hmmlearn's.

.. math:: \pi_k = p(z_1 = k),\quad A_{jk} = p(z_t = k \mid z_{t-1} = j),\quad p(x_t \mid z_t = k)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy
from scipy import special
from sympy import Expr, Symbol

from avi_theory.errors import InputError
from avi_theory.spec import terms
from avi_theory.spec.bound import constant_value
from avi_theory.spec.model import Density, Model, Variable


def to_hmmlearn(model: Model) -> Any:
    """The hmmlearn model with the same evidence and posteriors.

    Args:
        model: one discrete local chain with known parameters, its transitions the same at every
            step; every observation of step t depends on z at t alone and is Normal (also linearly
            on other observations of that step, or a vector), Categorical, Bernoulli or Poisson.

    Returns:
        A `GaussianHMM` (``diag`` or ``full``), `CategoricalHMM` or `PoissonHMM`.

    Raises:
        InputError: a model of another form, saying where it departs; hmmlearn is not installed.

    Example:
        >>> from avi_theory import load
        >>> to_hmmlearn(load("hmm")).transmat_.tolist()
        [[0.7, 0.3], [0.3, 0.7]]
    """
    try:
        from hmmlearn import hmm
    except ImportError as e:
        raise InputError("hmmlearn is not installed. Install it: pip install hmmlearn.") from e
    chain = _Chain.of(model)
    kinds = {_KIND.get(d.distribution) for d in chain.observed}
    if len(kinds) != 1 or None in kinds:
        names = ", ".join(sorted({d.distribution for d in chain.observed}))
        raise _other(f"its observations are {names}, which no single class of hmmlearn covers")
    (kind,) = kinds
    if kind == "CategoricalHMM":
        if len(chain.observed) > 1:
            raise _other("it has several categorical observations, and hmmlearn takes one")
        found = hmm.CategoricalHMM(chain.states)
        found.emissionprob_ = chain.each(lambda k: chain.probabilities(chain.observed[0], k))
        found.n_features = found.emissionprob_.shape[1]
    elif kind == "PoissonHMM":
        found = hmm.PoissonHMM(chain.states)
        found.lambdas_ = chain.each(chain.rates)
        found.n_features = found.lambdas_.shape[1]
    else:
        moments = [chain.moments(k) for k in range(chain.states)]
        covs = np.stack([cov for _, cov in moments])
        diagonal = np.einsum("kii->ki", covs)
        diag = bool(np.all(covs == diagonal[:, :, None] * np.eye(covs.shape[1])))
        found = hmm.GaussianHMM(chain.states, "diag" if diag else "full")
        found.means_ = np.stack([mean for mean, _ in moments])
        found.n_features = found.means_.shape[1]
        found.covars_ = diagonal if diag else covs
    found.startprob_ = chain.start
    found.transmat_ = chain.moves
    return found


_KIND = {
    "Normal": "GaussianHMM",
    "MultivariateNormal": "GaussianHMM",
    "Categorical": "CategoricalHMM",
    "Bernoulli": "CategoricalHMM",
    "Poisson": "PoissonHMM",
}


def _other(reason: str) -> InputError:
    return InputError(
        f"The model is not a hidden Markov model of hmmlearn's: {reason}. Convert one with a "
        "discrete chain z[t] given z[t-1], known parameters, and observations given z[t]."
    )


@dataclass(frozen=True)
class _Chain:
    """The pieces of a model that is a hidden Markov model."""

    model: Model
    state: Variable
    states: int
    start: np.ndarray
    moves: np.ndarray
    observed: tuple[Density, ...]

    @classmethod
    def of(cls, model: Model) -> _Chain:
        if len(model.locals) != 1 or not model.locals[0].discrete:
            raise _other("it has not exactly one discrete local")
        if model.networks or model.potentials:
            raise _other("it has networks or potentials")
        state = model.locals[0]
        statements = [d for d in model.densities if d.variable == state.name]
        first = [d for d in statements if not _refers(d, state.name)]
        later = [d for d in statements if _refers(d, state.name)]
        if len(first) != 1 or len(later) != 1 or state.dim is not None or not state.axes:
            raise _other(f"{state} is not declared once at its first step and once after it")
        blank = cls(model, state, 0, np.zeros(0), np.zeros(0), ())
        blank._check_steps(first[0], later[0])
        start = blank.probabilities(first[0], None)
        moves = np.stack([blank.probabilities(later[0], k) for k in range(len(start))])
        observed = tuple(d for v in model.observed for d in model.densities if d.variable == v.name)
        found = cls(model, state, len(start), start, moves, observed)
        for v in model.observed:
            own = [d for d in observed if d.variable == v.name]
            if len(own) != 1 or v.missing or not found._at_every_step(own[0]):
                raise _other(f"{v} is not declared once at every step, given {state}")
        return found

    def _check_steps(self, first: Density, later: Density) -> None:
        """z[1] and z[t] given z[t-1] for t in 2:T, inside each sequence."""
        axis = self.state.axes[-1]
        *outer, t = later.subscripts
        before = {r for e in later.arguments.values() for r in _refs(e, self.state.name)}
        inner = next((r for r in later.ranges if r.letter == t), None)
        fits = (
            inner is not None
            and first.subscripts == (*outer, axis.low)
            and before == {terms.ref(self.state.name, *outer, t - 1)}
            and inner.low == axis.low + 1
            and inner.high == axis.high
        )
        if not fits:
            raise _other(f"{self.state} does not step from each point to the next")

    def _at_every_step(self, d: Density) -> bool:
        mine = self.model.variables[d.variable].axes
        same = [(a.low, a.high) for a in mine] == [(a.low, a.high) for a in self.state.axes]
        wanted = {terms.ref(self.state.name, *d.subscripts)}
        seen = {r for e in d.arguments.values() for r in _refs(e, self.state.name)}
        return same and len(d.ranges) == len(mine) and seen <= wanted

    def each(self, function: Any) -> np.ndarray:
        """A function of the state, stacked."""
        return np.stack([function(k) for k in range(self.states)])

    def probabilities(self, d: Density, k: int | None) -> np.ndarray:
        """Of the categories of a discrete statement, given the state."""
        (name, argument), *_ = d.arguments.items()
        value = self._number(argument, k, {})
        if d.distribution == "Bernoulli":
            p = float(special.expit(value) if name == "logit" else value)
            return np.array([1 - p, p])
        return special.softmax(value) if name == "logit" else np.asarray(value, float)

    def rates(self, k: int) -> np.ndarray:
        """Of every count, ``[features]``."""
        found = []
        for d in self.observed:
            (name, argument), *_ = d.arguments.items()
            value = self._number(argument, k, {})
            value = np.exp(value) if name == "log_rate" else value
            found.append(np.broadcast_to(value, (self._width(d),)))
        return np.concatenate(found)

    def moments(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Mean and covariance of one step's Gaussian observations: x = c + Wx + e, e ~ N(0, D)."""
        widths = [self._width(d) for d in self.observed]
        ends = np.cumsum([0, *widths])
        slices = {d.variable: slice(a, b) for d, a, b in
                  zip(self.observed, ends[:-1], ends[1:], strict=True)}  # fmt: skip
        total = int(ends[-1])

        def mean(x: np.ndarray) -> np.ndarray:
            parts = {n: x[at] if at.stop - at.start > 1 else x[at][0] for n, at in slices.items()}
            rows = [np.broadcast_to(self._number(d.arguments["mean"], k, parts), (w,))
                    for d, w in zip(self.observed, widths, strict=True)]  # fmt: skip
            return np.concatenate(rows)

        level = mean(np.zeros(total))
        slopes = np.stack([mean(e) - level for e in np.eye(total)], 1)
        for probe in (1.7 + np.arange(total), -0.6 - np.arange(total)):
            if not np.allclose(mean(probe), level + slopes @ probe, rtol=1e-10, atol=1e-12):
                raise _other("a mean is not linear in the other observations")
        noise = np.zeros((total, total))
        for d in self.observed:
            at = slices[d.variable]
            if d.distribution == "MultivariateNormal":
                noise[at, at] = self._number(d.arguments["cov"], k, {})
            else:
                variance = self._number(d.arguments["sd"], k, {}) ** 2
                noise[at, at] = np.diag(np.broadcast_to(variance, (at.stop - at.start,)))
        inverse = np.linalg.inv(np.eye(total) - slopes)
        return inverse @ level, inverse @ noise @ inverse.T

    def _width(self, d: Density) -> int:
        dim = self.model.variables[d.variable].dim
        if dim is None:
            return 1
        known = {**self.model.default_sizes, **self.model.values}
        return int(sympy.sympify(dim).subs({s: known[str(s)] for s in dim.free_symbols}))

    def _number(self, e: Expr, k: int | None, parts: Mapping[str, Any]) -> np.ndarray:
        """An argument's value in one state, at values of the step's other observations."""
        if k is not None:
            e = e.xreplace({r: sympy.Integer(k) for r in _refs(e, self.state.name)})
        scope: dict[Symbol, Any] = {}
        for atom in self.model.references_in(e):
            name = terms.name_of(atom)
            value = parts[name] if name in parts else self._known(atom)
            dummy = Symbol(f"_v{len(scope)}", real=True)
            scope[dummy] = value
            e = e.xreplace({atom: dummy})
        left = sorted(map(str, e.free_symbols - scope.keys()))
        if left:
            raise _other(f"a parameter depends on {left[0]}, so it changes from step to step")
        symbols = list(scope)
        function = sympy.lambdify(symbols, e, modules=[terms.numpy_functions(), "numpy"])
        return np.asarray(function(*scope.values()), float)

    def _known(self, atom: Expr) -> np.ndarray:
        name, at = terms.name_of(atom), terms.subscripts_of(atom)
        if any(v.name == name for v in self.model.observed):
            raise _other(f"a parameter depends on {atom}, which is observed")
        given = self.model.givens.get(name)
        value = self.model.values.get(name, given.value if given is not None else None)
        if value is None:
            raise _other(f"{name} has no value (set it with .with_values({name}=…))")
        if not all(s.is_Integer for s in at):
            raise _other(f"{atom} changes from step to step")
        array = (
            constant_value(value, {}, {}) if isinstance(value, (tuple, Expr)) else np.asarray(value)
        )
        declared = given if given is not None else self.model.variables[name]
        lows = [int(a.low) for a in declared.axes] + [0] * (len(at) - len(declared.axes))
        return np.asarray(array[tuple(int(s) - low for s, low in zip(at, lows, strict=True))])


def _refs(e: Expr, name: str) -> set[Expr]:
    return {a for a in e.atoms(sympy.Indexed) if terms.name_of(a) == name}


def _refers(d: Density, name: str) -> bool:
    return any(_refs(e, name) for e in d.arguments.values())
