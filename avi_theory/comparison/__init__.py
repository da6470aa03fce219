"""Theory meets measurement: the ladder of gaps, and whether the two agree."""

from avi_theory.comparison.compare import Predictions, compare
from avi_theory.comparison.ladder import Evidence, Known, generalization, ladder
from avi_theory.comparison.outcome import Run, judge, tolerance

__all__ = [
    "Evidence",
    "Known",
    "Predictions",
    "Run",
    "compare",
    "generalization",
    "judge",
    "ladder",
    "tolerance",
]
