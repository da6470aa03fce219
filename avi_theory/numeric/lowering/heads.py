"""A sympy expression as a torch function: a small table of heads, constants folded first.

Values carry their instances on leading axes and, for vectors and matrices, their coordinates on
the last ones; the number of coordinate axes (the rank) of every node is known when the program is
built, so that a scalar per instance and a vector per instance broadcast without ambiguity.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

import sympy
import torch
from sympy import Expr, Symbol
from torch import Tensor

from avi_theory.errors import InputError
from avi_theory.numeric.lowering.covariance import COVARIANCES
from avi_theory.spec import terms


class mvn_trace(sympy.Function):
    """Σᵢ (C⁻¹)ᵢᵢ vᵢ: mvn_trace(v, C), what a factorized q adds to a Gaussian quadratic form."""

    nargs = 2
    is_extended_real = True


def _matvec(a: Tensor, v: Tensor) -> Tensor:
    return (a @ v.unsqueeze(-1)).squeeze(-1) if a.dim() > 1 else (a * v).sum(-1)


def _pick(v: Tensor, k: Tensor) -> Tensor:
    k = k.long()
    shape = torch.broadcast_shapes(v.shape[:-1], k.shape)
    chosen = v.expand(*shape, v.shape[-1]).gather(-1, k.expand(shape).unsqueeze(-1))
    return chosen.squeeze(-1)


def _stack(*entries: Tensor) -> Tensor:
    return torch.stack(torch.broadcast_tensors(*entries), -1)


def _mvn(x: Tensor, mean: Tensor, cov: Tensor) -> Tensor:
    chol = torch.linalg.cholesky(cov)
    delta = torch.as_tensor(x - mean)
    white = torch.linalg.solve_triangular(chol, delta.unsqueeze(-1), upper=False).squeeze(-1)
    log_det = 2 * torch.diagonal(chol, dim1=-2, dim2=-1).log().sum(-1)
    return -0.5 * ((white**2).sum(-1) + log_det + cov.shape[-1] * math.log(2 * math.pi))


def _mvn_trace(v: Tensor, cov: Tensor) -> Tensor:
    return (torch.diagonal(torch.linalg.inv(cov), dim1=-2, dim2=-1) * v).sum(-1)


def _where_positive(c: Tensor, a: Tensor) -> Tensor:
    return torch.where(c > 0, a, torch.full_like(a, -math.inf))


def _polygamma(order: Tensor, x: Tensor) -> Tensor:
    return torch.polygamma(int(order), x)


ELEMENTWISE: dict[Any, Callable[..., Tensor]] = {
    sympy.exp: torch.exp,
    sympy.log: torch.log,
    sympy.sin: torch.sin,
    sympy.cos: torch.cos,
    sympy.tan: torch.tan,
    sympy.sinh: torch.sinh,
    sympy.cosh: torch.cosh,
    sympy.tanh: torch.tanh,
    sympy.atan: torch.atan,
    sympy.Abs: torch.abs,
    sympy.sign: torch.sign,
    sympy.erf: torch.erf,
    sympy.erfc: torch.erfc,
    sympy.loggamma: torch.lgamma,
    sympy.polygamma: _polygamma,
    sympy.Max: lambda *a: reduce(torch.maximum, a),
    sympy.Min: lambda *a: reduce(torch.minimum, a),
    terms.sigmoid: torch.sigmoid,
    terms.softplus: lambda x: torch.logaddexp(x, torch.zeros_like(x)),
    terms.maximum: torch.maximum,
    terms.minimum: torch.minimum,
    terms.where_positive: _where_positive,
}
"""Heads that act on each coordinate; arguments are broadcast to the highest rank among them."""

COORDINATEWISE: dict[Any, tuple[Callable[..., Tensor], tuple[int, ...], int]] = {
    terms.total: (lambda v: v.sum(-1), (1,), 0),
    terms.logsumexp: (lambda v: torch.logsumexp(v, -1), (1,), 0),
    terms.pick: (_pick, (1, 0), 0),
    terms.mvn_log_density: (_mvn, (1, 1, 2), 0),
    mvn_trace: (_mvn_trace, (1, 2), 0),
    **COVARIANCES,
}
"""Heads that mix coordinates: the function, the rank each argument needs, the result's rank."""


