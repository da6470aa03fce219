"""A witness in the contract's words: data as arrays, positions, what agrees, how it was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import sympy
from sympy import Expr, Indexed, Integer

from avi_theory.results.report import Witness
from avi_theory.spec import terms
from avi_theory.symbolic.analysis import Analysis, LocalVerdict
from avi_theory.symbolic.entries import reference_text
from avi_theory.symbolic.reference import Optimum
from avi_theory.symbolic.small import COUNTS, Small


@dataclass(frozen=True)
class Found:
    """Two places whose optima differ.

    Attributes:
        small: the written-out model.
        data, other: the data set, and the second one or None.
        places: the two latents.
        optima: a mean or probabilities at each.
        best: the optimum for `data`.
        spread: whether `optima` are sums of log standard deviations instead.
    """

    small: Small
    data: Mapping[Expr, Any]
    other: Mapping[Expr, Any] | None
    places: tuple[Expr, Expr]
    optima: tuple[Any, Any]
    best: Optimum
    spread: bool = False


def told(analysis: Analysis, verdict: LocalVerdict, found: Found, window: int) -> Witness:
    """The witness as the report carries it.

    Args:
        analysis: the model.
        verdict: on the local that the places belong to.
        found: the two places.
        window: observations up to this distance agree.
    """
    small = found.small
    first, second = found.places
    return Witness(
        data=_arrays(small, found.data),
        other_data=None if found.other is None else _arrays(small, found.other),
        positions=(_where(small, first), _where(small, second)),
        window=window,
        inputs=_inputs(analysis, verdict, found, window),
        optima=(_plain(found.optima[0]), _plain(found.optima[1])),
        how=_how(found),
    )


def _how(found: Found) -> str:
    small, best, optima = found.small, found.best, found.optima
    names = [str(z).replace(" ", "") for z in found.places]
    support = small.support(found.places[0])
    what = {"positive": "the mean of q(log z)", "unit": "the mean of q(logit z)",
            "interval": "the mean of q(logit z)"}.get(support, "the mean of q")  # fmt: skip
    if isinstance(optima[0], tuple):
        what = "q(z = 1)" if len(optima[0]) == 2 else "the probabilities of q"
        if support in {"count", "bounded_count"}:
            what = "the mean of q"
    if found.spread:
        what = "the log sd of q, summed over the coordinates,"
    how = f"{what} at {names[0]} and {names[1]}"
    if found.other is not None:
        how = f"{what} at {names[0]} in both data sets"
    if best.exact:
        short = max(len(str(v)) for v in optima) < 40
        values = " and ".join(str(v) if short else f"{float(v):.6f}…" for v in optima)
        how += f", exactly {values}"
    else:
        how += f", by quadrature and enumeration, different at every optimum found ({best.runs} "
        how += "starts converged)" if best.runs > 1 else "start converged)"
    if any(small.support(z) in {"count", "bounded_count"} for z in small.locals):
        how += f"; counts up to {COUNTS}"
    if small.sizes:
        how += f"; {', '.join(f'{k} = {v}' for k, v in small.sizes.items())}"
    for name, value in sorted(small.opened.items()):
        how += f"; {name} is {value}"
    for formula in small.spread.nets.values():
        how += f"; {formula}"
    if small.fixed:
        fixed = ", ".join(f"{k} = {v}" for k, v in sorted(small.fixed.items()))
        how += f"; q0 concentrated at {fixed}"
    return how


def _plain(value: Any) -> Any:
    if isinstance(value, Fraction):
        return float(value)
    if isinstance(value, tuple) and len(value) == 2:
        return float(value[1])
    if isinstance(value, tuple) and len(value) == COUNTS + 1:
        return float(sum(k * p for k, p in enumerate(value)))
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


def _where(small: Small, z: Expr) -> Any:
    subs = [int(s) for s in small.point(z)]
    return subs[0] if len(subs) == 1 else subs


def _inputs(
    analysis: Analysis, verdict: LocalVerdict, found: Found, window: int
) -> tuple[str, ...]:
    """What agrees at both places, in the local's letters."""
    if found.other is None:
        return _within(analysis, verdict, found, window)
    component = verdict.component
    assert component is not None
    texts: set[str] = set()
    letters_of = {v.name: v.letters for v in analysis.model.variables.values()}
    mine = letters_of[verdict.name]
    for name in dict.fromkeys(terms.name_of(a) for a in found.data):
        if mine and set(mine) <= set(letters_of[name]):
            subs = [sympy.Symbol(x, integer=True) if x in mine else terms.ALL
                    for x in letters_of[name]]  # fmt: skip
            texts.add(reference_text(terms.ref(name, *subs), []))
    site, _ = analysis.components.site(component.root)
    own_letters = set(terms.subscripts_of(site))
    for atom, scope, role in analysis.collector.own(component.root):
        if role != "observed" or not isinstance(atom, Indexed):
            continue
        free = analysis.collector.free_letters(component.root, scope, atom)
        if own_letters and not atom.free_symbols & own_letters and not any(g.facts for g in free):
            continue
        texts.add(analysis.collector.text(atom, free))
        letters = {s for s in own_letters if s.is_Symbol}
        if not free and len(letters) == 1:
            for k in range(-window, window + 1):
                shifted = atom.xreplace({s: s + k for s in letters})
                texts.add(analysis.collector.text(shifted, free))
    return tuple(sorted(texts))


def _within(
    analysis: Analysis, verdict: LocalVerdict, found: Found, window: int
) -> tuple[str, ...]:
    """Every observation within the window of both places, after looking that they do agree."""
    small, (first, second) = found.small, found.places
    here, there = small.point(first), small.point(second)
    axis = next(k for k, (a, b) in enumerate(zip(here, there, strict=True)) if a != b)
    letters = analysis.model.variables[verdict.name].letters
    texts: set[str] = set()
    for name in dict.fromkeys(terms.name_of(a) for a in found.data):
        own = [a.letter for a in analysis.structure.axes(name)]
        if letters[axis] not in own:
            continue
        place = own.index(letters[axis])
        for k in range(-window, window + 1):
            agree = [
                found.data.get(_moved(a, place, here[axis] + k))
                == found.data.get(_moved(a, place, there[axis] + k))
                for a in found.data
                if terms.name_of(a) == name
            ]
            subs: list[Any] = [sympy.Symbol(x, integer=True) if x in letters else terms.ALL
                               for x in own]  # fmt: skip
            subs[place] = subs[place] + Integer(k)
            if all(agree):
                texts.add(reference_text(terms.ref(name, *subs), []))
    return tuple(sorted(texts))


def _moved(atom: Expr, axis: int, to: Expr) -> Expr:
    subs = list(terms.subscripts_of(atom))
    subs[axis] = to
    return terms.ref(terms.name_of(atom), *subs)
