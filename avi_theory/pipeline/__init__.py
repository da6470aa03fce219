"""The verbs, wired: only here does the verdict of `check` choose defaults for the others."""

from avi_theory.pipeline.choice import Choice, choose
from avi_theory.pipeline.data import simulate
from avi_theory.pipeline.smallest import smallest_inputs
from avi_theory.pipeline.verbs import check, compare, measure, predict

__all__ = [
    "Choice", "check", "choose", "compare", "measure", "predict", "simulate", "smallest_inputs",
]  # fmt: skip
