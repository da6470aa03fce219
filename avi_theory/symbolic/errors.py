"""What the analysis says when it cannot decide: the expression it got stuck on."""

from __future__ import annotations

from sympy import Expr


class Stuck(Exception):
    """The analysis met an expression that it cannot decide.

    It never leaves the package: `avi_theory.conditions.check` turns it into the verdict
    ``unknown``, which names the expression.
    """

    def __init__(self, expression: object, why: str) -> None:
        self.expression = str(expression)
        self.why = why
        super().__init__(f"{self.expression}: {why}")


class Partial(Stuck):
    """A statement's range covers a part of an index set that no number bounds.

    Attributes:
        hull: the ends of the index set.
        part: the ends of the statement's range.
    """

    def __init__(self, hull: tuple[Expr, Expr], part: tuple[Expr, Expr]) -> None:
        self.hull = hull
        self.part = part
        (low, high), (start, stop) = hull, part
        super().__init__(f"{start}:{stop}", f"it covers an unknown part of {low}:{high}")
