"""Files that were written."""

from __future__ import annotations

from dataclasses import dataclass

from avi_theory.results.shown import Shown


@dataclass(frozen=True)
class Files(Shown):
    """Paths of files that now exist."""

    files: tuple[str, ...]
