"""Positions of a variable that the text treats apart from the generic one."""

from __future__ import annotations

import sympy
from sympy import Expr, Indexed, Symbol

from avi_theory.spec import terms
from avi_theory.symbolic.differences import slope
from avi_theory.symbolic.structure import EDGES, Structure


def suspects(structure: Structure, name: str, axis: int) -> list[Expr]:
    """Positions along an axis that a statement's range leaves out or the text writes down.

    Args:
        structure: the prepared model.
        name: of the variable.
        axis: number of its axis.
    """
    hull = structure.axes(name)[axis]
    low: set[Expr] = set()
    high: set[Expr] = set()
    for term in structure.terms:
        ends = {r.letter: r for r in term.ranges}
        for atom in term.references:
            if terms.name_of(atom) != name:
                continue
            sub = atom.indices[axis]
            letters = [s for s in sub.free_symbols if s in ends]
            if not letters and not sub.atoms(Indexed):
                if _is_position(sub):
                    (low if sub.is_number else high).add(sub)
                continue
            if len(letters) != 1 or sub.atoms(Indexed) or slope(sub, letters[0]) != 1:
                continue
            r = ends[letters[0]]
            start = sympy.expand(sub.xreplace({r.letter: r.low}) - hull.low)
            stop = sympy.expand(hull.high - sub.xreplace({r.letter: r.high}))
            low |= {hull.low + k for k in range(_few(start))}
            high |= {hull.high - k for k in range(_few(stop))}
    inside = [p for p in low if p.is_number and (p - hull.low).is_number and p >= hull.low]
    return sorted(inside) + sorted(high, key=lambda p: (str(p.free_symbols), _constant(p)))


def _is_position(sub: Expr) -> bool:
    return all(isinstance(s, Symbol) and "·" not in s.name for s in sub.free_symbols)


def _few(missing: Expr) -> int:
    """How many positions at an end a range leaves out, or reaches beyond it."""
    return int(abs(missing)) if missing.is_number and abs(missing) <= EDGES else 0


def _constant(position: Expr) -> float:
    return float(position.as_coeff_Add()[0])
