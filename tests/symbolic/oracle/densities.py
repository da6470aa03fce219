"""Log densities, written once more; terms that only hold constants are left out where exact."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any


@dataclass(frozen=True)
class ExactLog:
    """linear + log(power), both rational: zero exactly if linear = 0 and power = 1."""

    linear: Fraction = Fraction(0)
    power: Fraction = Fraction(1)

    def __add__(self, other: Any) -> ExactLog:
        if not isinstance(other, ExactLog):
            return ExactLog(self.linear + other, self.power)
        return ExactLog(self.linear + other.linear, self.power * other.power)

    __radd__ = __add__

    def __sub__(self, other: ExactLog) -> ExactLog:
        return ExactLog(self.linear - other.linear, self.power / other.power)

    def __float__(self) -> float:
        return float(self.linear) + math.log(self.power)


def zero(value: Any) -> bool:
    """Whether a difference of log densities vanishes (floats: up to rounding)."""
    if isinstance(value, ExactLog):
        return value.linear == 0 and value.power == 1
    return value == 0 if isinstance(value, (Fraction, int)) else abs(value) < 1e-7


def log_density(kind: str, family: str, x: Any, arguments: list[Any], named: dict[str, Any]) -> Any:
    """log p(x), a fraction for Gaussian models, an `ExactLog` for discrete ones, else a float."""
    if family == "Flat":
        return Fraction(0)
    if kind == "gaussian":
        mean, sd = arguments
        return -((x - mean) ** 2) / (2 * sd**2)
    if kind == "discrete":
        if family == "Categorical":
            return ExactLog(power=Fraction(arguments[0][int(x)]))
        p = Fraction(arguments[0])
        return ExactLog(power=p if x == 1 else 1 - p)
    return float(_FLOATS[family](float(x), *arguments, **named))


def _normal(x: float, mean: Any, sd: Any) -> float:
    return -((x - mean) ** 2) / (2 * sd**2) - math.log(sd)


def _student(x: float, df: Any, mean: Any, scale: Any) -> float:
    return -(df + 1) / 2 * math.log(1 + ((x - mean) / scale) ** 2 / df) - math.log(scale)


def _poisson(x: float, rate: Any = None, log_rate: Any = None) -> float:
    log_rate = math.log(rate) if log_rate is None else log_rate
    return x * log_rate - math.exp(log_rate)


def _bernoulli(x: float, p: Any = None, logit: Any = None) -> float:
    if logit is None:
        return math.log(p if x == 1 else 1 - p)
    return x * logit - math.log(1 + math.exp(logit))


_FLOATS = {
    "Normal": _normal,
    "StudentT": _student,
    "Laplace": lambda x, mean, scale: -abs(x - mean) / scale - math.log(scale),
    "LogNormal": lambda x, mean, sd: _normal(math.log(x), mean, sd) - math.log(x),
    "HalfNormal": lambda x, scale: -(x**2) / (2 * scale**2) - math.log(scale),
    "Gamma": lambda x, shape, rate: (
        (shape - 1) * math.log(x) - rate * x + shape * math.log(rate) - math.lgamma(shape)
    ),
    "InverseGamma": lambda x, shape, scale: (
        -(shape + 1) * math.log(x) - scale / x + shape * math.log(scale) - math.lgamma(shape)
    ),
    "Exponential": lambda x, rate: math.log(rate) - rate * x,
    "Beta": lambda x, a, b: (
        (a - 1) * math.log(x) + (b - 1) * math.log(1 - x)
        - math.lgamma(a) - math.lgamma(b) + math.lgamma(a + b)
    ),
    "Poisson": _poisson,
    "Bernoulli": _bernoulli,
    "Categorical": lambda x, p: math.log(p[int(x)]),
}  # fmt: skip
