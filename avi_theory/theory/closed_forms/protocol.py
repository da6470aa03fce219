"""What a closed form is: it says from the question alone whether it applies, then answers."""

from __future__ import annotations

from typing import Protocol

from avi_theory.theory.question import Answer, Question


class ClosedForm(Protocol):
    """One way to a number.  Forms are tried in order; the first that accepts answers."""

    def accepts(self, question: Question) -> str:
        """Empty if the form applies; else the reason why not, in words."""
        ...

    def apply(self, question: Question) -> Answer:
        """The answer to a question that was accepted."""
        ...
