"""Files that were written."""

from __future__ import annotations

from dataclasses import dataclass

from avi_theory.results import views
from avi_theory.results.base import Result


@dataclass(frozen=True)
class Files(Result):
    """Paths of files that now exist."""

    files: tuple[str, ...]

    def __str__(self) -> str:
        return views.as_text(self)
