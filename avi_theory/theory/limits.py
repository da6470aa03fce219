"""Limits per latent as the size grows."""

from __future__ import annotations

from avi_theory.theory.moments import Draws
from avi_theory.theory.question import Question


def population_limit(question: Question, draws: Draws) -> tuple[float | None, tuple[str, ...]]:
    """The limit and remarks."""
    return None, ()