@dataclass(frozen=True)
class _Step:
    """One instruction: apply `function` to earlier values, raised by `lifts` coordinate axes."""

    function: Callable[..., Any]
    arguments: tuple[int, ...]
    lifts: tuple[int, ...]


def number(expression: Expr) -> float:
    """The value of an expression without symbols, e.g. ``log(2*pi)``."""
    value = expression.evalf(25)
    if value.is_infinite:
        return math.inf if value.is_positive else -math.inf
    return float(value)


class Program:
    """A lowered expression: call it with a value per symbol.

    Args:
        expression: in the vocabulary of `avi_theory.spec.terms`.
        ranks: the number of coordinate axes of each symbol's values (0 where not named).

    Raises:
        InputError: a head without a torch meaning.

    Example:
        >>> x = sympy.Symbol("x")
        >>> Program(sympy.log(2 * sympy.pi) + x**2)({x: torch.tensor([2.0])})
        tensor([5.8379])
    """

    def __init__(self, expression: Expr, ranks: Mapping[Symbol, int] | None = None) -> None:
        self.expression = expression
        self._ranks = dict(ranks or {})
        self._steps: list[_Step] = []
        self._slots: dict[Any, int] = {}
        self._rank_of: list[int] = []
        self._loads: list[Symbol | float | None] = []
        self._result = self._place(sympy.sympify(expression))
        self.rank = self._rank_of[self._result]
        self.symbols = tuple(s for s in self._loads if isinstance(s, Symbol))

    def __call__(self, values: Mapping[Symbol, Any]) -> Tensor:
        """The expression's value: a tensor (an unindexed number if it has no symbols)."""
        held: list[Any] = []
        like = next((values[s] for s in self.symbols if isinstance(values[s], Tensor)), None)
        for load, step in zip(self._loads, self._steps, strict=True):
            if isinstance(load, Symbol):
                held.append(values[load])
            elif load is not None:
                held.append(load)
            else:
                arguments = [held[i] for i in step.arguments]
                lifted = [_lift(x, k) for x, k in zip(arguments, step.lifts, strict=True)]
                value = step.function(*lifted)
                written = not any(isinstance(x, Tensor) for x in arguments)
                held.append(value.to(like) if written and isinstance(value, Tensor) and
                            like is not None else value)  # fmt: skip
        result = held[self._result]
        if isinstance(result, Tensor):
            return result
        number = torch.tensor(result, dtype=torch.float64)
        return number if like is None else number.to(like)

    def _add(self, key: Any, load: Symbol | float | None, step: _Step, rank: int) -> int:
        self._loads.append(load)
        self._steps.append(step)
        self._rank_of.append(rank)
        self._slots[key] = len(self._steps) - 1
        return self._slots[key]

    def _place(self, e: Any) -> int:
        if e in self._slots:
            return self._slots[e]
        nothing = _Step(_identity, (), ())
        if isinstance(e, Symbol):
            return self._add(e, e, nothing, self._ranks.get(e, 0))
        if not e.free_symbols and not e.has(*COORDINATEWISE, terms.vector, terms.matvec):
            return self._add(e, number(e), nothing, 0)
        if e.is_Add or e.is_Mul:
            return self._chain(e)
        if e.is_Pow:
            return self._power(e)
        head = e.func
        arguments = [self._place(a) for a in e.args]
        ranks = [self._rank_of[i] for i in arguments]
        if head in ELEMENTWISE:
            return self._elementwise(e, _tensors(ELEMENTWISE[head]), arguments)
        if head is terms.vector:
            step = _Step(_tensors(_stack), tuple(arguments), _zeros(arguments))
            return self._add(e, None, step, 1)
        if head is terms.matvec:
            if ranks[1] != 1 or ranks[0] not in (1, 2):
                raise InputError(f"The product {e} is not a matrix (or a row) times a vector.")
            function = _matvec if ranks[0] == 2 else _row_times
            return self._add(
                e, None, _Step(function, tuple(arguments), _zeros(arguments)), ranks[0] - 1
            )
        if head in COORDINATEWISE:
            function, wanted, rank = COORDINATEWISE[head]
            if head is terms.total and ranks[0] == 0:
                return arguments[0]
            lifts = tuple(max(w - r, 0) for w, r in zip(wanted, ranks, strict=True))
            return self._add(e, None, _Step(_tensors(function), tuple(arguments), lifts), rank)
        raise InputError(
            f"The function {head} has no torch meaning, so {e} cannot be measured. "
            f"Known: {', '.join(sorted(h.__name__ for h in ELEMENTWISE))}."
        )

    def _elementwise(self, e: Any, function: Callable[..., Any], arguments: list[int]) -> int:
        rank = max(self._rank_of[i] for i in arguments)
        lifts = tuple(rank - self._rank_of[i] for i in arguments)
        lifts = tuple(0 if self._is_number(i) else k for i, k in zip(arguments, lifts, strict=True))
        return self._add(e, None, _Step(function, tuple(arguments), lifts), rank)

    def _is_number(self, i: int) -> bool:
        return isinstance(self._loads[i], float)

    def _chain(self, e: Any) -> int:
        """A sum or product as a chain of binary operations, numbers last."""
        op = _plus if e.is_Add else _times
        constant = [a for a in e.args if a.is_number and not a.has(terms.vector)]
        rest = [a for a in e.args if a not in constant]
        done = self._place(rest[0])
        parts = [rest[0]]
        for a in rest[1:]:
            parts.append(a)
            key = (e.func, tuple(parts))
            done = self._slots[key] if key in self._slots else self._elementwise(
                key, op, [done, self._place(a)]
            )  # fmt: skip
        if constant:
            value = number(e.func(*constant))
            name = ("number", value, len(self._steps))
            scalar = self._add(name, value, _Step(_identity, (), ()), 0)
            done = self._elementwise(e, op, [done, scalar])
        self._slots[e] = done
        return done

    def _power(self, e: Any) -> int:
        base, exponent = e.base, e.exp
        if base is sympy.E:
            return self._place(sympy.exp(exponent, evaluate=False))
        special = {2: _square, -1: _reciprocal, sympy.Rational(1, 2): _sqrt}.get(exponent)
        if special is not None:
            return self._elementwise(e, special, [self._place(base)])
        if exponent == -2:
            return self._elementwise(e, _square, [self._place(1 / base)])
        return self._elementwise(e, _pow, [self._place(base), self._place(exponent)])


