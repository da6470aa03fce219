r"""How a row of inputs is read: fixed columns, then tokens that may be absent.

.. math:: w_n = (\underbrace{a_1, \dots}_{\text{columns}},\;
    \underbrace{e_1, \dots, e_L}_{\text{own}},\;
    \underbrace{(v_l, i_l, c_l)_{l=1}^{L}}_{\text{tokens}})

A *token* is one place that the function sees: the observations and covariates there, each with a
mark that says whether it is present, its coordinates, and whether it exists at all (v).  e marks
the tokens at the point's own place: the position inside the unit.  L differs from data set to data
set, so it is read off the width of the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Layout:
    """The columns of a row.

    Attributes:
        fixed: numbers per fixed input; each is followed by its mark.
        tokens: numbers per input of a token; each is followed by its mark.
        axes: coordinates of a token.
    """

    fixed: tuple[int, ...] = ()
    tokens: tuple[int, ...] = ()
    axes: int = 0

    @property
    def head(self) -> int:
        """Columns before the tokens and their own marks."""
        return sum(self.fixed) + len(self.fixed)

    @property
    def each(self) -> int:
        """Columns of one token."""
        return 1 + self.axes + sum(self.tokens) + len(self.tokens)

    def length(self, width: int) -> int:
        """L, the number of tokens in rows of this width."""
        return (width - self.head) // (1 + self.each) if self.tokens else 0

    def split(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Fixed columns ``[P, F]``, own marks ``[P, L]``, tokens ``[P, L, each]``."""
        count = self.length(rows.shape[1])
        fixed, own, rest = np.split(rows, [self.head, self.head + count], axis=1)
        return fixed, own, rest.reshape(len(rows), count, self.each)

    def joined(self, fixed: np.ndarray, own: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """The rows; the inverse of `split`."""
        return np.concatenate(
            [fixed, own, tokens.reshape(len(fixed), tokens.shape[1] * tokens.shape[2])], 1
        )

    def to_array(self) -> np.ndarray:
        """As whole numbers, to be kept in a file."""
        found = [len(self.fixed), *self.fixed, len(self.tokens), *self.tokens, self.axes]
        return np.asarray(found, np.int64)

    @classmethod
    def from_array(cls, numbers: Sequence[int] | np.ndarray) -> Layout:
        """The inverse of `to_array`."""
        values = [int(k) for k in numbers]
        at = 1 + values[0]
        return cls(tuple(values[1:at]), tuple(values[at + 1 : at + 1 + values[at]]), values[-1])


def marked(values: np.ndarray, sizes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Numbers ``[…, Σk]`` and the marks spread over them, from columns that alternate."""
    numbers, marks, at = [], [], 0
    for k in sizes:
        numbers.append(values[..., at : at + k])
        marks.append(np.repeat(values[..., at + k : at + k + 1], k, -1))
        at += k + 1
    empty = np.zeros((*values.shape[:-1], 0))
    return np.concatenate([empty, *numbers], -1), np.concatenate([empty, *marks], -1)
