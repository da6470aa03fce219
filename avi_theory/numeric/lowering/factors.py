r"""Ground factors as torch functions of the variational factors: E_q[log p], term by term.

.. math:: \mathbb E_q[\log p] = \sum_f \sum_{i} \sum_c q(c)\, \mathbb E_{q}[e_f(u; c, i)]

`expected_factors` is the bridge between the declared density (sympy) and its measurement (torch).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import sympy
import torch
from sympy import Expr, Symbol
from torch import Tensor

from avi_theory.errors import InputError
from avi_theory.numeric.families import Family
from avi_theory.numeric.lowering.curvature import concave, quadratic
from avi_theory.numeric.lowering.heads import Program
from avi_theory.numeric.lowering.integrals import Evaluated, evaluated
from avi_theory.numeric.lowering.latents import Latent
from avi_theory.numeric.lowering.moments import Expectation
from avi_theory.numeric.lowering.places import Place, Weight, coincidences, places_of, take
from avi_theory.numeric.lowering.rewrite import log_slope, signed, simplify, substituted
from avi_theory.numeric.lowering.sums import SumPart, sum_part
from avi_theory.numeric.lowering.values import (
    Environment,
    Gather,
    Marginals,
    Values,
    Where,
    log_symbol,
    mean_symbol,
    variance_symbol,
)
from avi_theory.spec import terms
from avi_theory.spec.grounding import Ground, GroundFactor, Slot

KINKED = (sympy.Abs, sympy.Max, sympy.Min, sympy.sign, terms.maximum, terms.minimum)
METHODS = ("exact", "quadrature", "monte carlo")


@dataclass(frozen=True, eq=False)
class ExpectedFactor:
    """One factor's expectation under a factorized q.

    Attributes:
        text: the statement.
        count: instances, categories enumerated.
        values: moments and known values of its placeholders.
        expected: E[e] per instance, without the constant.
        constant: Σ of the terms without latents, in nats.
        integrals: expectations without closed form that `expected` refers to.
        sums: ``sum`` terms, their means and variances.
        weights: probabilities of the enumerated categories, ``(variable, rows, categories)``.
        sites: the points of the discrete latents in each enumerated instance.
        pointwise: the log density at values of the latents (before their transforms).
        quadratic: whether it is a polynomial of degree two at most in Gaussian latents.
        concave: whether it is known to be concave in its latents, all of them Gaussian.
        latents: its latent variables' names.
        places: its placeholders, for second derivatives.
    """

    text: str
    count: int
    values: Values
    expected: Program
    constant: float
    integrals: tuple[Evaluated, ...]
    sums: tuple[SumPart, ...]
    weights: tuple[tuple[str, Gather, Tensor], ...]
    sites: tuple[tuple[str, np.ndarray], ...]
    pointwise: Program
    quadratic: bool
    concave: bool
    latents: tuple[str, ...]
    places: tuple[Place, ...]

    @property
    def method(self) -> str:
        """exact, quadrature or monte carlo: the least exact of its terms'."""
        ranks = [0, *(2 if i.sampled else 1 for i in self.integrals)]
        ranks += [1 if s.integrals else 0 for s in self.sums]
        return METHODS[max(ranks)]

    @cached_property
    def _wanted(self) -> frozenset[Symbol]:
        return frozenset(self.expected.symbols).union(*(i.symbols for i in self.integrals))

    def instances(self, q: Marginals, noise: Mapping[str, Tensor]) -> Tensor:
        """E[e] per enumerated instance (one value if it is the same for all), no constant."""
        env = self.values.moments(q, self._wanted)
        for s in self.sums:
            env |= s.moments(q, self._wanted)
        for i in self.integrals:
            env[i.symbol] = i.value(q, env, noise, self.sums)
        return self.expected(env)

    def value(self, q: Marginals, noise: Mapping[str, Tensor]) -> Tensor:
        """E_q[log p] of this factor, in nats."""
        each = self.instances(q, noise)
        if self.weights:
            return (self.weight(q) * each).sum() + self.constant
        return each.sum() * (self.count / max(each.numel(), 1)) + self.constant

    def weight(self, q: Marginals) -> Tensor:
        """The probability of each enumerated instance's categories, ``[I]``."""
        found: Tensor | None = None
        for name, rows, categories in self.weights:
            table = q[name].probability
            p = rows(table).expand(self.count, -1).gather(1, categories.unsqueeze(1)).squeeze(1)
            found = p if found is None else found * p
        assert found is not None
        return found

    def pointwise_instances(self, values: Mapping[str, Tensor], samples: int) -> Tensor:
        """log p per enumerated instance at values ``[S, P]`` before the transforms, ``[S, I]``."""
        wanted = self.pointwise.symbols
        env = self.values.samples(values, wanted)
        for s in self.sums:
            env |= s.samples(values, wanted)
        each = self.pointwise(env)
        return each.expand(samples, self.count)

    def log_density(self, values: Mapping[str, Tensor], categories: Mapping[str, Tensor]) -> Tensor:
        """log p of this factor at drawn values and categories ``[S, P]``: ``[S]``, in nats."""
        samples = next((len(v) for v in (*values.values(), *categories.values())), 1)
        each = self.pointwise_instances(values, samples)
        if self.weights:
            chosen = torch.ones_like(each, dtype=torch.bool)
            for name, rows, wanted_category in self.weights:
                drawn = rows(categories[name], 1).expand(samples, self.count)
                chosen = chosen & (drawn == wanted_category)
            each = torch.where(chosen, each, torch.zeros_like(each))
        return each.sum(1)

    @property
    def smooth(self) -> bool:
        """Whether its log density has no kinks."""
        return not self.pointwise.expression.has(*KINKED)

    def site_index(self, name: str, categories: int) -> Tensor:
        """Point and category of each enumerated instance as one number, for one discrete latent."""
        positions = next(p for n, p in self.sites if n == name)
        category = next(c for n, _, c in self.weights if n == name)
        return torch.as_tensor(positions, device=category.device) * categories + category

    def place_index(self, name: str) -> Tensor:
        """The point of one continuous latent in each instance."""
        positions = next(
            p.positions for p in self.places if p.name == name and p.positions is not None
        )
        return torch.as_tensor(np.broadcast_to(positions, (self.count,)).copy())

    def refined(self, symbols: Sequence[Symbol]) -> ExpectedFactor:
        """The same with the named integrals' rules at half the spacing."""
        return replace(
            self,
            integrals=tuple(i.finer() if i.symbol in symbols else i for i in self.integrals),
        )


