r"""A witness for ``no``: equal inputs, different optima.

Chains get a spike, \(x_t = 0\) but for one t: two positions see the same window of zeros at
different distances from the spike, and \(\nu^\star\) decays with the distance.  Exchangeable
models get two data sets that differ outside a unit's inputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import product
from typing import Any

import sympy
from sympy import Expr, Indexed

from avi_theory.results.report import Witness
from avi_theory.spec import terms
from avi_theory.symbolic.analysis import Analysis, LocalVerdict
from avi_theory.symbolic.errors import Stuck
from avi_theory.symbolic.reference import Optimum, solve
from avi_theory.symbolic.small import Small

WINDOW = 1
LENGTH = 10
SPIKE = 4
TRIED = 3
"""So many far observations are disturbed in turn before giving up."""


def find_witness(analysis: Analysis, *, window: int = WINDOW) -> Witness | None:
    """Two places with equal inputs within a window and different optima; None if none is found.

    Args:
        analysis: a model with the verdict ``no``.
        window: observations up to this distance agree.
    """
    tied = [v for v in analysis.locals.values() if v.closes == "no"]
    tied.sort(key=lambda v: not analysis.model.variables[v.name].axes)
    masks = any(v.missing for v in analysis.model.observed)
    for absent in (False, True) if masks else (False,):
        for verdict in tied:
            try:
                found = _of(analysis, verdict, window, absent)
            except Stuck:
                continue
            if found is not None:
                return found
    return None


def _of(analysis: Analysis, verdict: LocalVerdict, window: int, absent: bool) -> Witness | None:
    axis = _chain_axis(analysis, verdict)
    if axis is not None:
        end = analysis.structure.axes(verdict.name)[axis].high
        sizes = {str(s): LENGTH for s in end.free_symbols}
        small = Small(analysis.structure, sizes, absent=absent)
        found = _spike(analysis, verdict, small, axis, window)
        return found or _two_sets(analysis, verdict, small, window)
    for default in (3, 6):
        small = Small(analysis.structure, {}, default, absent)
        found = _two_sets(analysis, verdict, small, window)
        if found is not None or _mixed(small):
            return found
    return None


def _mixed(small: Small) -> bool:
    """Whether discrete and continuous latents meet: many optima, so one attempt is made."""
    return len({small.discrete(z) for z in small.locals}) > 1


def _chain_axis(analysis: Analysis, verdict: LocalVerdict) -> int | None:
    """The axis along which a local is tied to its own family by an offset."""
    component = verdict.component
    if component is None:
        return None
    for link in verdict.links:
        if link.target.name != verdict.name:
            continue
        own, _ = analysis.components.site(component.root)
        for k, (a, b) in enumerate(
            zip(terms.subscripts_of(own), terms.subscripts_of(link.atom), strict=True)
        ):
            if (b - a).is_number and b != a:
                return k
    return None


def baseline(analysis: Analysis, small: Small) -> dict[Expr, Any]:
    """The same quiet value for every observation of a variable."""
    quiet = {"real": 0, "binary": 0, "categories": 0, "unit": sympy.Rational(1, 2)}
    return {a: sympy.sympify(quiet.get(small.support(a), 1)) for a in small.observed}


def loud(small: Small, atom: Expr) -> Any:
    """A value that stands out from the baseline."""
    values = {"real": 5, "binary": 1, "categories": 1, "unit": sympy.Rational(9, 10)}
    return sympy.sympify(values.get(small.support(atom), 5))


def _spike(
    analysis: Analysis, verdict: LocalVerdict, small: Small, axis: int, window: int
) -> Witness | None:
    letter = analysis.structure.axes(verdict.name)[axis].letter
    data = baseline(analysis, small)
    spiked = [a for a in small.observed if _position(analysis, a, letter) == SPIKE]
    if not spiked:
        return None
    for atom in spiked[:1]:
        data[atom] = loud(small, atom)
    optima = solve(small, data)
    for first, second in _pairs(small, verdict, axis, window):
        found = _different(optima, optima, first, second)
        if found is not None:
            return _witness(
                analysis, verdict, small, data, None, (first, second), window, found, optima[0]
            )
    return None


def _pairs(
    small: Small, verdict: LocalVerdict, axis: int, window: int
) -> Iterator[tuple[Expr, Expr]]:
    """Pairs of members on one side of the spike whose windows miss it and both ends."""
    members = [z for z in small.locals if terms.name_of(z) == verdict.name]
    start = SPIKE + window + 1
    for z in members:
        subs = terms.subscripts_of(z)
        if subs[axis] != start:
            continue
        for step in range(1, LENGTH - start - window):
            other = list(subs)
            other[axis] = subs[axis] + step
            partner = terms.ref(verdict.name, *other)
            if partner in small.locals:
                yield z, partner


def _position(analysis: Analysis, atom: Expr, letter: str) -> int | None:
    for axis, sub in zip(
        analysis.structure.axes(terms.name_of(atom)), terms.subscripts_of(atom), strict=True
    ):
        if axis.letter == letter and sub.is_number:
            return int(sub)
    return None


def _two_sets(
    analysis: Analysis, verdict: LocalVerdict, small: Small, window: int
) -> Witness | None:
    members = [z for z in small.locals if terms.name_of(z) == verdict.name]
    data = baseline(analysis, small)
    tries, starts = (1, 2) if _mixed(small) else (TRIED, 4)
    first = solve(small, data, starts=starts)
    for z in members[: min(2, tries)]:
        near = _near(analysis, small, z, window)
        far = [atom for atom in small.observed if atom not in near]
        for atom in (*far[: tries - 1], *far[-1:]):
            other = {**data, atom: loud(small, atom)}
            second = solve(small, other, starts=starts)
            found = _different(first, second, z, z)
            if found is not None:
                return _witness(
                    analysis, verdict, small, data, other, (z, z), window, found, first[0]
                )
    return None


def _near(analysis: Analysis, small: Small, z: Expr, window: int) -> set[Expr]:
    """Observations that share a factor with a local, and those within the window of its place."""
    near: set[Expr] = set()
    for expr in small.factors:
        atoms = small.atoms(expr)
        if z in atoms and not _holds_all(small, atoms, z):
            near |= {a for a in atoms if a in small.observed}
    if any(_holds_all(small, small.atoms(e), z) for e in small.factors):
        own = terms.subscripts_of(z)
        near |= {
            a for a in small.observed
            if terms.subscripts_of(a)[: len(own)] == own
        }  # fmt: skip
    axes = analysis.structure.axes(terms.name_of(z))
    variables = analysis.model.variables
    for atom in small.observed:
        for axis, sub in zip(axes, terms.subscripts_of(z), strict=True):
            place = _position(analysis, atom, axis.letter)
            same = variables[terms.name_of(z)].letters == variables[terms.name_of(atom)].letters
            if same and place is not None and len(axes) == 1 and abs(place - int(sub)) <= window:
                near.add(atom)
    return near


def _holds_all(small: Small, atoms: list[Expr], z: Expr) -> bool:
    """Whether a factor holds the whole family: then its observations are everybody's."""
    family = [a for a in small.locals if terms.name_of(a) == terms.name_of(z)]
    return len(family) > 2 and all(a in atoms for a in family)


