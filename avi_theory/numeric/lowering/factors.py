r"""Ground factors as torch functions of the variational factors: E_q[log p], term by term.

.. math:: \mathbb E_q[\log p] = \sum_f \sum_{i} \sum_c q(c)\, \mathbb E_{q}[e_f(u; c, i)]

`expected_factors` is the bridge between the declared density (sympy) and its measurement (torch).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import sympy
from sympy import Expr, Symbol

from avi_theory.errors import InputError
from avi_theory.numeric.families import Family
from avi_theory.numeric.lowering.curvature import concave, quadratic
from avi_theory.numeric.lowering.expected import ExpectedFactor
from avi_theory.numeric.lowering.heads import Program
from avi_theory.numeric.lowering.integrals import evaluated
from avi_theory.numeric.lowering.latents import Latent
from avi_theory.numeric.lowering.moments import Expectation
from avi_theory.numeric.lowering.places import Place, Weight, coincidences, places_of, take
from avi_theory.numeric.lowering.rewrite import log_slope, signed, simplify, substituted
from avi_theory.numeric.lowering.sums import SumPart, sum_part
from avi_theory.numeric.lowering.values import (
    Environment,
    Gather,
    Values,
    Where,
    covariance_symbol,
    elementary,
    link_symbol,
    log_symbol,
    mean_symbol,
    moment_symbols,
)
from avi_theory.spec import terms
from avi_theory.spec.grounding import Ground, GroundFactor, Slot


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
        if not f.real or f.kind == "Point" or log_slope(f, u) == 0:
            continue
        place = Place(u, f.name, np.arange(f.points), None, int(f.vector))
        e = log_slope(f, u)
        if f.vector:
            e = terms.total(e)
        plain = replace(f, chart="identity")
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
        units = {f.name: f.unit for f in self.families.values()}
        parts = coincidences(places, count, units)
        found = []
        for rows, merged, linked in parts:
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
                _assemble(text, e, kept, some, len(rows), latents, tuple(sums), self.where, linked)
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
    linked: Sequence[tuple[Symbol, Symbol]] = (),
) -> ExpectedFactor:
    renamed, places = signed(places)
    e = substituted(expression, families, renamed)
    latents = {p.symbol: _latent(p, families) for p in places if p.positions is not None}
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
            ranks |= dict.fromkeys((p.symbol, *moment_symbols(p.symbol)), p.rank)
            ranks[covariance_symbol(p.symbol)] = 2
    links = {frozenset(pair): link_symbol(*pair) for pair in linked}
    for pair in linked:
        for s in pair:  # a root in common: they are not independent
            latents[s] = replace(latents[s], roots=latents[s].roots | {(link_symbol(*pair), 0)})
    derivation = Expectation(latents, span=_span(values, ranks), links=links)
    derived = simplify(derivation.derive(e))
    expected = derivation.of(derived)
    sampled = any(i.sampled for i in derivation.integrals.values())
    if sampled and any(s.lawful for s in sums):
        raise InputError(
            f"{text} uses a sum of latents with Gamma or Beta factors in a way that has no "
            "closed-form mean, which is not measured. Give them other factors, as in --factor "
            "z=lognormal."
        )
    if sampled and any(f.kind == "Dirichlet" for f in families.values()):
        raise InputError(
            f"{text} uses a point of a simplex in a way that has no closed-form mean, which is "
            "not measured. Its entries and their logarithms may enter linearly."
        )
    random = {x for v in latents.values() for x in v.symbols} | set(links.values())
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
    normal = all(f.kind in ("Normal", "FullNormal") for f in families.values())
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


def _latent(p: Place, families: Mapping[Symbol, Family]) -> Latent:
    """An elementary latent; coordinates of short vectors are roots of their own."""
    assert p.positions is not None
    separate = p.rank == 1
    if p.positions.ndim > 1:
        row = p.positions[0]
        separate = separate and len(np.unique(row)) == len(row)
    width = 64 if p.rank else 1
    roots = frozenset((p.symbol, k) for k in range(width))
    family = families[p.symbol]
    return elementary(p.symbol, family.law, roots, separate, family.full > 0)


def _simplex(point: Latent) -> dict[Symbol, Latent]:
    """A Dirichlet point and its logarithm: means alone are known, so only linear terms are."""
    logs = log_symbol(point.symbol)
    return {
        s: Latent(s, mean_symbol(s), sympy.nan, point.roots, gaussian=False)
        for s in (point.symbol, logs)
    }


def _split(e: Expr, random: set[Symbol], keep: bool) -> tuple[Expr, Expr]:
    """Terms without latents, and the others; all are 'others' where instances are weighted."""
    if keep:
        return sympy.Integer(0), e
    parts = sympy.Add.make_args(e)
    fixed = [a for a in parts if not a.free_symbols & random]
    return sympy.Add(*fixed), sympy.Add(*(a for a in parts if a.free_symbols & random))