def expected_factors(
    ground: Ground, families: Mapping[str, Family], where: Where
) -> tuple[ExpectedFactor, ...]:
    """Every factor of a ground model, lowered.

    Args:
        ground: the grounded log density.
        families: of all latents.
        where: device and dtype.

    Raises:
        InputError: a statement that cannot be summed or integrated, named.
    """
    arrays = ground.bound.known
    found = []
    for factor in ground.factors:
        if factor.expression != 0:
            found.extend(_Builder(factor, families, arrays, where).run())
    found.extend(_slopes(families, where))
    return tuple(found)


def _slopes(families: Mapping[str, Family], where: Where) -> list[ExpectedFactor]:
    """The part of the entropy that comes from the transforms, Σ E log dz/du."""
    found = []
    for f in families.values():
        u = Symbol("_u", real=True)
        if not f.gaussian or log_slope(f, u) == 0:
            continue
        place = Place(u, f.name, np.arange(f.points), None, int(f.vector))
        e = log_slope(f, u)
        if f.vector:
            e = terms.total(e)
        plain = replace(f, kind="Normal")
        part = _assemble(f"entropy of {f.name}", e, [place], [], f.points, {u: plain}, (), where)
        found.append(replace(part, quadratic=False, concave=False))
    return found


@dataclass(frozen=True)
class _Builder:
    factor: GroundFactor
    families: Mapping[str, Family]
    arrays: Mapping[str, np.ndarray]
    where: Where

    def run(self) -> list[ExpectedFactor]:
        factor, text = self.factor, self.factor.source.text or str(self.factor.expression)
        places, weights, count = self._places(factor.slots, factor.count)
        if factor.sums and weights:
            raise InputError(
                f"{text} sums over an index and over categories at once, which is not measured. "
                "Write the sum out, or drop one of the two."
            )
        expression = factor.expression
        if factor.kernel is not None:
            expression, places = self._with_kernel(expression, places)
        parts = coincidences(places, count)
        found = []
        for rows, merged in parts:
            chosen = places if len(parts) == 1 else take(places, rows, count)
            kept = [p for p in chosen if p.symbol not in merged]
            e = expression.xreplace(merged)
            if merged:
                e = sympy.powsimp(sympy.expand(e)) if e.is_polynomial(*merged.values()) else e
            some = weights
            if len(parts) > 1:
                some = [Weight(w.name, w.positions[rows], w.categories[rows]) for w in weights]
            latents = {p.symbol: self.families[p.name] for p in kept if p.positions is not None}
            sums = []
            for s in factor.sums:
                if len(parts) > 1:
                    raise InputError(f"{text} mixes a sum with points that coincide; split it.")
                inner, inner_weights, _ = self._places(s.slots, len(s.segments))
                if inner_weights:
                    raise InputError(
                        f"{text} sums discrete latents over an index, which is not measured yet. "
                        "Write the terms out."
                    )
                sums.append(sum_part(s, inner, self.families, count, self.where, kept))
            found.append(
                _assemble(text, e, kept, some, len(rows), latents, tuple(sums), self.where)
            )
        return found

    def _places(self, slots: Sequence[Slot], count: int) -> tuple[list[Place], list[Weight], int]:
        kinds = {f.name: f.categories for f in self.families.values() if f.discrete}
        dims = {f.name: f.vector for f in self.families.values()}
        text = self.factor.source.text
        return places_of(slots, count, kinds, dims, self.arrays, text)

    def _with_kernel(self, e: Expr, places: list[Place]) -> tuple[Expr, list[Place]]:
        """A joint prior's covariance matrix: a known array, or an expression of latents."""
        kernel = self.factor.kernel
        assert kernel is not None
        if any(s.latent for s in kernel.slots):
            raise InputError(
                f"{self.factor.source.text} has an unknown covariance, which is not measured yet. "
                "Set its parameters with --set."
            )
        env = {s.symbol: self.where.tensor(np.asarray(s.values)) for s in kernel.slots}
        row = places[0].positions if places[0].values is None else places[0].values
        size = np.asarray(row).shape[-1]
        cov = Program(kernel.expression)(env).expand(size, size).cpu().numpy()
        place = Place(kernel.symbol, kernel.symbol.name, None, steadied(cov), 2, whole=True)
        x, mean, _ = e.args
        return terms.mvn_log_density(x, mean, kernel.symbol), [*places, place]


