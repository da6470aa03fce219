"""What must hold between the statements of a text.

Each index point has exactly one density, nothing reaches outside its range, nothing is declared in
vain, nothing depends on itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import sympy
from sympy import Symbol

from avi_theory.spec import terms
from avi_theory.spec.model import Axis, EdgeValue
from avi_theory.spec.notation.cycles import find_cycles
from avi_theory.spec.notation.densities import Written
from avi_theory.spec.notation.intervals import Box, Interval, compare, form, hull, meet, spread
from avi_theory.spec.notation.intervals import uncovered as points_outside
from avi_theory.spec.notation.places import Declared, Place
from avi_theory.spec.notation.scope import Reference, Scope
from avi_theory.spec.notation.syntax import Raw
from avi_theory.spec.notation.tokens import Token
from avi_theory.spec.notation.usage import report_unused
from avi_theory.spec.terms import ALL, index_symbol

_WHOLE = Interval(sympy.Integer(0), sympy.Integer(0))


def check_everything(
    raws: Sequence[Raw], declared: Declared, written: Written, scope: Scope
) -> None:
    """Report every problem between statements."""
    _one_density_each(declared, scope)
    _every_latent_has_a_density(declared, scope)
    for name, references in written.references.items():
        if name in scope.variables:
            for reference in references:
                _within_range(reference, declared, scope)
        elif name in scope.givens:
            for reference in references:
                _given_within_range(reference, declared, scope)
        for reference in references:
            _labels_exist(reference, written, scope)
    _edges_are_needed(declared, written, scope)
    report_unused(raws, declared, written, scope)
    find_cycles(written, scope)
    _something_is_declared(scope)


def _something_is_declared(scope: Scope) -> None:
    if not scope.problems and not scope.variables:
        start = Token("name", "", 1, 1)
        hint = "Begin with 'index n = 1:N' and 'local z[n] ~ Normal(0, 1)'."
        scope.problems.add(start, "The text declares no variable.", hint)


def _one_density_each(declared: Declared, scope: Scope) -> None:
    for name, places in declared.places.items():
        dense = [p for p in places if p.raw.call is not None]
        for i, later in enumerate(dense):
            for earlier in dense[:i]:
                common = _overlap(earlier.box, later.box)
                if common is not None:
                    shown = _shown(name, common)
                    line = earlier.raw.statement.line
                    scope.problems.add(
                        later.raw.items[0].name,
                        f"{shown} has a density in line {line} and another one here.",
                        "Make the ranges of the statements disjoint.",
                    )
                    break


def _overlap(a: Box, b: Box) -> Box | None:
    """The common points of two boxes if there certainly are some."""
    common: list[Interval] = []
    for x, y in zip(a, b, strict=True):
        shared = meet(x, y)
        if shared is None or not shared.nonempty:
            return None
        common.append(shared)
    return tuple(common)


def _every_latent_has_a_density(declared: Declared, scope: Scope) -> None:
    for name, places in declared.places.items():
        role = scope.variables[name].role
        if role == "observed" or any(p.raw.call is not None for p in places):
            continue
        scope.problems.add(
            places[0].raw.items[0].name,
            f"The {role} {name!r} has no density.",
            "Add '~ Normal(0, 1)' or another distribution; '~ Flat()' for none.",
        )


def _boxes(reference: Reference, axes: tuple[Axis, ...]) -> tuple[Box, list[bool]]:
    """The points a reference reaches, and along which axes that can be said for certain."""
    box: list[Interval] = []
    certain: list[bool] = []
    letters_seen: set[Symbol] = set()
    for position in range(len(axes)):
        if position >= len(reference.subscripts):
            box.append(_WHOLE)
            certain.append(False)
            continue
        subscript = reference.subscripts[position]
        linear = form(subscript)
        letters = {a for a, _ in linear.parts if a in reference.ranges}
        plain = all(isinstance(a, Symbol) for a, _ in linear.parts)
        sure = (
            subscript is not ALL
            and plain
            and len(letters) <= 1
            and not letters & letters_seen
            and all(abs(c) == 1 for a, c in linear.parts if a in letters)
        )
        letters_seen |= letters
        box.append(spread(subscript, reference.ranges) if sure else _WHOLE)
        certain.append(sure)
    return tuple(box), certain


def _cover(box: Box, certain: list[bool], reference: Reference, axes: tuple[Axis, ...]) -> Box:
    """A declared box seen from a reference: its outer letters are the reference's subscripts."""
    substitution = {
        index_symbol(axis.letter): sub
        for axis, sub in zip(axes, reference.subscripts, strict=False)
        if axis.letter and sub is not ALL
    }
    result: list[Interval] = []
    for interval, sure in zip(box, certain, strict=True):
        if not sure:
            result.append(_WHOLE)
            continue
        low = spread(interval.low.xreplace(substitution), reference.ranges).low
        high = spread(interval.high.xreplace(substitution), reference.ranges).high
        result.append(Interval(low, high))
    return tuple(result)


def _edge_box(edge: EdgeValue) -> Box:
    ranges = {r.letter: r for r in edge.ranges}
    return tuple(spread(s, ranges) for s in edge.subscripts)


