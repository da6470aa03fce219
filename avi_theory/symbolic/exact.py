"""Exact linear algebra over the rationals, for a dozen unknowns."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from avi_theory.symbolic.errors import Stuck


def solve_rational(
    matrix: Sequence[Sequence[Fraction]], right: Sequence[Fraction]
) -> list[Fraction]:
    """The solution of a positive definite system in exact fractions.

    Raises:
        Stuck: the matrix is not positive definite, so the density has no mean-field optimum.

    Example:
        >>> solve_rational([[Fraction(2), Fraction(1)], [Fraction(1), Fraction(2)]],
        ...                [Fraction(1), Fraction(2)])
        [Fraction(0, 1), Fraction(1, 1)]
    """
    size = len(matrix)
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for k in range(size):
        if rows[k][k] <= 0:
            raise Stuck("the joint density", "its precision is not positive definite")
        for i in range(k + 1, size):
            if rows[i][k]:
                ratio = rows[i][k] / rows[k][k]
                rows[i] = [a - ratio * b for a, b in zip(rows[i], rows[k], strict=True)]
    answer = [Fraction(0)] * size
    for k in reversed(range(size)):
        rest = sum((rows[k][j] * answer[j] for j in range(k + 1, size)), Fraction(0))
        answer[k] = (rows[k][size] - rest) / rows[k][k]
    return answer
