"""What a symbolic expectation is made of: latents with moments, integrals, Gaussian formulas."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import sympy
from sympy import Expr, Symbol

from avi_theory.numeric.laws import Law

Root = Any


@dataclass(frozen=True)
class Latent:
    """A random quantity with known mean and variance.

    Attributes:
        symbol: stands for it in expressions.
        mean, variance: expressions in moment symbols.
        roots: what it is made of; two quantities with disjoint roots are independent.
        gaussian: False if only its first two moments are known (a sum of products); the variance
            is ``nan`` where not even the second is.
        original: the expression in elementary latents, for Monte Carlo.
        separate: whether its coordinates are independent of each other.
        law: of an elementary latent that is not Gaussian, with its parameters alpha and beta.
        covariance: the matrix of a vector whose coordinates are correlated, else ``nan``.
        coordinate: (whole, k) of one coordinate of such a vector.
    """

    symbol: Symbol
    mean: Expr
    variance: Expr
    roots: frozenset[Root]
    gaussian: bool = True
    original: Expr | None = None
    separate: bool = False
    law: Law = "normal"
    alpha: Expr = sympy.nan
    beta: Expr = sympy.nan
    covariance: Expr = sympy.nan
    coordinate: tuple[Symbol, int] | None = None

    @property
    def correlated(self) -> bool:
        """Whether it is a vector with a covariance matrix."""
        return self.covariance is not sympy.nan

    @property
    def symbols(self) -> set[Symbol]:
        """The moment symbols that it is known by."""
        known = (self.mean, self.variance, self.alpha, self.beta, self.covariance)
        return set().union(*(e.free_symbols for e in known))


@dataclass(frozen=True)
class Direction:
    """One independent variable of an integral.

    Attributes:
        symbol: stands for it in the integrand.
        law: what it is distributed like.
        first, second: mean and variance of a Gaussian, alpha and beta of the other laws.
    """

    symbol: Symbol
    law: Law
    first: Expr
    second: Expr


@dataclass(frozen=True)
class Integral:
    """An expectation without closed form: E[integrand], one value per instance.

    Attributes:
        symbol: stands for its value.
        integrand: in direction symbols (quadrature) or elementary latents (Monte Carlo).
        directions: the independent variables; empty for Monte Carlo.
        text: the integrand in the statement's terms, for messages.
    """

    symbol: Symbol
    integrand: Expr
    directions: tuple[Direction, ...]
    text: str = ""

    @property
    def sampled(self) -> bool:
        """Whether it needs Monte Carlo."""
        return not self.directions


def gaussian_moment(mean: Expr, variance: Expr, power: int) -> Expr:
    r"""E[a^k] = Σⱼ C(k, 2j) (2j−1)!! m^{k−2j} v^j for a ~ N(m, v).

    Example:
        >>> m, v = sympy.symbols("m v")
        >>> gaussian_moment(m, v, 3)
        m**3 + 3*m*v
    """
    return sympy.Add(
        *(
            math.comb(power, 2 * j)
            * sympy.factorial2(2 * j - 1)
            * mean ** (power - 2 * j)
            * variance**j
            for j in range(power // 2 + 1)
        )
    )


def folded_mean(mean: Expr, variance: Expr) -> Expr:
    """E|a| = √(2v/π) exp(−m²/2v) + m erf(m/√(2v))."""
    return sympy.sqrt(2 * variance / sympy.pi) * sympy.exp(
        -(mean**2) / (2 * variance)
    ) + mean * sympy.erf(mean / sympy.sqrt(2 * variance))
