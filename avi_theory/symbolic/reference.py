r"""A small mean-field solver without torch: the optima that make a witness.

.. math:: \nu^\star = \arg\max_\nu \; E_{q_\nu}[\log p] + H[q_\nu], \qquad q = \prod_n q(z_n)

A model at a handful of points is written out; linear-Gaussian optima are exact rationals
(\(\Lambda \mu = h\)), all others come from enumeration of discrete latents and Gauss–Hermite
quadrature of continuous ones, maximised by L-BFGS from several starts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import sympy
from sympy import Dummy, Expr, Rational, Symbol

from avi_theory.spec import terms
from avi_theory.symbolic.errors import Stuck
from avi_theory.symbolic.exact import solve_rational
from avi_theory.symbolic.small import Small

NODES = 17
"""Gauss–Hermite points per continuous latent."""


@dataclass(frozen=True)
class Optimum:
    """A mean-field optimum.

    Attributes:
        values: per local reference the mean of its factor, or the probabilities of its values.
        exact: whether the values are exact rationals.
        elbo: in nats, up to a constant; None where it was not needed.
    """

    values: Mapping[Expr, Any]
    exact: bool
    elbo: float | None = None


def solve(small: Small, data: Mapping[Expr, Any], *, starts: int = 4) -> list[Optimum]:
    """All mean-field optima found for one data set.

    Args:
        small: the written-out model.
        data: value of every observation.
        starts: random starts where the optimum may not be unique.

    Raises:
        Stuck: a factor that the solver cannot integrate.
    """
    quadratic = _quadratic(small, data)
    if quadratic is not None:
        latents, precision, linear = quadratic
        means = solve_rational(precision, linear)
        return [Optimum(dict(zip(latents, means, strict=True)), True)]
    return _Numeric(small, data).solve(starts)


def _quadratic(
    small: Small, data: Mapping[Expr, Any]
) -> tuple[list[Expr], list[list[Fraction]], list[Fraction]] | None:
    """Λ and h of a log density that is quadratic in all locals; None if it is not."""
    if any(small.discrete(z) or small.support(z) != "real" for z in small.locals):
        return None
    latents = list(small.locals)
    place = {z: k for k, z in enumerate(latents)}
    precision = [[Fraction(0)] * len(latents) for _ in latents]
    linear = [Fraction(0)] * len(latents)
    shapes: dict[Expr, tuple[list[list[Expr]], list[Expr]] | None] = {}
    for expr in small.factors:
        own = [a for a in small.atoms(expr) if a in place]
        known = {a: data[a] for a in small.atoms(expr) if a in data}
        names = {a: _PLACEHOLDERS[k] for k, a in enumerate([*own, *known])}
        shape = expr.xreplace(names)
        symbols = [names[a] for a in own]
        if shape not in shapes:
            shapes[shape] = _derivatives(shape, symbols)
        found = shapes[shape]
        if found is None:
            return None
        hessian, gradient = found
        put = {names[a]: v for a, v in known.items()}
        origin = {**put, **{s: sympy.Integer(0) for s in symbols}}
        for i, a in enumerate(own):
            slope = _fraction(gradient[i].xreplace(origin))
            if slope is None:
                return None
            linear[place[a]] += slope
            for j, b in enumerate(own):
                curve = _fraction(hessian[i][j].xreplace(put))
                if curve is None:
                    return None
                precision[place[a]][place[b]] -= curve
    return latents, precision, linear


_PLACEHOLDERS = [Symbol(f"_p{k}", real=True) for k in range(200)]


def _derivatives(shape: Expr, symbols: list[Symbol]) -> tuple[list[list[Expr]], list[Expr]] | None:
    if shape.has(sympy.Abs, terms.where_positive, terms.maximum, terms.minimum):
        return None
    try:
        gradient = [sympy.diff(shape, s) for s in symbols]
        hessian = [[sympy.expand(sympy.diff(g, s)) for s in symbols] for g in gradient]
    except (ValueError, TypeError, AttributeError):
        return None
    if any(entry.free_symbols & set(symbols) for row in hessian for entry in row):
        return None
    return hessian, gradient


def _fraction(value: Expr) -> Fraction | None:
    value = sympy.nsimplify(value) if isinstance(value, sympy.Float) else value
    if isinstance(value, Rational):
        return Fraction(int(value.p), int(value.q))
    if value.is_number and value.is_real:
        return Fraction(str(sympy.N(value, 30)))
    return None


@dataclass
class _Piece:
    """One factor at one combination of its discrete latents, as a numpy function."""

    chosen: tuple[tuple[int, int], ...]
    continuous: tuple[int, ...]
    value: Callable[..., Any] | float
    slopes: tuple[Callable[..., Any], ...] = ()
    known: tuple[float, ...] = ()


@dataclass
class _Numeric:
    """Maximises the ELBO over products of Normal, LogNormal and categorical factors."""

    small: Small
    data: Mapping[Expr, Any]
    pieces: list[_Piece] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.latents = list(self.small.locals)
        self.place = {z: k for k, z in enumerate(self.latents)}
        self.discrete = [self.small.discrete(z) for z in self.latents]
        self.positive = [self.small.support(z) == "positive" for z in self.latents]
        for z, discrete in zip(self.latents, self.discrete, strict=True):
            if not discrete and self.small.support(z) not in {"real", "positive"}:
                raise Stuck(z, "the reference solver has no factor for this support")
        self.slots: list[slice] = []
        start = 0
        for z, discrete in zip(self.latents, self.discrete, strict=True):
            width = self.small.categories(z) if discrete else 2
            self.slots.append(slice(start, start + width))
            start += width
        self.width = start
        self._compiled: dict[object, tuple[Callable[..., Any], tuple[Callable[..., Any], ...]]] = {}
        for expr in self.small.factors:
            self.pieces.extend(self._pieces(expr))
        points, weights = np.polynomial.hermite_e.hermegauss(NODES)
        self.points, self.weights = points, weights / weights.sum()

    def _pieces(self, expr: Expr) -> Iterator[_Piece]:
        atoms = self.small.atoms(expr)
        own = [a for a in atoms if a in self.place]
        loose = [a for a in own if self.discrete[self.place[a]]]
        for values in product(*(range(self.small.categories(a)) for a in loose)):
            put = dict(zip(loose, map(sympy.Integer, values), strict=True))
            known = {a: v for a, v in self.data.items() if a in atoms}
            choices = {a: v for a, v in known.items() if self.small.discrete(a)}
            one = self.small.looked_up(expr.xreplace({**put, **choices}))
            one = self.small.looked_up(one.xreplace({
                a: self.small.value(a) for a in self.small.atoms(one)
                if a not in self.place and a not in self.data
            }))  # fmt: skip
            rest = [a for a in self.small.atoms(one) if a in self.place]
            seen = [a for a in self.small.atoms(one) if a in self.data]
            if len(rest) > 3:
                raise Stuck(expr, "too many latents in one factor for quadrature")
            chosen = tuple((self.place[a], v) for a, v in zip(loose, values, strict=True))
            numbers = tuple(float(self.data[a]) for a in seen)
            names = {a: _PLACEHOLDERS[k] for k, a in enumerate([*rest, *seen])}
            shape = one.xreplace(names)
            if not rest:
                value = self._number(shape.xreplace({names[a]: self.data[a] for a in seen}))
                yield _Piece(chosen, (), value)
                continue
            key = (shape, len(rest))
            if key not in self._compiled:
                arguments = [names[a] for a in (*rest, *seen)]
                self._compiled[key] = (
                    _compiled(shape, arguments),
                    tuple(_compiled(_slope(shape, names[a]), arguments) for a in rest),
                )
            function, slopes = self._compiled[key]
            yield _Piece(chosen, tuple(self.place[a] for a in rest), function, slopes, numbers)

    def _number(self, expr: Expr) -> float:
        value = _compiled(expr, [])()
        return float(max(value, -1e4)) if value == value else 0.0

    def objective(self, parameters: np.ndarray) -> tuple[float, np.ndarray]:
        """Minus the ELBO and its gradient."""
        gradient = np.zeros(self.width)
        elbo = 0.0
        tables = {
            k: _softmax(parameters[self.slots[k]]) for k, d in enumerate(self.discrete) if d
        }  # fmt: skip
        slopes = {k: np.zeros_like(t) for k, t in tables.items()}
        for piece in self.pieces:
            probabilities = [tables[k][v] for k, v in piece.chosen]
            weight = float(np.prod(probabilities)) if probabilities else 1.0
            value, moves = self._expected(piece, parameters)
            elbo += weight * value
            for position, move in zip(piece.continuous, moves, strict=True):
                gradient[self.slots[position]] += weight * move
            for j, (k, v) in enumerate(piece.chosen):
                others = float(np.prod(probabilities[:j] + probabilities[j + 1 :]))
                slopes[k][v] += others * value
        for k, table in tables.items():
            log_table = np.log(np.maximum(table, 1e-300))
            elbo -= float(table @ log_table)
            slope = slopes[k] - log_table
            gradient[self.slots[k]] += table * (slope - table @ slope)
        for k, discrete in enumerate(self.discrete):
            if not discrete:
                mean, log_sd = parameters[self.slots[k]]
                elbo += log_sd + (mean if self.positive[k] else 0.0)
                gradient[self.slots[k]] += [1.0 if self.positive[k] else 0.0, 1.0]
        return -elbo, -gradient

    def _expected(self, piece: _Piece, parameters: np.ndarray) -> tuple[float, list[np.ndarray]]:
        if not callable(piece.value):
            return piece.value, []
        count = len(piece.continuous)
        grids = np.meshgrid(*([self.points] * count), indexing="ij")
        mass = np.ones_like(grids[0])
        for g in np.meshgrid(*([self.weights] * count), indexing="ij"):
            mass = mass * g
        arguments, scales = [], []
        for position, noise in zip(piece.continuous, grids, strict=True):
            mean, log_sd = parameters[self.slots[position]]
            value = mean + np.exp(log_sd) * noise
            chain = np.ones_like(value)
            if self.positive[position]:
                value = np.exp(value)
                chain = value
            arguments.append(value)
            scales.append((chain, np.exp(log_sd) * noise))
        full = (*arguments, *piece.known)
        with np.errstate(all="ignore"):
            total = float(np.sum(mass * piece.value(*full)))
            moves = []
            for slope, (chain, stretch) in zip(piece.slopes, scales, strict=True):
                change = mass * slope(*full) * chain
                moves.append(np.array([np.sum(change), np.sum(change * stretch)]))
        return total, moves

    def solve(self, starts: int) -> list[Optimum]:
        """Optima from several starts, the best first; equal ones once."""
        from scipy.optimize import minimize

        found: list[tuple[float, np.ndarray]] = []
        unique = not any(self.discrete)
        for start in range(1 if unique else starts):
            stream = np.random.default_rng(start)
            guess = (0.0 if start == 0 else 0.5) * stream.standard_normal(self.width)
            answer = minimize(
                self.objective, guess, jac=True, method="L-BFGS-B", bounds=self._bounds(),
                options={"maxiter": 400, "maxfun": 500, "ftol": 1e-15, "gtol": 1e-9},
            )  # fmt: skip
            if np.isfinite(answer.fun) and np.max(np.abs(answer.jac)) < 1e-4:
                found.append((float(answer.fun), answer.x))
        found.sort(key=lambda f: f[0])
        return [Optimum(self._values(x), False, -f) for f, x in found]

    def _bounds(self) -> list[tuple[float, float]]:
        bounds: list[tuple[float, float]] = []
        for slot, discrete in zip(self.slots, self.discrete, strict=True):
            width = slot.stop - slot.start
            bounds += [(-40.0, 40.0)] * width if discrete else [(-1e3, 1e3), (-9.0, 5.0)]
        return bounds

    def _values(self, parameters: np.ndarray) -> dict[Expr, Any]:
        values: dict[Expr, Any] = {}
        for k, z in enumerate(self.latents):
            own = parameters[self.slots[k]]
            values[z] = tuple(_softmax(own).tolist()) if self.discrete[k] else float(own[0])
        return values


def _softmax(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits - logits.max())
    return np.asarray(shifted / shifted.sum())


def _slope(expr: Expr, symbol: Symbol) -> Expr:
    plain = expr.replace(terms.softplus, lambda x: sympy.log(1 + sympy.exp(x))).replace(
        terms.sigmoid, lambda x: 1 / (1 + sympy.exp(-x))
    )
    stand_in = Dummy("z", real=True)
    return sympy.diff(plain.xreplace({symbol: stand_in}), stand_in).xreplace({stand_in: symbol})


def _compiled(expr: Expr, arguments: Sequence[Symbol]) -> Callable[..., Any]:
    from scipy import special

    functions = {**terms.numpy_functions(), "digamma": special.psi,
                 "polygamma": special.polygamma}  # fmt: skip
    try:
        return sympy.lambdify(list(arguments), expr, modules=[functions, "numpy"])
    except (SyntaxError, NameError, TypeError) as error:
        raise Stuck(expr, "the reference solver cannot evaluate it") from error
