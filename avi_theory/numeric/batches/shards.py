"""A model's data in batches of units, each lowered when it is needed and forgotten soon after."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from avi_theory.errors import InputError
from avi_theory.numeric.elbo import Elbo, elbo_of
from avi_theory.numeric.families import Family
from avi_theory.numeric.lowering import ExpectedFactor, Where
from avi_theory.spec.bound import Bound
from avi_theory.spec.units import Units

CACHED = 100_000
"""Units whose lowered batches are kept for the next pass."""
TRIED = (0, 2, 3, 5, 6, 7)
"""Units on which the splitting of the ELBO is verified."""


@dataclass(frozen=True, eq=False)
class Shard:
    """One batch of units, lowered.

    Attributes:
        number: of the batch.
        bound: its units as a data set.
        elbo: of that data set, globals and all.
        repeated: statements that have instances in every unit.
        low: the first value of the unit's letter; letter: of the unit.
    """

    number: int
    bound: Bound
    elbo: Elbo
    repeated: frozenset[str]
    letter: str
    low: int

    @cached_property
    def locals(self) -> dict[str, Family]:
        """Families of the locals."""
        names = {v.name for v in self.bound.model.locals}
        return {n: f for n, f in self.elbo.families.items() if n in names}

    def own(self, tables: Mapping[str, Tensor]) -> Tensor:
        """E_k: what the batch's units add to the ELBO, in nats."""
        return self._sum(tables, True, set(self.locals))

    def shared(self, tables: Mapping[str, Tensor]) -> Tensor:
        """G: what belongs to no unit, the same in every batch."""
        return self._sum(tables, False, set(self.elbo.families) - set(self.locals))

    def _sum(self, tables: Mapping[str, Tensor], repeated: bool, names: set[str]) -> Tensor:
        elbo = self.elbo
        q = {n: f.factors(tables[n]) for n, f in elbo.families.items() if n in tables}
        parts = [f.value(q, elbo.noise) for f in elbo.factors
                 if (f.text in self.repeated) == repeated]  # fmt: skip
        parts += [f.entropy(q[n]) for n, f in elbo.families.items() if n in names]
        zero = torch.zeros((), dtype=elbo.where.dtype, device=elbo.where.device)
        return torch.stack([zero, *parts]).sum()

    def unit_of(self, name: str) -> np.ndarray:
        """The unit of each point of a local, from 0."""
        table = self.bound.tables[name]
        return np.asarray(table.points[:, table.letters.index(self.letter)] - self.low)


