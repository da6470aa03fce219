"""Rows of inputs as tensors: standardised, masked, and each unit once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from avi_theory.errors import InputError
from avi_theory.numeric.layout import Layout, marked
from avi_theory.numeric.lowering import Where

HEAVY = 6.0
"""Inputs farther out than so many mean deviations also enter through asinh."""


@dataclass(frozen=True, eq=False)
class Batch:
    """What a network reads.

    Attributes:
        fixed: ``[M, F]``.
        unit: ``[M]``, the row of `tokens` that a point sees.
        own: ``[M, K]``, the tokens of that row at the point's own place; present: which of the K
            there are, 1 or 0.
        tokens: ``[U, L, C]``, standardised, 0 where absent, with their marks.
        valid: ``[U, L]``, which tokens exist; informed: those with any number present, 1 or 0.
        places: ``[L, A]``, whole numbers; the first tells kinds of tokens apart.
    """

    fixed: Tensor
    unit: Tensor
    own: Tensor
    present: Tensor
    tokens: Tensor
    valid: Tensor
    informed: Tensor
    places: np.ndarray

    def apart(self, points: Tensor) -> tuple[tuple[Tensor, ...], Tensor, Tensor]:
        """Some points grouped by the tokens that they see; each alone if there are no tokens.

        Args:
            points: ``[n]``.

        Returns:
            The tensors of G batches, in the order of the attributes, stacked; a group with fewer
            points than another repeats its first.  Then each point's group and its place there.
        """
        alone = not self.tokens.shape[1]
        seen = torch.arange(len(points), device=points.device) if alone else self.unit[points]
        units, group, sizes = torch.unique(seen, return_inverse=True, return_counts=True)
        order = torch.argsort(group, stable=True)
        first = torch.cumsum(sizes, 0) - sizes
        place = torch.empty_like(group)
        place[order] = torch.arange(len(group), device=group.device) - first[group[order]]
        most = int(sizes.max()) if len(sizes) else 0
        members = points[order[first]][:, None].repeat(1, most)
        members[group, place] = points
        tokens = torch.zeros_like(units) if alone else units
        stacked = (
            self.fixed[members], torch.zeros_like(members), self.own[members],
            self.present[members], self.tokens[tokens][:, None], self.valid[tokens][:, None],
            self.informed[tokens][:, None],
        )  # fmt: skip
        return stacked, group, place


class Scaler:
    """Standardisation that ignores absent numbers, with asinh for heavy tails."""

    def __init__(self, numbers: np.ndarray, marks: np.ndarray) -> None:
        cells = tuple(range(numbers.ndim - 1))
        count = np.maximum(marks.sum(cells), 1)
        self._mean = (numbers * marks).sum(cells) / count
        away = (numbers - self._mean) * marks
        sd = np.sqrt((away**2).sum(cells) / count)
        self._sd = np.where(sd > 1e-12, sd, 1.0)
        self._heavy = (np.abs(away) / self._sd).max(cells, initial=0.0) > HEAVY

    def __call__(self, numbers: np.ndarray, marks: np.ndarray) -> np.ndarray:
        """Numbers and, for heavy tails, asinh of them; 0 where absent; then the marks."""
        z = (numbers - self._mean) / self._sd * marks
        return np.concatenate([z, np.arcsinh(5 * z[..., self._heavy]), marks], -1)


class Reader:
    """Rows to batches, standardised as the rows it was made from.

    Rows without a layout are plain numbers, all present.
    """

    def __init__(self, rows: np.ndarray, layout: Layout, where: Where) -> None:
        self._plain = layout == Layout()
        if self._plain:
            rows, layout = _all_marked(rows), Layout((rows.shape[1],))
        self._layout, self._where = layout, where
        fixed, _, tokens = layout.split(rows)
        self._fixed = Scaler(*marked(fixed, layout.fixed))
        self._token = Scaler(*self._numbers(tokens))

    def _numbers(self, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return marked(tokens[..., 1 + self._layout.axes :], self._layout.tokens)

    def __call__(self, rows: np.ndarray) -> Batch:
        """The batch of rows, of any number of tokens.

        Raises:
            InputError: rows of other inputs.
        """
        layout, where = self._layout, self._where
        if self._plain:
            rows = _all_marked(rows)
        length = layout.length(rows.shape[1])
        if rows.shape[1] != layout.head + length * (1 + layout.each) * bool(layout.tokens):
            raise InputError(
                "The new data have other inputs than those that the function was fitted on "
                "(another number of categories or coordinates). Fit it again on such data."
            )
        fixed, own, tokens = layout.split(rows)
        units, unit = _distinct(tokens)
        numbers, marks = self._numbers(units)
        valid = units[..., 0] > 0 if length else np.zeros(units.shape[:2], bool)
        seen = self._token(numbers, marks * valid[..., None])
        informed = valid & marks.any(-1)
        most = int((own > 0).sum(1).max(initial=0))
        mine = np.argsort(own <= 0, axis=1, kind="stable")[:, :most]
        places = units[0, :, 1 : 1 + layout.axes] if len(units) else np.zeros((0, layout.axes))
        return Batch(
            where.tensor(self._fixed(*marked(fixed, layout.fixed))),
            where.index(unit),
            where.index(mine),
            where.tensor(np.take_along_axis(own, mine, 1)),
            where.tensor(seen),
            where.index(valid).bool(),
            where.tensor(informed),
            places,
        )


def _all_marked(rows: np.ndarray) -> np.ndarray:
    return np.concatenate([rows, np.ones((len(rows), 1))], 1)


def _distinct(tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each unit's tokens once, and which of them each point sees."""
    if not tokens.size:
        return tokens[:1], np.zeros(len(tokens), np.int64)
    flat = np.ascontiguousarray(tokens).reshape(len(tokens), -1)
    found, unit = np.unique(flat, axis=0, return_inverse=True)
    return found.reshape(len(found), *tokens.shape[1:]), unit.reshape(-1)