def _different(
    first: list[Optimum], second: list[Optimum], a: Expr, b: Expr
) -> tuple[Any, Any] | None:
    """The two optima if they differ for every pair of solutions found."""
    if not first or not second:
        return None
    pairs = list(zip(first, first, strict=True)) if first is second else product(first, second)
    for p, q in pairs:
        if _close(p.values[a], q.values[b]):
            return None
    return first[0].values[a], second[0].values[b]


def _close(p: Any, q: Any) -> bool:
    if isinstance(p, Fraction):
        return bool(p == q)
    if isinstance(p, tuple):
        return max(abs(x - y) for x, y in zip(p, q, strict=True)) < 1e-5
    return abs(p - q) < 1e-5 * (1 + abs(p))


def _plain(value: Any) -> Any:
    if isinstance(value, Fraction):
        return float(value)
    if isinstance(value, tuple) and len(value) == 2:
        return float(value[1])
    return list(value) if isinstance(value, tuple) else float(value)


def _arrays(small: Small, data: Mapping[Expr, Any]) -> dict[str, Any]:
    """Data as nested lists by variable, in index order."""
    found: dict[str, dict[tuple[int, ...], float]] = {}
    for atom, value in data.items():
        place = tuple(int(s) for s in terms.subscripts_of(atom))
        number = int(value) if value.is_Integer else float(value)
        found.setdefault(terms.name_of(atom), {})[place] = number
    hidden = {
        v.name for v in small.structure.model.observed if v.missing and small.absent
    }  # fmt: skip
    arrays: dict[str, Any] = {name: _nested(cells) for name, cells in found.items()}
    return {**arrays, **dict.fromkeys(sorted(hidden))}


