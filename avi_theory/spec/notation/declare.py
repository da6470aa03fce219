"""First pass over the statements: which names exist, over which indices, with which ranges."""

from __future__ import annotations

from collections.abc import Sequence

from avi_theory.spec.notation.givens import read_givens, read_network
from avi_theory.spec.notation.names import VARIABLES, find_sizes, take_names
from avi_theory.spec.notation.places import Declared, read_variables
from avi_theory.spec.notation.ranges import provisional_givens, read_indices, read_ranges
from avi_theory.spec.notation.scope import Scope
from avi_theory.spec.notation.syntax import Raw


def declare(raws: Sequence[Raw], scope: Scope) -> Declared:
    """Fill the scope with everything the statements declare."""
    declared = Declared()
    take_names(raws, scope)
    find_sizes(raws, scope)
    provisional_givens(raws, scope)
    read_indices([r for r in raws if r.keyword == "index"], scope)
    read_variables([r for r in raws if r.keyword in VARIABLES], scope, declared)
    read_givens([r for r in raws if r.keyword == "given"], scope, declared)
    for raw in raws:
        if raw.keyword == "network" and not raw.broken and raw.name not in scope.broken:
            read_network(raw, scope)
    for raw in raws:
        if raw.keyword == "potential" and raw.body is not None:
            bound = read_ranges(raw, [], scope)
            if bound is not None:
                declared.potentials.append((raw, bound))
    return declared
