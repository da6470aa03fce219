r"""Where the parameter tables come from: free tables (F-VI), or functions of inputs (A-VI).

.. math:: \nu_n = \text{row } n \text{ of a free table},\quad\text{or}\quad \nu_n = f_\phi(w_n)

Both are a `Parametrisation` of the same tables, so both families share one objective and one
solver; globals are free in both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from avi_theory.errors import InputError
from avi_theory.numeric import laws
from avi_theory.numeric.coupling import Coupling
from avi_theory.numeric.families import Family, natural
from avi_theory.numeric.functions import function_named
from avi_theory.numeric.inputs import Sight
from avi_theory.numeric.lowering import Where
from avi_theory.numeric.partial import Partial
from avi_theory.numeric.solve.gauss_newton import Block as Curved
from avi_theory.numeric.solve.gauss_newton import Diagonal, Gram
from avi_theory.spec.bound import Bound


class Block(Protocol):
    """The parameters behind one variable's table."""

    @property
    def size(self) -> int:
        """Number of parameters."""

    def table(self, p: Tensor) -> Tensor:
        """``[P, dim, width]``."""

    def start(self, table: Tensor) -> Tensor:
        """Parameters near a table."""

    def scales(self, fisher: Tensor) -> Tensor:
        """The metric pulled back."""

    def jacobian(self, p: Tensor) -> Tensor:
        """Of the flat table in the parameters."""


@dataclass(frozen=True)
class Free:
    """A table of free parameters: it ignores the inputs."""

    family: Family

    @property
    def size(self) -> int:
        """Number of parameters."""
        return int(np.prod(self.family.shape))

    def table(self, p: Tensor) -> Tensor:
        """The parameters themselves."""
        return p.reshape(self.family.shape)

    def start(self, table: Tensor) -> Tensor:
        """The table itself."""
        return table.reshape(-1)

    def jacobian(self, p: Tensor) -> Tensor:
        """The identity."""
        return torch.eye(self.size, dtype=p.dtype, device=p.device)

    def scales(self, fisher: Tensor) -> Tensor:
        """The Fisher information itself."""
        return fisher.reshape(-1)


class Amortized:
    """A function of the inputs; points with incomplete inputs have parameters of their own."""

    def __init__(self, family: Family, function: Any, inputs: Sight, where: Where) -> None:
        self.family, self.function, self.inputs = family, function, inputs
        inner, edge = np.flatnonzero(inputs.complete), np.flatnonzero(~inputs.complete)
        order = np.empty(family.points, np.int64)
        order[inner] = np.arange(len(inner))
        order[edge] = len(inner) + np.arange(len(edge))
        self._inner, self._edge = where.index(inner), where.index(edge)
        self._order = where.index(order)
        self._edges = (len(edge), family.dim, family.width)
        self.edge_points = edge
        cases = 0 if function.smooth else len(function.cases)
        drawn = np.random.default_rng(0).permutation(cases)[:MOST_SEEN]
        self._seen = where.index(np.sort(drawn))
        self.size = function.size + int(np.prod(self._edges))

    def table(self, p: Tensor) -> Tensor:
        """The function's rows and the edges' own, in the order of the points."""
        k = self.function.size
        rows = self.function.table(p[:k])
        if not self._edges[0]:
            return rows
        return torch.cat([rows, p[k:].reshape(self._edges)]).index_select(0, self._order)

    def start(self, table: Tensor) -> Tensor:
        """The function fitted to the inner rows, the edges as they are."""
        edges = table.index_select(0, self._edge).reshape(-1)
        return torch.cat([self.function.start(table.index_select(0, self._inner)), edges])

    def jacobian(self, p: Tensor) -> Tensor:
        """Of the flat table in the parameters, ``[P·dim·width, n]``."""
        k, each = self.function.size, self.family.dim * self.family.width
        found = p.new_zeros(self.family.points, each, self.size)
        found[self._inner, :, :k] = self.function.cases.spread(self.function.jacobian(p[:k]))
        edges = torch.eye(self.size - k, dtype=p.dtype, device=p.device)
        found[self._edge, :, k:] = edges.reshape(len(self._edge), each, self.size - k)
        return found.reshape(-1, self.size)

    def curvature(self, p: Tensor, fisher: Tensor) -> list[Curved]:
        """JᵀFJ of a network, estimated on some cases if they are many; the metric of the edges."""
        rows, size, cases = self._seen, self.function.size, self.function.cases
        jacobian = self.function.jacobian(p[:size], rows).reshape(-1, size)
        metric = cases.pooled(fisher.index_select(0, self._inner))[rows].reshape(-1, 1)
        if len(rows):
            metric = metric * (len(cases) / len(rows))
        edges = fisher.index_select(0, self._edge).reshape(-1)
        gram = Gram(metric.sqrt() * jacobian)
        return [gram, Diagonal(edges)] if len(edges) else [gram]

    def scales(self, fisher: Tensor) -> Tensor:
        """The metric pulled back through the function."""
        edges = fisher.index_select(0, self._edge).reshape(-1)
        return torch.cat([self.function.scales(fisher.index_select(0, self._inner)), edges])


