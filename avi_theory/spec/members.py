"""Some members of a variable, as users name them: ``t mod 2 = 0``, ``all``, or their labels."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from avi_theory.errors import InputError
from avi_theory.spec.bound import Bound
from avi_theory.spec.model import Variable

Members = str | Sequence[int | Sequence[int]]
_CONDITION = re.compile(r"^\(?([^()]+?)\)?\s+mod\s+(\d+)\s*=\s*(\d+(?:\s+or\s+\d+)*)$")
_TERM = re.compile(r"^(?:(\d+)\*)?(\w+)$")


def members(bound: Bound, variable: Variable, wanted: Members) -> np.ndarray:
    """Which points of a variable are meant, ``[P]`` booleans.

    Args:
        bound: for the points.
        variable: the variable.
        wanted: ``all``; a condition on the index as the advice of `check` writes it,
            ``t mod 2 = 0`` or ``(i+j) mod 3 = 0 or 1``; or labels, ``[3, 7]`` or ``[(1, 2)]``.

    Raises:
        InputError: no such label, or a condition that cannot be read.
    """
    points = bound.tables[variable.name].points
    if isinstance(wanted, str):
        if wanted.strip() == "all":
            return np.ones(len(points), bool)
        return _meeting(points, variable, wanted.strip())
    labels = [tuple(np.atleast_1d(np.asarray(k, np.int64)).tolist()) for k in wanted]
    place = {tuple(p): k for k, p in enumerate(points.tolist())}
    found = np.zeros(len(points), bool)
    for label in labels:
        if label not in place:
            raise InputError(
                f"{variable} has no member {', '.join(map(str, label))}. Its members run from "
                f"{bound.tables[variable.name].label(0)} to "
                f"{bound.tables[variable.name].label(len(points) - 1)}."
            )
        found[place[label]] = True
    return found


def _meeting(points: np.ndarray, variable: Variable, text: str) -> np.ndarray:
    match = _CONDITION.match(text)
    terms = match[1].replace(" ", "").split("+") if match else [""]
    value = np.zeros(len(points), np.int64)
    for term in terms:
        part = _TERM.match(term)
        if match is None or part is None or part[2] not in variable.letters:
            letter = variable.letters[-1] if variable.letters else "t"
            raise InputError(
                f"The members {text!r} of {variable} cannot be read. Write a condition on its "
                f"index, as in '{letter} mod 2 = 0', or 'all', or a list of labels."
            )
        value += int(part[1] or 1) * points[:, variable.letters.index(part[2])]
    assert match is not None
    if int(match[2]) == 0:
        raise InputError(f"The members {text!r} of {variable} are counted modulo 0. Use 1 or more.")
    return np.isin(value % int(match[2]), [int(r) for r in re.findall(r"\d+", match[3])])
