"""Windows: the observations around a latent's position, where positions have an order at all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import sympy
from sympy import Expr

from avi_theory.errors import InputError
from avi_theory.spec.bound import Bound
from avi_theory.spec.model import Density, Model, Variable


def window(bound: Bound, half_width: int) -> dict[str, tuple[str, ...]]:
    """The observations within `half_width` positions, of every observed variable that informs.

    Along an index whose points have no neighbours in the model (exchangeable units, the rows and
    columns of a crossed design) a window of any width is the latent's own observations.

    Raises:
        InputError: a negative width, or a window wider than the series.
    """
    if half_width < 0:
        raise InputError(f"The window {half_width} is negative. Give 0, 1, 2, …")
    return {v.name: tuple(_window_of(bound, v, half_width)) for v in bound.model.locals}


def widest(bound: Bound, most: int) -> int:
    """The largest half-width up to `most` that fits into every local's index."""
    extents = [
        _extent(bound, v, running_letter(bound.model, v)) for v in bound.model.locals if v.letters
    ]
    return min([most, *((e - 1) // 2 for e in extents)])


def _extent(bound: Bound, local: Variable, letter: str) -> int:
    return int(np.ptp(bound.tables[local.name].points[:, local.letters.index(letter)])) + 1


def _window_of(bound: Bound, local: Variable, half_width: int) -> list[str]:
    model, letters = bound.model, list(local.letters)
    if not letters:
        return [_whole(o) for o in model.observed]
    running = running_letter(model, local)
    extent = _extent(bound, local, running)
    if 2 * half_width + 1 > extent:
        raise InputError(
            f"A window of {half_width} on each side holds {2 * half_width + 1} positions, but "
            f"{local} has only {extent} along {running}. Use at most {(extent - 1) // 2}."
        )
    reach = half_width if ordered(model, local) else 0
    found: list[str] = []
    for o in _informing(model, local):
        if not o.axes:
            found.append(o.name)
        if running in o.letters:
            for k in range(-reach, reach + 1):
                shifted = running if k == 0 else f"{running}{k:+d}"
                subs = [shifted if a == running else a if a in letters else ":" for a in o.letters]
                found.append(f"{o.name}[{','.join(subs)}]")
            continue
        subs = [_attached(model, a, letters) for a in o.letters]
        if any(s != ":" for s in subs):
            found.append(f"{o.name}[{','.join(subs)}]")
    return sorted(found)


def _whole(variable: Variable) -> str:
    return (
        f"{variable.name}[{','.join(':' for _ in variable.axes)}]"
        if variable.axes
        else (variable.name)
    )


def running_letter(model: Model, local: Variable) -> str:
    """The letter along which a statement steps (``z[t-1]``), else the last one."""
    for density in model.densities:
        if density.variable != local.name:
            continue
        for argument in density.arguments.values():
            for atom in sympy.sympify(argument).atoms(sympy.Indexed):
                if str(atom.base.label) != local.name:
                    continue
                for k, (a, b) in enumerate(zip(atom.indices, density.subscripts, strict=False)):
                    if a != b and (a - b).is_Integer:
                        return local.letters[k]
    stepped = [a for a in local.letters if a in stepping_letters(model)]
    return stepped[-1] if stepped else local.letters[-1]


def ordered(model: Model, local: Variable) -> bool:
    """Whether a local has neighbours: a statement steps along its index, or lies over it."""
    if not local.letters:
        return False
    joint = any(d.over and d.variable == local.name for d in model.densities)
    return joint or running_letter(model, local) in stepping_letters(model)


def stepping_letters(model: Model) -> frozenset[str]:
    """The letters of index sets along which some factor holds two points at a fixed distance."""
    found = set()
    for factor in model.factors():
        places: dict[str, set[Expr]] = {}
        atoms = factor.expression.atoms(sympy.Indexed)
        if isinstance(factor.source, Density):
            atoms |= sympy.sympify(factor.source.target).atoms(sympy.Indexed)
        for atom in atoms:
            variable = model.variables.get(str(atom.base.label))
            if variable is None:
                continue
            for axis, place in zip(variable.axes, atom.indices, strict=False):
                places.setdefault(axis.letter, set()).add(place)
        for letter, seen in places.items():
            if any(a != b and (a - b).is_Integer for a in seen for b in seen if a.free_symbols):
                found.add(letter)
    return frozenset(found)


def _informing(model: Model, local: Variable) -> list[Variable]:
    """Observed variables that share a term of the log density with the local, else any near it."""
    direct: dict[str, Variable] = {}
    for factor in model.factors():
        names = {str(r.base.label) if isinstance(r, sympy.Indexed) else str(r)
                 for r in model.references_in(factor.expression)}  # fmt: skip
        if local.name in names:
            direct |= {o.name: o for o in model.observed if o.name in names}
    near = [o for o in model.observed if set(o.letters) & set(local.letters)]
    return [o for o in model.observed if o.name in direct] or near


def _attached(model: Model, letter: str, letters: Sequence[str]) -> str:
    if letter in letters:
        return letter
    for g in model.givens.values():
        if g.member_of in letters and [a.letter for a in g.axes] == [letter]:
            return f"{letter}: {g.name}[{letter}]={g.member_of}"
    return ":"