MOST_WEIGHTS, MOST_CELLS = 6000, 40_000_000
"""Networks with more weights, or larger Jacobians, are not given curvature matrices."""
MOST_SEEN = 2000
"""So many cases, drawn once, tell a network's curvature; its gradient sees all points."""
MOST_STEPPED = 240
"""Rows of a Jacobian beyond which tens of gradients cost less than one matrix from it."""


def _seen(function: Any) -> int:
    """Rows of the Jacobian that is formed."""
    return min(len(function.cases), MOST_SEEN) * int(function.unit.numel())


@dataclass(frozen=True, eq=False)
class Parametrisation:
    """A flat parameter vector for all tables.

    Attributes:
        families: of every latent.
        blocks: by variable.
        couplings: what functions receive from neighbours with factors of their own, by variable;
            their parameters follow those of the blocks.
    """

    families: Mapping[str, Family]
    blocks: Mapping[str, Block]
    couplings: Mapping[str, Coupling] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Number of parameters."""
        return sum(self._sizes)

    @property
    def _sizes(self) -> list[int]:
        return [*(b.size for b in self.blocks.values()), *(c.size for c in self.couplings.values())]

    @property
    def smooth(self) -> bool:
        """Whether Newton's method serves all its functions."""
        return all(b.function.smooth for b in self.blocks.values() if isinstance(b, Amortized))

    @property
    def plain(self) -> bool:
        """Whether the parameters are the tables' own entries, in order: F-VI."""
        return all(isinstance(b, Free) for b in self.blocks.values())

    def _parts(self, p: Tensor) -> dict[str, Tensor]:
        return dict(zip(self.blocks, torch.split(p, self._sizes), strict=False))

    def _terms(self, p: Tensor) -> dict[str, Tensor]:
        parts = torch.split(p, self._sizes)[len(self.blocks) :]
        return dict(zip(self.couplings, parts, strict=True))

    def tables(self, p: Tensor) -> dict[str, Tensor]:
        """Parameter tables ``[P, dim, width]`` by variable."""
        parts = self._parts(p)
        found = {name: b.table(parts[name]) for name, b in self.blocks.items()}
        terms = self._terms(p)
        added = {n: c.added(found[n], found, terms[n]) for n, c in self.couplings.items()}
        return {**found, **added}

    def start(self, tables: Mapping[str, Tensor]) -> Tensor:
        """Parameters near given tables."""
        parts, terms = [], {}
        for name, b in self.blocks.items():
            if name in self.couplings:
                own, terms[name] = self.couplings[name].start(tables[name], tables, b)
            else:
                own = b.start(tables[name])
            parts.append(own)
        return torch.cat([*parts, *(terms[name] for name in self.couplings)])

    def scales(self, p: Tensor) -> Tensor:
        """The diagonal metric: the Fisher information of q in these parameters, kept positive."""
        with torch.no_grad():
            tables = self.tables(p)
            own = {n: fisher(f, tables[n]) for n, f in self.families.items()}
            parts = [b.scales(own[n]) for n, b in self.blocks.items()]
            parts += [c.scales(own[n]) for n, c in self.couplings.items()]
        return torch.cat(parts).clamp_min(1e-12)

    @property
    def curved(self) -> bool:
        """Whether `curvature` is affordable."""
        networks = [b.function for b in self._networks]
        return all(f.size <= MOST_WEIGHTS and f.size * _seen(f) <= MOST_CELLS for f in networks)

    @property
    def stepped(self) -> bool:
        """Whether `curvature` is exact and cheap enough to be formed at every step."""
        return all(
            len(b.function.cases) * b.function.unit.numel() <= MOST_STEPPED for b in self._networks
        )

    @property
    def _networks(self) -> list[Amortized]:
        return [
            b for b in self.blocks.values() if isinstance(b, Amortized) and not b.function.smooth
        ]

    def curvature(self, p: Tensor, metric: Mapping[str, Tensor] | None = None) -> list[Curved]:
        """JᵀFJ by block: of a network's Jacobian, a diagonal for all other parameters."""
        found: list[Curved] = []
        with torch.no_grad():
            tables, parts = self.tables(p), self._parts(p)
            for name, b in self.blocks.items():
                own = metric[name] if metric else fisher(self.families[name], tables[name])
                if isinstance(b, Amortized) and not b.function.smooth:
                    found += b.curvature(parts[name], own)
                else:
                    found.append(Diagonal(b.scales(own).clamp_min(1e-12)))
            for name, c in self.couplings.items():
                own = metric[name] if metric else fisher(self.families[name], tables[name])
                found.append(Diagonal(c.scales(own).clamp_min(1e-12)))
        return found

    @property
    def rows(self) -> int:
        """The number of entries of all tables together."""
        return sum(int(np.prod(f.shape)) for f in self.families.values())

    def split(self, flat: Tensor) -> dict[str, Tensor]:
        """All tables from one flat vector of their entries."""
        sizes = [int(np.prod(f.shape)) for f in self.families.values()]
        parts = torch.split(flat, sizes)
        return {
            name: x.reshape(f.shape)
            for (name, f), x in zip(self.families.items(), parts, strict=True)
        }

    def jacobian(self, p: Tensor) -> Tensor:
        """Of all tables' entries in the parameters, ``[rows, n]``."""
        if self.couplings:
            return torch.func.jacrev(self._flat)(p)
        parts = self._parts(p)
        return torch.block_diag(*(b.jacobian(parts[name]) for name, b in self.blocks.items()))

    def _flat(self, p: Tensor) -> Tensor:
        return torch.cat([t.reshape(-1) for t in self.tables(p).values()])

    def part(self, p: Tensor, name: str) -> Tensor:
        """The parameters of one variable's block."""
        return self._parts(p)[name]


