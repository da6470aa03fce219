"""Is anything declared in vain?  A given, global, index or network must reach some density."""

from __future__ import annotations

import re
from collections.abc import Sequence

import sympy
from sympy import Expr

from avi_theory.spec import terms
from avi_theory.spec.notation.densities import Written
from avi_theory.spec.notation.places import Declared
from avi_theory.spec.notation.scope import Scope
from avi_theory.spec.notation.syntax import Raw


def report_unused(raws: Sequence[Raw], declared: Declared, written: Written, scope: Scope) -> None:
    """A given, global, index or network that no density uses is a mistake."""
    used = _in_failed_statements(raws, written, scope)
    networks = set(scope.networks)
    for target, names in written.uses:
        if target not in networks:
            used |= names - {target}
    for name, variable in scope.variables.items():
        if variable.role != "global" or name in used:
            used |= {a.letter for a in variable.axes}
            for a in variable.axes:
                used |= _names_in(a.low) | _names_in(a.high)
    for edge in declared.edges:
        used |= declared.uses.get(edge.variable, set())
    pending = list(used)
    while pending:
        name = pending.pop()
        for more in _implied(name, declared, written, scope) - used:
            used.add(more)
            pending.append(more)
    for raw in raws:
        for item in raw.items:
            name = item.name.text
            kind = scope.kinds.get(name)
            if name in used or name in scope.broken or kind not in _MUST_BE_USED:
                continue
            if raw.keyword == "given" and kind != "given":
                continue
            scope.problems.add(
                item.name, f"The {kind} {name!r} is declared, but no density uses it.",
                "Use it or remove the statement.",
            )  # fmt: skip


_MUST_BE_USED = ("given", "global", "index", "network")


def _implied(name: str, declared: Declared, written: Written, scope: Scope) -> set[str]:
    """What is used because `name` is."""
    implied: set[str] = set(declared.uses.get(name, ()))
    if name in scope.indices:
        bound = scope.indices[name].range
        implied |= _names_in(bound.low) | _names_in(bound.high)
    if name in scope.givens:
        given = scope.givens[name]
        implied |= {a.letter for a in given.axes}
        implied |= {given.member_of} if given.member_of else set()
    if name in scope.networks:
        for dimension in (*scope.networks[name].inputs, scope.networks[name].output):
            implied |= _names_in(dimension)
        for target, names in written.uses:
            implied |= names if target == name else set()
    if name in scope.variables:
        implied |= {a.letter for a in scope.variables[name].axes}
    return implied


def _names_in(expression: Expr) -> set[str]:
    """The names of sizes, letters and ragged sizes inside an index expression."""
    return {str(s) for s in expression.free_symbols if not isinstance(s, sympy.Indexed)} | {
        terms.name_of(i) for i in expression.atoms(sympy.Indexed)
    }


def _in_failed_statements(raws: Sequence[Raw], written: Written, scope: Scope) -> set[str]:
    """Names in statements that could not be read: they count as used."""
    names: set[str] = set()
    for raw in raws:
        own = {item.name.text for item in raw.items}
        wanted = raw.call is not None or raw.body is not None
        failed = raw.broken or own & scope.broken or (wanted and id(raw) not in written.read)
        if failed:
            names |= set(re.findall(r"[^\W\d]\w*", raw.statement.text)) - own
    return names
