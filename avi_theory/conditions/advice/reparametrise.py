"""Other coordinates of the locals, in which the coupling disappears.

One file for each exact change of coordinates, and one line here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from avi_theory.conditions.advice.contrasts import contrasts
from avi_theory.conditions.advice.eigenbasis import eigenbasis
from avi_theory.conditions.advice.increments import increments
from avi_theory.conditions.advice.suggestion import Suggestion
from avi_theory.symbolic.analysis import Analysis

REPARAMETRISATIONS: tuple[Callable[[Analysis], Iterator[Suggestion]], ...] = (
    increments,
    contrasts,
    eigenbasis,
)


def reparametrised(analysis: Analysis) -> Iterator[Suggestion]:
    """Every change of coordinates that fits; `check` confirms them afterwards."""
    for change in REPARAMETRISATIONS:
        yield from change(analysis)