@dataclass(eq=False)
class Shards:
    """All batches of a data set.

    Args:
        units: the data set.
        size: units in a batch; where: device and dtype; samples, seed: of Monte Carlo.
        factors: the kinds of factors that were chosen.
        levels: how often a statement's quadrature is refined; repeated: as in `Shard`.

    Attributes:
        concave: whether every batch so far has one optimum; latents: of each batch so far.
    """

    units: Units
    size: int
    where: Where
    samples: int = 256
    seed: int = 0
    factors: Mapping[str, str] | None = None
    levels: dict[str, int] = field(default_factory=dict)
    repeated: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self._parts = self._divided()
        self._kept: OrderedDict[int, Shard] = OrderedDict()
        self.concave = True
        self.latents: dict[int, int] = {}
        if not self.repeated:
            self.repeated = self._verified()

    def __len__(self) -> int:
        return len(self._parts)

    def __getitem__(self, number: int) -> Shard:
        if number in self._kept:
            self._kept.move_to_end(number)
            return self._kept[number]
        shard = self._lowered(number, self._parts[number], self.seed + 1 + number)
        self._kept[number] = shard
        self.concave &= shard.elbo.concave
        self.latents[number] = shard.bound.latents
        while len(self._kept) > max(1, CACHED // self.size):
            self._kept.popitem(last=False)
        return shard

    def refined(self, levels: Mapping[str, int]) -> None:
        """Use finer quadrature for some statements from now on."""
        self.levels = {**self.levels, **levels}
        self._kept.clear()

    def reseeded(self, seed: int) -> Shards:
        """The same batches with other random numbers."""
        return Shards(
            self.units, self.size, self.where, self.samples, seed, self.factors, self.levels,
            self.repeated,
        )  # fmt: skip

    def sample(self, most: int) -> Bound:
        """Some units at random, bound as one data set."""
        count = min(most, len(self.units))
        chosen = np.random.default_rng(self.seed).permutation(len(self.units))[:count]
        return self.units.take(np.sort(chosen))

    def _divided(self) -> list[np.ndarray]:
        """Random parts of nearly equal size, the same for a seed; one part in its own order."""
        count = len(self.units)
        parts = -(-count // self.size)
        order = np.random.default_rng(self.seed).permutation(count)
        return [np.sort(order[k::parts]) for k in range(parts)]

    def _lowered(self, number: int, places: np.ndarray, seed: int) -> Shard:
        bound = self.units.take(places)
        elbo = elbo_of(
            bound, self.where, samples=self.samples, seed=self.seed, factors=self.factors
        )
        if elbo.sampled:
            own = elbo.with_noise(seed).noise
            names = {v.name for v in bound.model.locals}
            noise = {n: own[n] if n in names else x for n, x in elbo.noise.items()}
            elbo = replace(elbo, noise=noise)
        if self.levels:
            factors = tuple(refined(f, self.levels.get(f.text, 0)) for f in elbo.factors)
            elbo = replace(elbo, factors=factors)
        return Shard(number, bound, elbo, self.repeated, self.units.letter, self.units.low)

    def _verified(self) -> frozenset[str]:
        """Statements with instances in every unit, after a test that the ELBO is a sum over units.

        Raises:
            InputError: units that interact, positions that matter, or latents of no unit.
        """
        count = len(self.units)
        if count < len(TRIED) + 2:
            raise InputError(
                f"There are {count} units [{self.units.letter}]; batches are for many. "
                "Measure without batch."
            )
        groups = [np.asarray(TRIED[k::2]) for k in (0, 1)]
        union = self._lowered(0, np.asarray(TRIED), self.seed)
        halves = [self._lowered(0, g, self.seed) for g in groups]
        repeated = frozenset(
            text for text, n in _counts(union.elbo).items()
            if any(_counts(h.elbo).get(text, 0) != n for h in halves)
        )  # fmt: skip
        union = replace(union, repeated=repeated)
        halves = [replace(h, repeated=repeated) for h in halves]
        for name in union.locals:
            letters = union.bound.tables[name].letters
            if union.letter not in letters or union.unit_of(name).max() >= len(TRIED):
                raise self._refusal(f"{union.bound.model.variables[name]} belongs to no unit")
        tables = _drawn(union, self.seed)
        for name, family in union.elbo.families.items():
            if name not in union.locals and halves[0].elbo.families[name].shape != family.shape:
                raise self._refusal(f"{union.bound.model.variables[name]} grows with the units")
        if union.elbo.sampled:
            return repeated
        parts = []
        for group in groups:
            inside = np.searchsorted(np.asarray(TRIED), group)
            own = {
                n: t[self.where.index(np.flatnonzero(np.isin(union.unit_of(n), inside)))]
                if n in union.locals else t
                for n, t in tables.items()
            }  # fmt: skip
            parts.append(own)
        with torch.no_grad():
            whole = float(union.own(tables))
            added = sum(float(h.own(t)) for h, t in zip(halves, parts, strict=True))
            levels = [float(union.shared(tables)), *(float(h.shared(tables)) for h in halves)]
        slack = 1e3 * torch.finfo(self.where.dtype).eps * (1 + abs(whole) + abs(levels[0]))
        if abs(whole - added) > slack or max(levels) - min(levels) > slack:
            raise self._refusal(
                "the ELBO of some units together is not the sum of their own: they interact, or "
                "their position or number enters a density"
            )
        return repeated

    def _refusal(self, why: str) -> InputError:
        return InputError(
            f"{self.units.model.name} cannot be measured in batches of units "
            f"[{self.units.letter}]: {why}. Measure without batch."
        )


def refined(factor: ExpectedFactor, times: int) -> ExpectedFactor:
    """A factor whose quadrature has its spacing halved some times."""
    smooth = [i.symbol for i in factor.integrals if not i.sampled]
    for _ in range(times):
        factor = factor.refined(smooth)
    return factor


def _counts(elbo: Elbo) -> dict[str, int]:
    found: dict[str, int] = {}
    for f in elbo.factors:
        found[f.text] = found.get(f.text, 0) + f.count
    return found


def _drawn(shard: Shard, seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        n: (0.3 * torch.randn(f.shape, generator=generator, dtype=torch.float64)).to(
            shard.elbo.where.device, shard.elbo.where.dtype
        )
        for n, f in shard.elbo.families.items()
    }
