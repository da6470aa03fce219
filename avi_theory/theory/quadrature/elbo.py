r"""The ELBO of a continuous model under Normal and LogNormal factors, with its gradient.

.. math:: \mathrm{ELBO}(m, s) = \sum_f E\big[e_f(T(m + s\,\xi))\big] + \sum_n H[q_n],
    \qquad \xi \sim N(0, I)

T is the identity for a real latent and exp for a positive one.  Each additive term is integrated by
Gauss–Hermite quadrature over the few latents that it holds: exactly where it is a polynomial in
them, else with many nodes; the gradient is that of the discretised sum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import sympy
from sympy import Expr, Symbol

from avi_theory.spec import terms
from avi_theory.spec.bound import Bound
from avi_theory.spec.factors import GroundFactor, Slot
from avi_theory.spec.grounding import ground
from avi_theory.theory.quadratic import Layout
from avi_theory.theory.quadrature.smooth import rough_part

NODES = {1: 40, 2: 24, 3: 14}
"""Nodes for each latent in which a term is no polynomial, by their number."""
MOST_POINTS = 400_000
"""Quadrature points of all terms together."""
DRAWN = 8
"""So many times more where drawn data sets could not be fewer."""
ENTROPY = 0.5 * (1 + np.log(2 * np.pi))


class NotIntegrable(Exception):
    """Why the ELBO cannot be integrated here."""


class TooManyPoints(NotIntegrable):
    """The quadrature is too large; fewer data sets may do."""


@dataclass(frozen=True, eq=False)
class Term:
    """One additive term at all its instances.

    Attributes:
        value: the compiled term; slopes: its derivatives in its latents.
        latents: coordinates of the latents, ``[I]`` each.
        known: values of everything else, ``[I, 1]`` or scalars.
        nodes: ξ of each latent over the grid, ``[G]`` each; weights: ``[G]``.
        expression, symbols: as they were compiled, the latents' symbols first.
    """

    value: Callable[..., np.ndarray]
    slopes: tuple[Callable[..., np.ndarray], ...]
    latents: tuple[np.ndarray, ...]
    known: tuple[np.ndarray, ...]
    nodes: tuple[np.ndarray, ...]
    weights: np.ndarray
    expression: Expr
    symbols: tuple[Symbol, ...]
    count: int


@dataclass(frozen=True, eq=False)
class Objective:
    """The ELBO as a function of all factors' means and log scales.

    Attributes:
        layout: scalar coordinates of globals, then locals, on one data set.
        positive: which coordinates have LogNormal factors.
        terms: of the log density.
        copies: how many data sets, one after another.
    """

    layout: Layout
    positive: np.ndarray
    terms: tuple[Term, ...]
    copies: int = 1

    @property
    def globals(self) -> int:
        """The number of global coordinates."""
        bound = self.layout.bound
        return sum(bound.tables[v.name].size for v in bound.model.globals)

    def __call__(self, mean: np.ndarray, level: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """The ELBO in nats and its derivatives in means and log scales.

        Args:
            mean: of the Gaussian before its transform, ``[n]``.
            level: its log standard deviation, ``[n]``.
        """
        scale = np.exp(level)
        total = float(level.sum() + mean[self.positive].sum() + ENTROPY * len(mean))
        by_mean = self.positive.astype(float)
        by_level = np.ones(len(mean))
        for t in self.terms:
            values, chains, stretches = self.points(t, mean, scale)
            shape = (t.count, len(t.weights))
            total += float((np.broadcast_to(t.value(*values, *t.known), shape) @ t.weights).sum())
            for at, slope, chain, stretch in zip(
                t.latents, t.slopes, chains, stretches, strict=True
            ):
                change = np.broadcast_to(slope(*values, *t.known) * chain, shape)
                np.add.at(by_mean, at, change @ t.weights)
                np.add.at(by_level, at, (change * stretch) @ t.weights)
        return total, by_mean, by_level

    def points(
        self, t: Term, mean: np.ndarray, scale: np.ndarray
    ) -> tuple[list[np.ndarray], list[np.ndarray | float], list[np.ndarray]]:
        """A term's latents on its grid, ``[I, G]`` each; dz/dm; and s ξ."""
        values: list[np.ndarray] = []
        chains: list[np.ndarray | float] = []
        stretches = []
        for at, xi in zip(t.latents, t.nodes, strict=True):
            stretch = scale[at][:, None] * xi
            z = mean[at][:, None] + stretch
            log_normal = self.positive[at][:1].any()
            z = np.exp(z) if log_normal else z
            values.append(z)
            chains.append(z if log_normal else 1.0)
            stretches.append(stretch)
        return values, chains, stretches

    def each(self, mean: np.ndarray, level: np.ndarray) -> np.ndarray:
        """The ELBO of each data set in nats, without terms that hold no latent, ``[copies]``."""
        scale, size = np.exp(level), len(mean) // self.copies
        entropy = level + np.where(self.positive, mean, 0.0) + ENTROPY
        found = entropy.reshape(self.copies, size).sum(1)
        for t in self.terms:
            if not t.latents:
                continue
            values, _, _ = self.points(t, mean, scale)
            shape = (t.count, len(t.weights))
            expected = np.broadcast_to(t.value(*values, *t.known), shape) @ t.weights
            found += np.bincount(t.latents[0] // size, expected, minlength=self.copies)
        return np.asarray(found)


def objective(
    bound: Bound,
    *,
    finer: bool = False,
    drawn: Mapping[str, np.ndarray] | None = None,
    most: int = MOST_POINTS,
) -> Objective:
    """The ELBO at the bound data, or summed over many data sets.

    Args:
        bound: the model with its data.
        finer: half as many nodes again, to see whether the quadrature has settled.
        drawn: observations of many data sets, ``[D, points]`` by name, in place of the bound ones.
        most: quadrature points of all terms together.

    Raises:
        NotIntegrable: a latent that is neither real nor positive, or vector-valued; a term with a
            kink, a pole, or too many latents.
    """
    require_scalars(bound)
    latents = [*bound.model.globals, *bound.model.locals]
    layout = Layout.of(bound, latents)
    positive = np.zeros(layout.size, bool)
    for v in latents:
        positive[layout.block(v.name)] = v.support == "positive"
    if drawn is not None:
        bound = replace(bound, known={**bound.known, **{k: x[0] for k, x in drawn.items()}})
    found = [t for f in ground(bound).factors for t in _terms(f, layout, finer, drawn)]
    copies = 1 if drawn is None else len(next(iter(drawn.values())))
    points = sum(t.count * len(t.weights) for t in found)
    if points > most * (8 if finer else 1):
        raise TooManyPoints(f"its quadrature has {points:,} points, more than {most:,}")
    return Objective(layout, np.tile(positive, copies), tuple(found), copies)


def require_scalars(bound: Bound) -> None:
    """All latents are real or positive numbers.

    Raises:
        NotIntegrable: one is not.
    """
    for v in (*bound.model.globals, *bound.model.locals):
        if v.dim is not None:
            raise NotIntegrable(f"{v} is a vector")
        if v.support not in {"real", "positive"}:
            raise NotIntegrable(f"the values of {v} are neither real nor positive, but {v.support}")


def _terms(
    f: GroundFactor, layout: Layout, finer: bool, drawn: Mapping[str, np.ndarray] | None
) -> Iterator[Term]:
    if f.sums or f.kernel is not None or terms.network_calls(f.expression):
        raise NotIntegrable(f"'{f.source.text}' is no plain expression of single latents")
    for s in f.slots:
        if s.selectors or s.vector or np.ndim(np.asarray(s.positions)) > 1:
            raise NotIntegrable(f"'{f.source.text}' uses rows or vectors of {s.name}")
    slots = {s.symbol: s if drawn is None else _stacked(s, f.count, drawn) for s in f.slots}
    count = f.count * (1 if drawn is None else len(next(iter(drawn.values()))))
    latent = [s for s in f.slots if s.latent]
    variables = layout.bound.model.variables
    positive = {s.symbol for s in latent if variables[s.name].support == "positive"}
    positive |= {k for k, s in slots.items() if not s.latent and np.all(np.asarray(s.values) > 0)}
    expression = sympy.expand_log(f.expression) if positive else f.expression
    constant: Expr = sympy.Integer(0)
    for e in sympy.Add.make_args(expression):
        own = [s for s in latent if s.symbol in e.free_symbols]
        if not own:
            constant += e
            continue
        rough = rough_part(e, {s.symbol for s in own}, positive)
        if rough is not None:
            raise NotIntegrable(
                f"'{f.source.text}' has a part that may have a kink or a pole in its latents"
            )
        yield _term(e, own, slots, count, layout, finer)
    if constant != 0:
        yield _term(constant, [], slots, count, layout, finer)


def _stacked(s: Slot, count: int, drawn: Mapping[str, np.ndarray]) -> Slot:
    """A placeholder at all data sets, one after another; latents keep their positions."""
    if s.latent:
        return s
    copies = len(next(iter(drawn.values())))
    if s.role == "observed" and s.name in drawn and s.positions is not None:
        at = np.broadcast_to(np.asarray(s.positions), (count,))
        return replace(s, values=drawn[s.name][:, at].ravel())
    known = np.broadcast_to(np.asarray(s.values, float), (count,))
    return replace(s, values=np.tile(known, copies), batched=True)


def _term(
    e: Expr, own: list[Slot], slots: dict[Symbol, Slot], count: int, layout: Layout, finer: bool
) -> Term:
    others = [s for k, s in slots.items() if k in e.free_symbols and not s.latent]
    symbols = (*(s.symbol for s in own), *(s.symbol for s in others))
    sizes = _nodes(e, own, layout, finer)
    rules = [np.polynomial.hermite_e.hermegauss(n) for n in sizes]
    grid = [g.ravel() for g in np.meshgrid(*(r[0] for r in rules), indexing="ij")]
    weights = np.ones(1)
    for _, w in rules:
        weights = np.multiply.outer(weights, w / w.sum()).ravel()
    latents = tuple(_coordinates(s, count, layout) for s in own)
    known = []
    for s in others:
        values = np.asarray(s.values, float)
        known.append(np.broadcast_to(values, (count,))[:, None])
    return Term(
        _compiled(e, symbols), tuple(_compiled(sympy.diff(e, s.symbol), symbols) for s in own),
        latents, tuple(known), tuple(grid), weights, e, symbols, count,
    )  # fmt: skip


def _coordinates(s: Slot, count: int, layout: Layout) -> np.ndarray:
    """Of a latent at all instances, and at all data sets."""
    at = np.asarray(s.positions)
    once = np.broadcast_to(at, (len(at),)) + layout.offsets[s.name]
    shift = np.repeat(layout.size * np.arange(count // len(once)), len(once))
    return np.tile(once, count // len(once)) + shift


def _nodes(e: Expr, own: list[Slot], layout: Layout, finer: bool) -> list[int]:
    """Nodes for each latent: as many as make a polynomial exact, else `NODES`."""
    sizes: list[int] = []
    variables = layout.bound.model.variables
    for s in own:
        real = variables[s.name].support == "real"
        exact = real and e.is_polynomial(s.symbol)
        sizes.append(int(sympy.degree(e, s.symbol)) // 2 + 1 if exact else 0)
    hard = sizes.count(0)
    if hard > max(NODES):
        raise NotIntegrable(f"a term holds {hard} latents in which it is no polynomial")
    many = NODES[hard] * (3 if finer else 2) // 2 if hard else 0
    return [n or many for n in sizes]


def _compiled(e: Expr, symbols: tuple[Symbol, ...]) -> Callable[..., np.ndarray]:
    function: Callable[..., np.ndarray] = sympy.lambdify(
        list(symbols), e, modules=[terms.numpy_functions(), "numpy"]
    )
    return function
