"""What the analysis says when it cannot decide: the expression it got stuck on."""

from __future__ import annotations


class Stuck(Exception):
    """The analysis met an expression that it cannot decide.

    It never leaves the package: `avi_theory.conditions.check` turns it into the verdict
    ``unknown``, which names the expression.
    """

    def __init__(self, expression: object, why: str) -> None:
        self.expression = str(expression)
        self.why = why
        super().__init__(f"{self.expression}: {why}")
