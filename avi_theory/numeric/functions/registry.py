"""Inference functions by the name users write."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from avi_theory.errors import InputError, nearest
from avi_theory.numeric.families import Family
from avi_theory.numeric.functions import trunks
from avi_theory.numeric.functions.network import Network
from avi_theory.numeric.functions.neural import Neural, Trunk
from avi_theory.numeric.functions.polynomial import Polynomial
from avi_theory.numeric.functions.protocol import InferenceFunction
from avi_theory.numeric.functions.table import Table
from avi_theory.numeric.inputs import Sight, View, look
from avi_theory.numeric.layout import Layout
from avi_theory.numeric.lowering import Where
from avi_theory.spec.bound import Bound
from avi_theory.spec.model import Variable


def split_name(name: str) -> tuple[str, str]:
    """``polynomial:3`` to (``polynomial``, ``3``)."""
    head, _, tail = name.strip().partition(":")
    return head.strip(), tail.strip()


@dataclass(frozen=True)
class FunctionName:
    """A checked function name.

    Attributes:
        text: as written, e.g. ``polynomial:3``.
        view: how it sees its inputs.
        blind: whether it has no inputs at all, and so no points with incomplete ones.
    """

    text: str
    view: View
    blind: bool = False

    def look(self, bound: Bound, local: Variable, texts: Sequence[str]) -> Sight:
        """What it sees of a local."""
        return look(bound, local, () if self.blind else texts, self.view)

    def build(
        self, family: Family, rows: np.ndarray, layout: Layout, where: Where, seed: int
    ) -> InferenceFunction:
        """The function over the fitted points' inputs ``[M, F]``."""
        head, rest = split_name(self.text)
        return FUNCTIONS[head].build(rest, Fitted(family, rows, layout, where, seed))


@dataclass(frozen=True, eq=False)
class Fitted:
    """What a function is built on.

    Attributes:
        family: of the factors.
        rows: the fitted points' inputs ``[M, F]``; layout: how to read them.
        where: device and dtype.
        seed: of weights.
    """

    family: Family
    rows: np.ndarray
    layout: Layout
    where: Where
    seed: int

    def neural(self, trunk: Trunk) -> Neural:
        """Any network under a linear head."""
        return Neural(trunk, self.family, self.rows, self.layout, self.where, self.seed)


@dataclass(frozen=True)
class Entry:
    """A kind of function: its builder, its pattern of arguments, what it sees, an example."""

    build: Callable[[str, Fitted], InferenceFunction]
    arguments: str = ""
    view: View = "values"
    blind: bool = False
    example: str = ""


WIDTHS = r"[1-9]\d{0,3}(x[1-9]\d{0,3})*"


def _widths(rest: str) -> tuple[int, ...]:
    return tuple(map(int, rest.split("x")))


def _polynomial(degree: int, at: Fitted) -> Polynomial:
    return Polynomial(degree, at.family, at.rows, at.where)


FUNCTIONS: Mapping[str, Entry] = {
    "constant": Entry(lambda rest, at: _polynomial(0, at), view="pooled", blind=True),
    "affine": Entry(lambda rest, at: _polynomial(1, at), view="pooled"),
    "polynomial": Entry(
        lambda rest, at: _polynomial(int(rest), at),
        r"[0-9]|1[0-9]|20", "pooled", example=":3",
    ),
    "table": Entry(lambda rest, at: Table(at.family, at.rows, at.where)),
    "mlp": Entry(
        lambda rest, at: Network(_widths(rest), at.family, at.rows, at.where, at.seed),
        WIDTHS, example=":32x32",
    ),
    "set": Entry(lambda rest, at: at.neural(trunks.over_set(_widths(rest))),
                 WIDTHS, "masked", example=":32"),
    "recurrent": Entry(lambda rest, at: at.neural(trunks.recurrent(_widths(rest))),
                       WIDTHS, "masked", example=":16"),
    "attention": Entry(lambda rest, at: at.neural(trunks.attention(_widths(rest))),
                       WIDTHS, "masked", example=":16x16"),
    "conv": Entry(lambda rest, at: at.neural(trunks.convolution(rest)),
                  rf"[1-9]\d?:{WIDTHS}", "masked", example=":2:16x16"),
    "hyper": Entry(lambda rest, at: at.neural(trunks.hyper(_widths(rest))),
                   WIDTHS, example=":16x16"),
    "gp": Entry(lambda rest, at: at.neural(trunks.gp(int(rest))), r"[1-9]\d{0,3}", example=":32"),
}  # fmt: skip
"""Kinds of inference functions by the name users write; add one here."""


def function_named(text: str) -> FunctionName:
    """Check a function's name.

    Raises:
        InputError: no such kind, or arguments it does not take; the nearest is named.
    """
    head, rest = split_name(text)
    if head not in FUNCTIONS:
        kinds = ", ".join(k + e.example for k, e in FUNCTIONS.items())
        hint = nearest(head, FUNCTIONS)
        raise InputError(f"The function {text!r} is unknown. {hint} Known: {kinds}.")
    entry = FUNCTIONS[head]
    if not re.fullmatch(entry.arguments, rest):
        written = head + entry.example
        raise InputError(f"The function {text!r} cannot be built. Write it as {written}.")
    blind = entry.blind or (head, rest) == ("polynomial", "0")
    return FunctionName(f"{head}:{rest}" if rest else head, entry.view, blind)