def _lift(value: Any, axes: int) -> Any:
    """The value with coordinate axes appended; a plain number broadcasts as it is."""
    if not isinstance(value, Tensor):
        return value
    for _ in range(axes):
        value = value.unsqueeze(-1)
    return value


def _zeros(arguments: list[int]) -> tuple[int, ...]:
    return (0,) * len(arguments)


def _tensors(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The function on numbers too: a number becomes a tensor like its first tensor neighbour."""

    def call(*arguments: Any) -> Tensor:
        like = next((a for a in arguments if isinstance(a, Tensor)), None)
        dtype = like.dtype if like is not None else torch.float64
        device = like.device if like is not None else None
        return function(
            *(
                a if isinstance(a, Tensor) else torch.tensor(a, dtype=dtype, device=device)
                for a in arguments
            )
        )

    return call


def _identity() -> None:
    return None


def _plus(a: Any, b: Any) -> Any:
    return a + b


def _times(a: Any, b: Any) -> Any:
    return a * b


def _square(a: Any) -> Any:
    return a * a


def _reciprocal(a: Any) -> Any:
    return 1.0 / a


def _sqrt(a: Any) -> Any:
    return a**0.5


def _pow(a: Any, b: Any) -> Any:
    return a**b


def _row_times(a: Tensor, v: Tensor) -> Tensor:
    return (a * v).sum(-1)
