"""What to do about a verdict; each piece is applied to the model and checked before it is given."""

from avi_theory.conditions.advice.suggest import advice, suggestions
from avi_theory.conditions.advice.suggestion import Suggestion

__all__ = ["Suggestion", "advice", "suggestions"]
