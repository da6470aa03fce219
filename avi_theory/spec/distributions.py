"""The distributions of the notation: signature, support, log density, sampler. One entry each.

Adding a distribution means adding one `Distribution` to `DISTRIBUTIONS`.  Parameters are scales
(standard deviations), never variances.  Densities are normalised; ``Flat()`` contributes 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy
from sympy import Expr, Rational, exp, log, loggamma, pi

from avi_theory.spec.terms import (
    logsumexp,
    mvn_log_density,
    pick,
    softplus,
    total,
    vector,
    where_positive,
)

Arguments = Mapping[str, Any]
HALF = Rational(1, 2)


@dataclass(frozen=True)
class Parameter:
    """A parameter: its name, its domain, and the parameter it may replace (``logit`` for ``p``).

    Domains: ``real``, ``positive``, ``unit`` (between 0 and 1), ``count`` (0, 1, 2, …),
    ``simplex`` (a vector adding up to one), ``covariance`` (a positive definite matrix).
    """

    name: str
    domain: str = "real"
    instead_of: str | None = None
    is_vector: bool = False


@dataclass(frozen=True)
class Distribution:
    """One distribution of the notation.

    Attributes:
        name: as written in a model text.
        parameters: in positional order; keyword alternatives carry ``instead_of``.
        support: ``real``, ``positive``, ``unit``, ``interval`` (of its parameters), ``count``,
            ``bounded_count``, ``binary``, ``categories``, ``simplex``.
        log_density: (value, arguments) to the log density in nats, a sympy expression; for a
            vector-valued variable it is the density of one coordinate unless `multivariate`.
        sample: (generator, arguments as arrays, shape) to a draw; None if improper.
        mean: arguments (sympy or arrays) to the mean; None where there is none.
        multivariate: True when the variable is one vector under a joint density.
    """

    name: str
    parameters: tuple[Parameter, ...]
    support: str
    log_density: Callable[[Expr, Arguments], Expr]
    sample: Callable[[np.random.Generator, Arguments, tuple[int, ...]], np.ndarray] | None
    mean: Callable[[Arguments], Any] | None = None
    multivariate: bool = False

    @property
    def discrete(self) -> bool:
        """Whether values are integers."""
        return self.support in {"count", "bounded_count", "binary", "categories"}

    @property
    def positional(self) -> tuple[Parameter, ...]:
        """The parameters that can be given by position."""
        return tuple(p for p in self.parameters if p.instead_of is None)

    def signature(self) -> str:
        """The signature as model texts write it, e.g. ``Bernoulli(p | logit=)``."""
        shown = ", ".join(p.name for p in self.positional)
        keyword = [f"{p.name}=" for p in self.parameters if p.instead_of]
        return f"{self.name}({' | '.join([shown, *keyword])})"


def _normal(x: Expr, a: Arguments) -> Expr:
    return -HALF * log(2 * pi) - log(a["sd"]) - (x - a["mean"]) ** 2 / (2 * a["sd"] ** 2)


def _student(x: Expr, a: Arguments) -> Expr:
    df, scale = a["df"], a["scale"]
    constant = loggamma((df + 1) * HALF) - loggamma(df * HALF) - HALF * log(df * pi) - log(scale)
    return constant - (df + 1) * HALF * log(1 + ((x - a["mean"]) / scale) ** 2 / df)


def _laplace(x: Expr, a: Arguments) -> Expr:
    return -log(2 * a["scale"]) - sympy.Abs(x - a["mean"]) / a["scale"]


def _cauchy(x: Expr, a: Arguments) -> Expr:
    return -log(pi * a["scale"]) - log(1 + ((x - a["mean"]) / a["scale"]) ** 2)


def _half_normal(x: Expr, a: Arguments) -> Expr:
    return HALF * log(2 / pi) - log(a["scale"]) - x**2 / (2 * a["scale"] ** 2)


def _half_cauchy(x: Expr, a: Arguments) -> Expr:
    return log(2 / (pi * a["scale"])) - log(1 + (x / a["scale"]) ** 2)


def _log_normal(x: Expr, a: Arguments) -> Expr:
    return (
        -log(x) - HALF * log(2 * pi) - log(a["sd"]) - (log(x) - a["mean"]) ** 2 / (2 * a["sd"] ** 2)
    )


def _gamma(x: Expr, a: Arguments) -> Expr:
    shape, rate = a["shape"], a["rate"]
    return shape * log(rate) - loggamma(shape) + (shape - 1) * log(x) - rate * x


def _inverse_gamma(x: Expr, a: Arguments) -> Expr:
    shape, scale = a["shape"], a["scale"]
    return shape * log(scale) - loggamma(shape) - (shape + 1) * log(x) - scale / x


def _beta(x: Expr, a: Arguments) -> Expr:
    b, c = a["a"], a["b"]
    return loggamma(b + c) - loggamma(b) - loggamma(c) + (b - 1) * log(x) + (c - 1) * log(1 - x)


def _uniform(x: Expr, a: Arguments) -> Expr:
    inside = where_positive(x - a["low"], where_positive(a["high"] - x, 0))
    return -log(a["high"] - a["low"]) + inside


def _bernoulli(x: Expr, a: Arguments) -> Expr:
    if "logit" in a:
        return x * a["logit"] - softplus(a["logit"])
    return x * log(a["p"]) + (1 - x) * log(1 - a["p"])


def _binomial(x: Expr, a: Arguments) -> Expr:
    n = a["n"]
    choose = loggamma(n + 1) - loggamma(x + 1) - loggamma(n - x + 1)
    if "logit" in a:
        return choose + x * a["logit"] - n * softplus(a["logit"])
    return choose + x * log(a["p"]) + (n - x) * log(1 - a["p"])


def _categorical(x: Expr, a: Arguments) -> Expr:
    if "logit" in a:
        return pick(a["logit"], x) - logsumexp(a["logit"])
    p = a["p"]
    if isinstance(p, sympy.Indexed):
        return log(p.base[(*p.indices, x)])
    return log(pick(p, x))


def _poisson(x: Expr, a: Arguments) -> Expr:
    if "log_rate" in a:
        return x * a["log_rate"] - exp(a["log_rate"]) - loggamma(x + 1)
    return x * log(a["rate"]) - a["rate"] - loggamma(x + 1)


def _negative_binomial(x: Expr, a: Arguments) -> Expr:
    m, r = a["mean"], a["dispersion"]
    choose = loggamma(x + r) - loggamma(r) - loggamma(x + 1)
    return choose + r * (log(r) - log(r + m)) + x * (log(m) - log(r + m))


def _dirichlet(x: Expr, a: Arguments) -> Expr:
    c = a["concentration"]
    if isinstance(c, vector):
        normaliser = loggamma(sum(c.args)) - sum(loggamma(e) for e in c.args)
    else:
        normaliser = loggamma(total(c)) - total(loggamma(c))
    return normaliser + total((c - 1) * log(x))


def _mvn(x: Expr, a: Arguments) -> Expr:
    return mvn_log_density(x, a["mean"], a["cov"])


def _flat(x: Expr, a: Arguments) -> Expr:
    return sympy.Integer(0)


def _probability(a: Arguments) -> Any:
    from scipy.special import expit

    return expit(a["logit"]) if "logit" in a else a["p"]


def _draw_categorical(g: np.random.Generator, a: Arguments, s: tuple[int, ...]) -> np.ndarray:
    from scipy.special import softmax

    p = softmax(a["logit"], -1) if "logit" in a else np.asarray(a["p"], float)
    cumulative = np.cumsum(np.broadcast_to(p, s + np.shape(p)[-1:]), -1)
    u = g.random(s) * cumulative[..., -1]
    return (u[..., None] > cumulative).sum(-1)


def _draw_mvn(g: np.random.Generator, a: Arguments, s: tuple[int, ...]) -> np.ndarray:
    chol = np.linalg.cholesky(np.asarray(a["cov"], float))
    return a["mean"] + np.einsum("...ij,...j->...i", chol, g.standard_normal(s))


def _draw_dirichlet(g: np.random.Generator, a: Arguments, s: tuple[int, ...]) -> np.ndarray:
    gammas = g.gamma(np.broadcast_to(a["concentration"], s))
    return gammas / gammas.sum(-1, keepdims=True)


def _draw_negative_binomial(g: np.random.Generator, a: Arguments, s: tuple[int, ...]) -> np.ndarray:
    return g.poisson(g.gamma(a["dispersion"], a["mean"] / a["dispersion"], s))


def _rate(a: Arguments) -> Any:
    return np.exp(a["log_rate"]) if "log_rate" in a else a["rate"]


_P = Parameter
_SCALE = _P("scale", "positive")
_UNIT = (_P("p", "unit"), _P("logit", "real", "p"))

_ENTRIES = (
    Distribution("Normal", (_P("mean"), _P("sd", "positive")), "real", _normal,
                 lambda g, a, s: g.normal(a["mean"], a["sd"], s), lambda a: a["mean"]),
    Distribution("StudentT", (_P("df", "positive"), _P("mean"), _SCALE), "real", _student,
                 lambda g, a, s: a["mean"] + a["scale"] * g.standard_t(a["df"], s),
                 lambda a: a["mean"]),
    Distribution("Laplace", (_P("mean"), _SCALE), "real", _laplace,
                 lambda g, a, s: g.laplace(a["mean"], a["scale"], s), lambda a: a["mean"]),
    Distribution("Cauchy", (_P("mean"), _SCALE), "real", _cauchy,
                 lambda g, a, s: a["mean"] + a["scale"] * g.standard_cauchy(s)),
    Distribution("HalfNormal", (_SCALE,), "positive", _half_normal,
                 lambda g, a, s: np.abs(g.normal(0.0, a["scale"], s)),
                 lambda a: a["scale"] * sympy.sqrt(2 / pi)),
    Distribution("HalfCauchy", (_SCALE,), "positive", _half_cauchy,
                 lambda g, a, s: np.abs(a["scale"] * g.standard_cauchy(s))),
    Distribution("LogNormal", (_P("mean"), _P("sd", "positive")), "positive", _log_normal,
                 lambda g, a, s: g.lognormal(a["mean"], a["sd"], s),
                 lambda a: exp(a["mean"] + a["sd"] ** 2 / 2)),
    Distribution("Exponential", (_P("rate", "positive"),), "positive",
                 lambda x, a: log(a["rate"]) - a["rate"] * x,
                 lambda g, a, s: g.exponential(1 / np.asarray(a["rate"]), s),
                 lambda a: 1 / a["rate"]),
    Distribution("Gamma", (_P("shape", "positive"), _P("rate", "positive")), "positive", _gamma,
                 lambda g, a, s: g.gamma(a["shape"], 1 / np.asarray(a["rate"]), s),
                 lambda a: a["shape"] / a["rate"]),
    Distribution("InverseGamma", (_P("shape", "positive"), _SCALE), "positive", _inverse_gamma,
                 lambda g, a, s: a["scale"] / g.gamma(a["shape"], 1.0, s),
                 lambda a: a["scale"] / (a["shape"] - 1)),
    Distribution("Beta", (_P("a", "positive"), _P("b", "positive")), "unit", _beta,
                 lambda g, a, s: g.beta(a["a"], a["b"], s), lambda a: a["a"] / (a["a"] + a["b"])),
    Distribution("Uniform", (_P("low"), _P("high")), "interval", _uniform,
                 lambda g, a, s: g.uniform(a["low"], a["high"], s),
                 lambda a: (a["low"] + a["high"]) / 2),
    Distribution("Bernoulli", _UNIT, "binary", _bernoulli,
                 lambda g, a, s: (g.random(s) < _probability(a)).astype(float)),
    Distribution("Binomial", (_P("n", "count"), *_UNIT), "bounded_count", _binomial,
                 lambda g, a, s: g.binomial(np.asarray(a["n"]).astype(int), _probability(a), s)),
    Distribution("Categorical", (_P("p", "simplex", is_vector=True),
                                 _P("logit", "real", "p", is_vector=True)),
                 "categories", _categorical, _draw_categorical),
    Distribution("Poisson", (_P("rate", "positive"), _P("log_rate", "real", "rate")), "count",
                 _poisson, lambda g, a, s: g.poisson(_rate(a), s)),
    Distribution("NegativeBinomial", (_P("mean", "positive"), _P("dispersion", "positive")),
                 "count", _negative_binomial,
                 _draw_negative_binomial,
                 lambda a: a["mean"]),
    Distribution("Dirichlet", (_P("concentration", "positive", is_vector=True),), "simplex",
                 _dirichlet, _draw_dirichlet,
                 lambda a: a["concentration"] / total(a["concentration"]), multivariate=True),
    Distribution("MultivariateNormal", (_P("mean", is_vector=True),
                                        _P("cov", "covariance", is_vector=True)), "real", _mvn,
                 _draw_mvn, lambda a: a["mean"], multivariate=True),
    Distribution("Flat", (), "real", _flat, None),
)  # fmt: skip

DISTRIBUTIONS: dict[str, Distribution] = {d.name: d for d in _ENTRIES}
"""Every distribution a model text may name."""