def _within_range(reference: Reference, declared: Declared, scope: Scope) -> None:
    """A variable is used only where it has a density, a given value, or (observed) data."""
    name = reference.name
    axes = scope.variables[name].axes
    places = declared.places.get(name, [])
    observed = scope.variables[name].role == "observed"
    if not axes or not reference.subscripts:
        return
    if not observed and not any(p.raw.call is not None for p in places):
        return
    box, certain = _boxes(reference, axes)
    if not any(certain):
        return
    domain = [p.box for p in places if p.raw.call is not None or observed]
    edges = [_edge_box(e) for e in declared.edges if e.variable == name]
    cover = [_cover(b, certain, reference, axes) for b in (*domain, *edges)]
    outside = points_outside(box, cover)
    if not outside:
        return
    if observed and _conditioned(reference, box, certain, cover, declared, scope):
        return
    shown = _shown(name, outside[0], certain)
    what = "no density and no given value" if not observed else "no given value"
    scope.problems.add(
        reference.place,
        f"{_reaches(reference, shown)} out of range: it has {what}.",
        f"Give the value ('given {shown} = 0'), add a statement, or shorten the range.",
    )


def _conditioned(
    reference: Reference,
    box: Box,
    certain: list[bool],
    cover: list[Box],
    declared: Declared,
    scope: Scope,
) -> bool:
    """Observed points of the index set without a density belong to the data."""
    variable = scope.variables[reference.name]
    if any(a.letter not in scope.indices for a in variable.axes):
        return False
    sets = [scope.indices[a.letter].range for a in variable.axes]
    whole: Box = tuple(Interval(s.low, s.high) for s in sets)
    seen = _cover(whole, certain, reference, variable.axes)
    if points_outside(box, [*cover, seen]):
        return False
    places = declared.places[reference.name]
    widened = [hull([*(p.box[i] for p in places), whole[i]]) for i in range(len(whole))]
    axes = tuple(Axis(a.letter, w.low, w.high) for a, w in zip(variable.axes, widened, strict=True))
    scope.variables[reference.name] = replace(variable, axes=axes)
    return True


def _given_within_range(reference: Reference, declared: Declared, scope: Scope) -> None:
    axes = scope.axes(reference.name)
    if not axes or not reference.subscripts:
        return
    box, certain = _boxes(reference, axes)
    if not any(certain):
        return
    own: Box = tuple(Interval(a.low, a.high) for a in axes)
    edges = [_edge_box(e) for e in declared.edges if e.variable == reference.name]
    cover = [_cover(b, certain, reference, axes) for b in (own, *edges)]
    outside = points_outside(box, cover)
    if outside:
        scope.problems.add(
            reference.place,
            f"{_reaches(reference, _shown(reference.name, outside[0], certain))} out of range.",
            "Shorten the range of the statement"
            + (", arrays are zero-based." if not scope.givens[reference.name].axes else "."),
        )


def _labels_exist(reference: Reference, written: Written, scope: Scope) -> None:
    """mu[c[n]] with c in 0..K-1 wants ``index k = 0:K-1``."""
    axes = scope.axes(reference.name)
    for axis, subscript in zip(axes, reference.subscripts, strict=False):
        if not isinstance(subscript, sympy.Indexed | Symbol):
            continue
        name = terms.name_of(subscript)
        if subscript in reference.ranges or name not in written.categories:
            continue
        last = written.categories[name] - 1
        below, above = compare(axis.low, sympy.Integer(0)), compare(last, axis.high)
        if below == 1 or above == 1:
            scope.problems.add(
                reference.place,
                f"{name!r} takes the values 0..{last}, but {reference.name!r} is indexed by "
                f"{axis.low}:{axis.high}, so some are out of range.",
                f"Declare 'index {axis.letter or 'k'} = 0:{last}'.",
            )


def _edges_are_needed(declared: Declared, written: Written, scope: Scope) -> None:
    """An edge value stands outside the variable's own points, and something reads it."""
    for edge in declared.edges:
        place = declared.edge_places[edge]
        box = _edge_box(edge)
        shown = str(terms.ref(edge.variable, *edge.subscripts))
        for own in declared.places.get(edge.variable, []):
            if own.raw.call is not None and _overlap(_spread_box(own), box) is not None:
                scope.problems.add(
                    place, f"{shown} is given here and has a density in line "
                    f"{own.raw.statement.line}.", "Keep one of the two.",
                )  # fmt: skip
                break
        else:
            _edge_is_read(edge, box, shown, declared, written, scope)


def _edge_is_read(
    edge: EdgeValue, box: Box, shown: str, declared: Declared, written: Written, scope: Scope
) -> None:
    axes = scope.axes(edge.variable)
    for reference in written.references.get(edge.variable, []):
        reach, certain = _boxes(reference, axes)
        apart = (meet(r, e) for r, e, sure in zip(reach, box, certain, strict=True) if sure)
        if not any(m is not None and m.empty for m in apart):
            return
    if edge.variable not in scope.broken:
        scope.problems.add(
            declared.edge_places[edge],
            f"The given value of {shown} is used by no density.",
            "Remove it.",
        )


def _spread_box(place: Place) -> Box:
    ranges = {r.letter: r for r in place.ranges}
    return tuple(
        Interval(spread(i.low, ranges).low, spread(i.high, ranges).high) for i in place.box
    )


def _reaches(reference: Reference, shown: str) -> str:
    """``z[t-1] reaches z[0], which is``, or ``z[0] is``."""
    inside = ",".join(str(e).replace(" ", "") for e in reference.subscripts)
    written = f"{reference.name}[{inside}]"
    return f"{shown} is" if written == shown else f"{written} reaches {shown}, which is"


def _shown(name: str, box: Box, certain: Sequence[bool] | None = None) -> str:
    sure = certain or [True] * len(box)
    inside = ",".join(str(i).replace(" ", "") if s else ":" for i, s in zip(box, sure, strict=True))
    return f"{name}[{inside}]" if box else name