def _nested(cells: Mapping[tuple[int, ...], float]) -> Any:
    if () in cells:
        return cells[()]
    heads = sorted({place[0] for place in cells})
    return [_nested({p[1:]: v for p, v in cells.items() if p[0] == h}) for h in heads]


def _where(z: Expr) -> Any:
    subs = [int(s) for s in terms.subscripts_of(z)]
    return subs[0] if len(subs) == 1 else subs


def _witness(
    analysis: Analysis,
    verdict: LocalVerdict,
    small: Small,
    data: Mapping[Expr, Any],
    other: Mapping[Expr, Any] | None,
    places: tuple[Expr, Expr],
    window: int,
    optima: tuple[Any, Any],
    best: Optimum,
) -> Witness:
    what = "the mean of q" if not isinstance(optima[0], tuple) else (
        "q(z = 1)" if len(optima[0]) == 2 else "the probabilities of q"
    )  # fmt: skip
    names = [str(z).replace(" ", "") for z in places]
    short = best.exact and max(len(str(v)) for v in optima) < 40
    values = " and ".join(str(v) if short else f"{float(v):.6f}…" for v in optima if best.exact)
    how = f"{what} at {names[0]} and {names[1]}"
    if other is not None:
        how = f"{what} at {names[0]} in both data sets"
    how += f", exactly {values}" if best.exact else ", by quadrature and enumeration"
    if not best.exact and any(small.discrete(z) for z in small.locals):
        how += ", different at every optimum found from 4 starts"
    sizes = {**small.sizes}
    if sizes:
        how += f"; {', '.join(f'{k} = {v}' for k, v in sizes.items())}"
    if small.fixed:
        fixed = ", ".join(f"{k} = {v}" for k, v in sorted(small.fixed.items()))
        how += f"; q0 concentrated at {fixed}"
    own = _inputs(analysis, verdict, window)
    return Witness(
        data=_arrays(small, data),
        other_data=None if other is None else _arrays(small, other),
        positions=(_where(places[0]), _where(places[1])),
        window=window,
        inputs=own,
        optima=(_plain(optima[0]), _plain(optima[1])),
        how=how,
    )


def _inputs(analysis: Analysis, verdict: LocalVerdict, window: int) -> tuple[str, ...]:
    """What agrees, in the local's letters."""
    component = verdict.component
    assert component is not None
    texts: set[str] = set()
    site, _ = analysis.components.site(component.root)
    for atom, scope, role in analysis.collector.own(component.root):
        if role != "observed" or not isinstance(atom, Indexed):
            continue
        free = analysis.collector.free_letters(component.root, scope, atom)
        own_letters = set(terms.subscripts_of(site))
        if own_letters and not atom.free_symbols & own_letters and not any(g.facts for g in free):
            continue
        texts.add(analysis.collector.text(atom, free))
        letters = {s for s in terms.subscripts_of(site) if s.is_Symbol}
        if not free and len(letters) == 1:
            for k in range(-window, window + 1):
                shifted = atom.xreplace({
                    s: s + k for s in letters
                })  # fmt: skip
                texts.add(analysis.collector.text(shifted, free))
    return tuple(sorted(texts))
