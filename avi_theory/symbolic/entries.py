"""Inputs as the contract names them: `y[n,:]`, `x[t-1]`, `y[i: g[i]=n]`, the position `n`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sympy import Expr, Indexed

from avi_theory.spec import terms
from avi_theory.symbolic.differences import letters_in
from avi_theory.symbolic.instances import Generic


@dataclass(frozen=True)
class Input:
    """One input of the inference function, in the root's letters.

    Attributes:
        atom: a reference, or a bare letter for the position.
        free: letters of the atom that run over a range, with what maps say about them.
        role: ``observed``, ``given`` or ``position``.
        text: as the contract writes it.
    """

    atom: Expr
    free: tuple[Generic, ...]
    role: str
    text: str


def index_text(expr: Expr) -> str:
    """A subscript as the notation writes it: ``t-1``, ``g[i]``."""
    if isinstance(expr, Indexed):
        return reference_text(expr)
    return terms.text_of(expr).replace(" ", "")


def reference_text(atom: Expr, free: Iterable[Generic] = ()) -> str:
    """A reference as the contract writes it.

    Free letters become ``:``, those tied by a map ``i: g[i]=n``.
    """
    letters = {g.letter: g for g in free}
    if not isinstance(atom, Indexed):
        return index_text(atom)
    parts = []
    for sub in atom.indices:
        moving = [s for s in letters_in(sub) if s in letters]
        if not moving:
            parts.append(index_text(sub))
        elif sub in letters and letters[sub].facts:
            facts = ", ".join(
                f"{index_text(a)}={index_text(b)}" for a, b in letters[sub].facts
            )  # fmt: skip
            parts.append(f"{sub}: {facts}")
        else:
            parts.append(":")
    return f"{terms.name_of(atom)}[{','.join(parts)}]"


def covers(wide: str, narrow: str) -> bool:
    """Whether ``y[n,:]`` covers ``y[n,1]``."""
    if "[" not in wide or "[" not in narrow:
        return False
    (name, ours), (other, theirs) = wide[:-1].split("[", 1), narrow[:-1].split("[", 1)
    a, b = ours.split(","), theirs.split(",")
    if name != other or len(a) != len(b) or ":" not in a:
        return False
    return all(x == y or x == ":" for x, y in zip(a, b, strict=True))