def steadied(cov: np.ndarray) -> np.ndarray:
    """A covariance with just enough added to its diagonal to be positive definite.

    Smooth kernels at near points are singular in floating point; nothing is added where the
    matrix has a Cholesky factor as it is.
    """
    scale = float(np.mean(np.diagonal(cov)))
    for jitter in (0.0, 1e-12, 1e-10, 1e-8, 1e-6):
        try:
            np.linalg.cholesky(cov + jitter * scale * np.eye(len(cov)))
        except np.linalg.LinAlgError:
            continue
        return cov + jitter * scale * np.eye(len(cov))
    raise InputError("A covariance of the model is not positive definite. Check its kernel.")


def _assemble(
    text: str,
    expression: Expr,
    places: list[Place],
    weights: Sequence[Weight],
    count: int,
    families: Mapping[Symbol, Family],
    sums: tuple[SumPart, ...],
    where: Where,
) -> ExpectedFactor:
    renamed, places = signed(places)
    e = substituted(expression, families, renamed)
    latents = {p.symbol: _latent(p) for p in places if p.positions is not None}
    for s, family in families.items():
        if family.kind == "Dirichlet":
            latents |= _simplex(latents[s])
    for s in sums:
        if s.latent is not None:
            latents[s.latent.symbol] = s.latent
    values = Values(places, where)
    ranks = {p.symbol: p.rank for p in places if p.values is not None}
    for p in places:
        if p.positions is not None:
            logs = log_symbol(p.symbol)
            own = (p.symbol, mean_symbol(p.symbol), variance_symbol(p.symbol))
            ranks |= dict.fromkeys((*own, logs, mean_symbol(logs)), p.rank)
    derivation = Expectation(latents, span=_span(values, ranks))
    derived = simplify(derivation.derive(e))
    expected = derivation.of(derived)
    if any(i.sampled for i in derivation.integrals.values()) and any(
        f.kind == "Dirichlet" for f in families.values()
    ):
        raise InputError(
            f"{text} uses a point of a simplex in a way that has no closed-form mean, which is "
            "not measured. Its entries and their logarithms may enter linearly."
        )
    random = {x for v in latents.values() for x in _symbols(v)}
    random |= {i.symbol for i in derivation.integrals.values()}
    constant, varying = _split(expected, random, bool(weights))
    integrals = tuple(
        evaluated(i, places, count, ranks, sums, where) for i in derivation.integrals.values()
    )
    ranks |= {i.symbol: i.rank for i in integrals}
    program = Program(varying, ranks)
    level = 0.0
    if constant != 0:
        each = Program(constant, ranks)(values.known | _known_sums(sums))
        level = float(each.sum()) * (count / max(each.numel(), 1))
    normal = all(f.kind == "Normal" for f in families.values())
    linear = not weights and normal and all(s.affine for s in sums)
    return ExpectedFactor(
        text=text,
        count=count,
        values=values,
        expected=program,
        constant=level,
        integrals=integrals,
        sums=sums,
        weights=tuple(
            (w.name, Gather(w.positions, where), where.index(w.categories)) for w in weights
        ),
        sites=tuple((w.name, w.positions) for w in weights),
        pointwise=Program(derivation.elementary(derived), ranks),
        quadratic=linear and quadratic(derived, derivation),
        concave=linear and concave(derived, derivation),
        latents=tuple(sorted({f.name for f in families.values()} | {w.name for w in weights})),
        places=tuple(places),
    )


