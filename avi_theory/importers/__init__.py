"""Models of other packages in the notation, and back."""

from avi_theory.importers.hmmlearn_read import from_hmmlearn, hmmlearn_data
from avi_theory.importers.hmmlearn_write import to_hmmlearn

__all__ = ["from_hmmlearn", "hmmlearn_data", "to_hmmlearn"]
