"""Discrete latents arranged in chains: which site follows which, and what their tables hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from avi_theory.numeric.chains import DiscreteChain
from avi_theory.numeric.elbo import Elbo
from avi_theory.numeric.lowering import ExpectedFactor

Part = tuple[ExpectedFactor, Tensor]
"""A factor and its log density per draw and enumerated instance, ``[D, I]``."""


@dataclass(frozen=True, eq=False)
class Layout:
    """The sites of some discrete variables, chain after chain.

    Attributes:
        first: of each variable, the number of its first site.
        place: of each site, its place in the concatenation of all chains.
        starts: the place where each chain begins, and the number of sites.
        states: S, the same at every site.
    """

    first: dict[str, int]
    place: np.ndarray
    starts: np.ndarray
    states: int

    def chains(self, parts: Sequence[Part], draws: int) -> Iterator[tuple[DiscreteChain, Tensor]]:
        """Batches of chains of similar length, and the places of their steps ``[B, T]``.

        Each batch repeats its sequences once per draw, draws outermost.
        """
        unary, pair = self._tables(parts, draws)
        inner = np.ones(len(self.place), bool)
        inner[self.starts[1:] - 1] = False
        moves = pair[:, torch.as_tensor(np.flatnonzero(inner))]
        shared = len(pair) == 1 and bool((moves == moves[:, :1]).all())
        counts = np.diff(self.starts)
        scale = np.ceil(np.log2(counts)).astype(int)
        for kind in np.unique(scale):
            rows = np.flatnonzero(scale == kind)
            longest = int(counts[rows].max())
            steps = np.minimum(np.arange(longest), counts[rows, None] - 1)
            at = torch.as_tensor(self.starts[rows, None] + steps, device=unary.device)
            emission = unary[:, at].flatten(0, 1)
            s, batch = self.states, draws * len(rows)
            if longest == 1 or shared:
                one = moves[0, 0] if moves.shape[1] else unary.new_zeros(s, s)
                transition = one if longest > 1 else one.expand(0, s, s)
            elif len(pair) == 1 and len(rows) == 1:
                transition = pair[0, at[0, :-1]]
            else:
                each = pair[:, at[:, :-1]].expand(draws, -1, -1, -1, -1)
                transition = each.reshape(batch, longest - 1, s, s)
            lengths = torch.as_tensor(np.tile(counts[rows], draws), device=unary.device)
            whole = bool((counts[rows] == longest).all())
            chain = DiscreteChain(unary.new_zeros(s), transition, emission,
                                  None if whole else lengths)  # fmt: skip
            yield chain, at

    def _tables(self, parts: Sequence[Part], draws: int) -> tuple[Tensor, Tensor]:
        """Log potentials of every place ``[D, N, S]`` and from it to the next ``[D, N, S, S]``.

        The latter for one draw alone where no draw changes it.
        """
        s, n = self.states, len(self.place)
        like = parts[0][1]
        unary = like.new_zeros(draws, n * s)
        varies = any(len(f.sites) == 2 and len(each) > 1 for f, each in parts)
        pair = like.new_zeros(draws if varies else 1, n * s * s)
        for factor, each in parts:
            at = [self.place[self.first[name] + points] for name, points in factor.sites]
            states = [c.cpu().numpy() for _, _, c in factor.weights]
            if len(at) == 1:
                index = torch.as_tensor(at[0] * s + states[0], device=like.device)
                unary.index_add_(1, index, each.expand(draws, -1))
                continue
            forward = at[0] < at[1]
            left, row = np.where(forward, at[0], at[1]), np.where(forward, *states)
            cell = (left * s + row) * s + np.where(forward, *states[::-1])
            index = torch.as_tensor(cell, device=like.device)
            pair.index_add_(1, index, each.expand(len(pair), -1))
        return unary.view(draws, n, s), pair.view(-1, n, s, s)


def layout_of(elbo: Elbo, names: Sequence[str]) -> Layout | None:
    """The chains that these discrete variables form; None if they do not form chains.

    They do if every factor holds at most two of their sites, and the pairs link the sites to
    paths: no site with three neighbours, no circle, one number of states.
    """
    states = {elbo.families[n].categories for n in names}
    if len(states) != 1:
        return None
    ends = np.cumsum([0, *(elbo.families[n].points for n in names)])
    first = dict(zip(names, ends[:-1].tolist(), strict=True))
    pairs = [np.zeros((0, 2), np.int64)]
    for factor in elbo.factors:
        sites = [first[name] + points for name, points in factor.sites if name in first]
        if len(sites) > 2 or (sites and len(sites) != len(factor.sites)):
            return None
        if len(sites) == 2:
            pairs.append(np.stack(sites, -1))
    links = np.unique(np.sort(np.concatenate(pairs), 1), axis=0)
    found = _paths(int(ends[-1]), links)
    if found is None:
        return None
    order, starts = found
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return Layout(first, place, starts, states.pop())


def _paths(count: int, links: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Sites in the order of their paths, and where each path starts; None if they are not paths."""
    degree = np.bincount(links.ravel(), minlength=count)
    if np.any(links[:, 0] == links[:, 1]) or np.any(degree > 2):
        return None
    near: list[list[int]] = [[] for _ in range(count)]
    for a, b in links.tolist():
        near[a].append(b)
        near[b].append(a)
    order: list[int] = []
    starts = []
    seen = np.zeros(count, bool)
    for end in np.flatnonzero(degree < 2).tolist():
        if seen[end]:
            continue
        starts.append(len(order))
        before, site = -1, end
        while site >= 0:
            order.append(site)
            seen[site] = True
            before, site = site, next((x for x in near[site] if x != before), -1)
    if len(order) < count:
        return None  # what is left lies on circles
    return np.asarray(order), np.asarray([*starts, count])
