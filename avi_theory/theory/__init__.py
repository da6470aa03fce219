"""The amortization gap by theory: closed forms, their regimes and limits."""

from avi_theory.theory.closed_forms import CLOSED_FORMS
from avi_theory.theory.predict import predict
from avi_theory.theory.question import Verdict

__all__ = ["CLOSED_FORMS", "Verdict", "predict"]