def fisher(family: Family, table: Tensor) -> Tensor:
    r"""The diagonal Fisher information of the factors in their parameters, ``[P, dim, width]``.

    .. math:: 1/s^2 \text{ for a mean},\quad 2 \text{ for a log sd},\quad p(1-p) \text{ for a logit}
    """
    if family.discrete:
        p = family.factors(table).probability[:, None, :-1]
        return (p * (1 - p)).clamp_min(1e-8)
    if family.kind == "Dirichlet":
        alpha = table.exp()
        return (alpha**2 * torch.polygamma(1, alpha)).clamp_min(1e-8)
    if family.kind == "Point":
        return torch.ones_like(table)
    if family.law != "normal":
        return laws.fisher(family.law, *natural(family.law, table)).clamp_min(1e-8)
    if family.full:
        d = family.full
        mean = torch.exp(-2 * table[..., d : 2 * d].clamp(-300, 300))
        rest = torch.ones_like(table[..., 2 * d :])
        return torch.cat([mean, torch.full_like(mean, 2.0), rest], -1)
    mean = torch.exp(-2 * table[..., 1].clamp(-300, 300))
    if family.unit:
        rest = torch.ones_like(table[..., 2:])
        return torch.cat([mean[..., None], torch.full_like(mean, 2.0)[..., None], rest], -1)
    return torch.stack([mean, torch.full_like(mean, 2.0)], -1)


def free(families: Mapping[str, Family]) -> Parametrisation:
    """F-VI: every latent has its own factor."""
    return Parametrisation(families, {name: Free(f) for name, f in families.items()})


def amortized(
    bound: Bound,
    families: Mapping[str, Family],
    inputs: Mapping[str, Sequence[str]],
    function: str,
    where: Where,
    *,
    seed: int,
    partial: Partial | None = None,
) -> Parametrisation:
    """A-VI: each local variable has one function of its inputs; globals are free.

    Args:
        bound: the model and data.
        families: of every latent.
        inputs: by local variable.
        function: by name, one of `avi_theory.numeric.functions.FUNCTIONS`.
        where: device and dtype.
        seed: of the network's initial weights.
        partial: the locals that keep factors of their own.

    Raises:
        InputError: an unknown function or input.
    """
    name, partial = function_named(function), partial or Partial()
    declared = {v.name: v for v in bound.model.locals if not partial.whole(v.name)}
    sights, received = partial.seen(
        {n: name.look(bound, v, inputs.get(n, ())) for n, v in declared.items()}
    )
    blocks: dict[str, Block] = {}
    couplings: dict[str, Coupling] = {}
    for variable, f in families.items():
        if variable not in sights:
            blocks[variable] = Free(f)
            continue
        sees = sights[variable]
        if f.points and not sees.complete.any():
            raise InputError(
                f"No {declared[variable]} has all of its inputs {', '.join(sees.texts)}: cells are "
                "missing. Give fewer inputs, or a function with masks: set:32, recurrent:16."
            )
        built = name.build(f, sees.fitted, sees.layout, where, seed)
        blocks[variable] = Amortized(f, built, sees, where)
        if variable in received:
            served = np.flatnonzero(sees.complete)
            near = [(v, cells[served]) for _, v, cells in received[variable]]
            couplings[variable] = Coupling(
                f, families, served, near, scale=not built.smooth, where=where
            )
    return Parametrisation(families, blocks, couplings)