def _span(values: Values, ranks: Mapping[Symbol, int]) -> Callable[[Expr], tuple[float, float]]:
    """The range of a known expression over the instances; unbounded where it cannot be told."""

    def span(e: Expr) -> tuple[float, float]:
        if not e.free_symbols <= values.known.keys():
            return (-math.inf, math.inf)
        each = Program(e, ranks)(values.known)
        return (float(each.min()), float(each.max()))

    return span


def _known_sums(sums: Sequence[SumPart]) -> Environment:
    found: Environment = {}
    for s in sums:
        if s.latent is None:
            found |= s.known()
    return found


def _latent(p: Place) -> Latent:
    """An elementary Gaussian; coordinates of short vectors are roots of their own."""
    assert p.positions is not None
    separate = p.rank == 1
    if p.positions.ndim > 1:
        row = p.positions[0]
        separate = separate and len(np.unique(row)) == len(row)
    width = 64 if p.rank else 1
    roots = frozenset((p.symbol, k) for k in range(width))
    return Latent(
        p.symbol, mean_symbol(p.symbol), variance_symbol(p.symbol), roots, separate=separate
    )


def _simplex(point: Latent) -> dict[Symbol, Latent]:
    """A Dirichlet point and its logarithm: means alone are known, so only linear terms are."""
    logs = log_symbol(point.symbol)
    return {
        s: Latent(s, mean_symbol(s), sympy.nan, point.roots, gaussian=False)
        for s in (point.symbol, logs)
    }


def _symbols(latent: Latent) -> set[Symbol]:
    return set(latent.mean.free_symbols) | set(latent.variance.free_symbols)


def _split(e: Expr, random: set[Symbol], keep: bool) -> tuple[Expr, Expr]:
    """Terms without latents, and the others; all are 'others' where instances are weighted."""
    if keep:
        return sympy.Integer(0), e
    parts = sympy.Add.make_args(e)
    fixed = [a for a in parts if not a.free_symbols & random]
    return sympy.Add(*fixed), sympy.Add(*(a for a in parts if a.free_symbols & random))
