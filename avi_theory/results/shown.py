"""Answers that show themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from avi_theory.results import views
from avi_theory.results.base import Result


@dataclass(frozen=True)
class Shown(Result):
    """An answer with a text, an HTML fragment for notebooks, and figures where some accept it."""

    def plot(self, name: str | None = None) -> Any:
        """A matplotlib figure.

        Args:
            name: which, where several draw this answer; by default the first.

        Raises:
            InputError: no figure draws it, or none of that name.
        """
        return views.as_figure(self, name)

    def __str__(self) -> str:
        return views.as_text(self)

    def _repr_html_(self) -> str:
        return views.as_html(self)
