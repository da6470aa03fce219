"""``sum`` inside a density: its mean and variance from those of its independent terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import sympy
from sympy import Symbol
from torch import Tensor

from avi_theory.errors import InputError
from avi_theory.numeric.families import Family
from avi_theory.numeric.lowering.heads import Program
from avi_theory.numeric.lowering.latents import Latent
from avi_theory.numeric.lowering.moments import Expectation
from avi_theory.numeric.lowering.places import Place
from avi_theory.numeric.lowering.rewrite import signed, substituted
from avi_theory.numeric.lowering.values import (
    Environment,
    Marginals,
    Values,
    Where,
    elementary,
    mean_symbol,
    moment_symbols,
    variance_symbol,
)
from avi_theory.spec.grounding import GroundSum


@dataclass(frozen=True, eq=False)
class SumPart:
    """One ``sum``: Σ over segments of an inner expression.

    Attributes:
        symbol: that stands for the sum.
        latent: its moments, None if it is known.
        values: of the inner placeholders.
        mean, variance: inner moments per element (the variance None if the terms depend on each
            other).
        inner: the expression per element, for samples.
        segments: ``[E]``, which instance each element belongs to; count: instances.
        sites: the latent points of each element, by placeholder.
        affine: whether the sum is Gaussian.
        lawful: whether it holds latents with Gamma or Beta factors.
    """

    symbol: Symbol
    latent: Latent | None
    values: Values
    mean: Program
    variance: Program | None
    inner: Program
    segments: Tensor
    count: int
    sites: tuple[tuple[str, np.ndarray], ...]
    affine: bool
    integrals: tuple[Symbol, ...] = ()
    lawful: bool = False

    @property
    def names(self) -> frozenset[str]:
        """Latent variables inside."""
        return frozenset(name for name, _ in self.sites)

    @property
    def symbols(self) -> frozenset[Symbol]:
        """Its own symbol and those of its moments."""
        return frozenset((self.symbol, mean_symbol(self.symbol), variance_symbol(self.symbol)))

    def moments(self, q: Marginals, wanted: frozenset[Symbol]) -> Environment:
        """The sum's mean and variance for every instance, as far as wanted."""
        if self.latent is None:
            return self.known()
        needed = set(self.mean.symbols)
        if self.variance is not None:
            needed |= set(self.variance.symbols)
        env = self.values.moments(q, needed)
        found = {}
        if mean_symbol(self.symbol) in wanted:
            found[mean_symbol(self.symbol)] = self._collect(self.mean(env), 0)
        if variance_symbol(self.symbol) in wanted and self.variance is not None:
            found[variance_symbol(self.symbol)] = self._collect(self.variance(env), 0)
        return found

    def known(self) -> Environment:
        """The value of a sum without latents."""
        return {self.symbol: self._collect(self.inner(self.values.known), 0)}

    def samples(self, values: Mapping[str, Tensor], wanted: Sequence[Symbol]) -> Environment:
        """The sum at values ``[S, P]`` of the latents."""
        if self.symbol not in wanted:
            return {}
        if self.latent is None:
            return self.known()
        env = self.values.samples(values, self.inner.symbols)
        return {self.symbol: self._collect(self.inner(env), 1)}

    def _collect(self, each: Tensor, axis: int) -> Tensor:
        elements = len(self.segments)
        if each.dim() == axis:
            each = each.unsqueeze(axis)
        if each.shape[axis] == 1 and elements != 1:
            each = each.expand(*each.shape[:axis], elements, *each.shape[axis + 1 :])
        shape = list(each.shape)
        shape[axis] = self.count
        return each.new_zeros(shape).index_add(axis, self.segments, each)


def sum_part(
    s: GroundSum,
    places: list[Place],
    families: Mapping[str, Family],
    count: int,
    where: Where,
    outer: Sequence[Place],
) -> SumPart:
    """Lower one sum; its randomness overlaps with outer placeholders where points coincide."""
    kinds = {p.symbol: families[p.name] for p in places if p.positions is not None}
    renamed, places = signed(places)
    e = substituted(s.expression, kinds, renamed)
    latents = {
        p.symbol: elementary(
            p.symbol, families[p.name].law, frozenset({(p.symbol, 0)}), p.rank == 1
        )
        for p in places
        if p.positions is not None
    }
    derivation = Expectation(latents, prefix="s")
    e = derivation.derive(e)
    mean = derivation.of(e)
    affine = derivation.affine(e)
    shared = {n for p in places if p.positions is not None for n in families[p.name].unit}
    held = {p.name for p in (*places, *outer) if p.positions is not None}
    if len(shared & held) > 1 or any(families[p.name].full for p in places if p.name in families):
        raise InputError(
            f"The sum of {s.expression} holds latents with covariances of their own, which is not "
            "measured yet. Write the terms out, or give them factors of their own."
        )
    apart = _apart(places, s.segments)
    second = None
    if apart and affine is not None:
        second = affine.variance
    elif apart:
        second = derivation.of(sympy.expand(e**2)) - mean**2
    if derivation.integrals:
        raise InputError(
            f"The sum of {s.expression} has terms without a closed-form mean, which is not "
            "measured yet. Write the terms as statements of their own, or as a potential."
        )
    ranks = {p.symbol: p.rank for p in places}
    for p in places:
        ranks |= dict.fromkeys(moment_symbols(p.symbol), p.rank)
    latent = None
    if latents:
        latent = Latent(
            s.symbol,
            mean_symbol(s.symbol),
            variance_symbol(s.symbol) if second is not None else sympy.nan,
            frozenset({(s.symbol, 0)}) | _shared(places, s.segments, outer, count),
            affine is not None and apart,
        )
    return SumPart(
        s.symbol,
        latent,
        Values(places, where),
        Program(mean, ranks),
        Program(second, ranks) if second is not None else None,
        Program(derivation.elementary(e), ranks),
        where.index(s.segments),
        count,
        tuple((p.name, p.positions) for p in places if p.positions is not None),
        affine is not None,
        lawful=any(families[p.name].law != "normal" for p in places if p.positions is not None),
    )


def _apart(places: Sequence[Place], segments: np.ndarray) -> bool:
    """Whether no latent stands twice in one sum."""
    used: dict[str, list[np.ndarray]] = {}
    for p in places:
        if p.positions is not None:
            positions = np.broadcast_to(
                p.positions.reshape(len(p.positions), -1)[:, 0], (len(segments),)
            )
            used.setdefault(p.name, []).append(np.stack([segments, positions], 1))
    return all(
        len(np.unique(np.concatenate(rows), axis=0)) == sum(len(r) for r in rows)
        for rows in used.values()
    )


def _shared(
    places: Sequence[Place], segments: np.ndarray, outer: Sequence[Place], count: int
) -> frozenset[tuple[Symbol, int]]:
    """Roots of outer placeholders that stand inside the sum as well."""
    found = set()
    for p in outer:
        if p.positions is None:
            continue
        for inner in (i for i in places if i.positions is not None and i.name == p.name):
            assert inner.positions is not None
            at = np.broadcast_to(inner.positions.reshape(len(inner.positions), -1)[:, 0],
                                 (len(segments),))  # fmt: skip
            own = np.broadcast_to(p.positions.reshape(len(p.positions), -1)[:, :1], (count, 1))[
                segments, 0
            ]
            if np.any(at == own):
                found |= {(p.symbol, k) for k in range(64)}
    return frozenset(found)
