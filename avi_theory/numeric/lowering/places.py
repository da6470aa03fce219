"""Slots of a ground factor made plain: categories enumerated, coinciding points merged.

A factor with discrete latents becomes one instance per instance and joint category, weighted by
their probabilities: what a category selects (``mu[c[n]]``, ``A[z[t-1], z[t]]``) is then an ordinary
gather, and an expectation over it an exact sum.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from sympy import Symbol

from avi_theory.errors import InputError
from avi_theory.spec.grounding import Slot

MAX_CELLS = 50_000_000


@dataclass(frozen=True, eq=False)
class Place:
    """A placeholder with its values or positions, selectors resolved.

    Attributes:
        symbol, name: as in `Slot`.
        positions: ``[I]`` or ``[I, L]`` (or 1 for I) into the latent's table; None if known.
        values: of a known placeholder, instances first unless `whole`; None if latent.
        rank: coordinate axes of its values.
        whole: whether the values are one array for all instances.
    """

    symbol: Symbol
    name: str
    positions: np.ndarray | None
    values: np.ndarray | None
    rank: int = 0
    whole: bool = False


@dataclass(frozen=True, eq=False)
class Weight:
    """The probability that a discrete latent takes the category of each enumerated instance."""

    name: str
    positions: np.ndarray
    categories: np.ndarray


def places_of(
    slots: Sequence[Slot],
    count: int,
    categories: Mapping[str, int],
    dims: Mapping[str, bool],
    arrays: Mapping[str, np.ndarray],
    text: str,
) -> tuple[list[Place], list[Weight], int]:
    """Enumerate the joint categories of a factor's discrete latents.

    Args:
        slots: of the factor.
        count: its instances I.
        categories: the number of categories of each discrete latent variable.
        dims: whether each variable is vector-valued.
        arrays: known values, to tell an array literal from values per instance.
        text: the statement, for messages.

    Returns:
        Places without selectors, the weights, and the number of enumerated instances.

    Raises:
        InputError: too many joint categories.
    """
    chooser = [s for s in slots if s.latent and s.name in categories]
    kinds = [categories[s.name] for s in chooser]
    joint = math.prod(kinds)
    if count * joint > MAX_CELLS:
        raise InputError(
            f"{text} has {count:,} × {joint:,} joint categories, too many to sum over. "
            "Use fewer categories, or fewer discrete latents in one statement."
        )
    grid = np.indices(kinds).reshape(len(kinds), joint) if kinds else np.zeros((0, 1), int)
    instance = np.repeat(np.arange(count), joint)
    chosen = {s.symbol: np.tile(g, count) for s, g in zip(chooser, grid, strict=True)}
    weights = [Weight(s.name, _positions(s)[instance], chosen[s.symbol]) for s in chooser]
    found = []
    for s in slots:
        if s in chooser:
            found.append(Place(s.symbol, s.name, None, chosen[s.symbol].astype(float)))
        else:
            found.append(_place(s, instance, chosen, dims, arrays, bool(chooser)))
    return found, weights, count * joint


def _positions(s: Slot) -> np.ndarray:
    if s.positions is None or s.positions.ndim != 1 or s.selectors:
        raise InputError(
            f"A row of the discrete variable {s.name} is used as a whole, which cannot be summed "
            "over. Write the statement for one point."
        )
    return s.positions


def _place(
    s: Slot,
    instance: np.ndarray,
    chosen: Mapping[Symbol, np.ndarray],
    dims: Mapping[str, bool],
    arrays: Mapping[str, np.ndarray],
    enumerated: bool,
) -> Place:
    if s.values is not None and s.positions is None and s.values is arrays.get(s.name):
        return Place(s.symbol, s.name, None, s.values, s.values.ndim, whole=True)
    array = s.positions if s.values is None else s.values
    assert array is not None
    array = np.asarray(array)
    rank = array.ndim - 1 - len(s.selectors) if array.ndim else 0
    if array.ndim == 0:
        return Place(s.symbol, s.name, None, array, 0, whole=True)
    if s.selectors:
        leading = instance if array.shape[0] > 1 else np.zeros_like(instance)
        array = array[(leading, *(chosen[c] for c in s.selectors))]
    elif enumerated and array.shape[0] > 1:
        array = array[instance]
    if s.values is not None:
        return Place(s.symbol, s.name, None, array, rank)
    return Place(s.symbol, s.name, array, None, rank + bool(dims[s.name]))


def take(places: Sequence[Place], rows: np.ndarray, count: int) -> list[Place]:
    """The places of some of the instances."""
    found = []
    for p in places:
        array = p.values if p.positions is None else p.positions
        assert array is not None
        if not p.whole and array.shape[0] == count:
            array = array[rows]
        found.append(
            replace(p, values=array) if p.positions is None else replace(p, positions=array)
        )
    return found


def coincidences(
    places: Sequence[Place], count: int, units: Mapping[str, tuple[str, ...]]
) -> list[tuple[np.ndarray, dict[Symbol, Symbol], list[tuple[Symbol, Symbol]]]]:
    """Split instances so that two scalar placeholders are always or never the same latent.

    ``(z[g[i]] - z[h[i]])**2`` with ``g[i] = h[i]`` holds one latent, not two independent ones; and
    ``a[g[i]] + b[h[i]]`` two that are correlated or not, where a and b share a factor.

    Returns:
        (rows, the symbols to replace by others, the pairs that are correlated) for each part.
    """
    scalar = [p for p in places if p.positions is not None and p.positions.ndim == 1]
    pairs = [(a, b) for k, a in enumerate(scalar) for b in scalar[k + 1 :]
             if a.name == b.name or b.name in units.get(a.name, ())]  # fmt: skip
    pattern = np.zeros(count, np.int64)
    for k, (a, b) in enumerate(pairs):
        pattern += (1 << k) * np.broadcast_to(a.positions == b.positions, (count,))
    parts = []
    for key in np.unique(pattern):
        merged: dict[Symbol, Symbol] = {}
        for k, (a, b) in enumerate(pairs):
            if key >> k & 1 and a.name == b.name:
                merged[b.symbol] = merged.get(a.symbol, a.symbol)
        linked = [
            (merged.get(a.symbol, a.symbol), merged.get(b.symbol, b.symbol))
            for k, (a, b) in enumerate(pairs)
            if key >> k & 1 and a.name != b.name
        ]
        parts.append((np.flatnonzero(pattern == key), merged, list(dict.fromkeys(linked))))
    return parts
