"""Inference functions by the name users write."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from avi_theory.errors import InputError, nearest
from avi_theory.numeric.families import Family
from avi_theory.numeric.functions.network import Network
from avi_theory.numeric.functions.polynomial import Polynomial
from avi_theory.numeric.functions.table import Table
from avi_theory.numeric.lowering import Where


def split_name(name: str) -> tuple[str, str]:
    """``polynomial:3`` to (``polynomial``, ``3``)."""
    head, _, tail = name.strip().partition(":")
    return head.strip(), tail.strip()


@dataclass(frozen=True)
class FunctionName:
    """A checked function name.

    Attributes:
        text: as written, e.g. ``polynomial:3``.
        pooled: whether it uses `Seen.pooled`, so that a set enters by its sum and size.
        blind: whether it has no inputs at all, and so no points with incomplete ones.
    """

    text: str
    pooled: bool
    blind: bool = False

    def build(self, family: Family, values: np.ndarray, where: Where, seed: int) -> Any:
        """The function over the fitted points' inputs ``[M, F]``."""
        head, rest = split_name(self.text)
        return FUNCTIONS[head].build(rest, family, values, where, seed)


@dataclass(frozen=True)
class Entry:
    """A kind of function: its builder, its pattern of arguments, what it sees, an example."""

    build: Any
    arguments: str = ""
    pooled: bool = False
    blind: bool = False
    example: str = ""


FUNCTIONS: Mapping[str, Entry] = {
    "constant": Entry(lambda rest, f, x, w, seed: Polynomial(0, f, x, w), pooled=True, blind=True),
    "affine": Entry(lambda rest, f, x, w, seed: Polynomial(1, f, x, w), pooled=True),
    "polynomial": Entry(
        lambda rest, f, x, w, seed: Polynomial(int(rest), f, x, w),
        r"[0-9]|1[0-9]|20", pooled=True, example=":3",
    ),
    "table": Entry(lambda rest, f, x, w, seed: Table(f, x, w)),
    "mlp": Entry(
        lambda rest, f, x, w, seed: Network(tuple(map(int, rest.split("x"))), f, x, w, seed),
        r"[1-9]\d{0,3}(x[1-9]\d{0,3})*", example=":32x32",
    ),
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
    return FunctionName(f"{head}:{rest}" if rest else head, entry.pooled, blind)
