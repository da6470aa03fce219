"""Texts that are refused: where, naming whom, and always in time."""

from __future__ import annotations

import contextlib
import re
import time

import pytest

from avi_theory.errors import ModelError
from avi_theory.spec.notation import parse

BASE = "index n = 1:N\nlocal z[n] ~ Normal(0, 1)\n"

REFUSED: dict[str, tuple[str, list[tuple[int, int, str]]]] = {
    "two problems at once": (
        "index n = 1:N\nlocal z[n] ~ Norml(muu, 1)\nobserved x[n] ~ Normal(z[n], 1)",
        [(2, 14, "'Norml'.*'Normal'"), (2, 20, "'muu' is not declared")],
    ),
    "undeclared, with the nearest": (
        "global theta ~ Normal(0, 1)\nobserved x ~ Normal(thta + theta, 1)",
        [(2, 21, "'thta' is not declared.*'theta'")],
    ),
    "cycle": (
        "index n = 1:N\nlocal z[n] ~ Normal(x[n], 1)\nobserved x[n] ~ Normal(z[n], 1)",
        [(2, 21, "cycle")],
    ),
    "cycle with itself": ("local z ~ Normal(z, 1)", [(1, 18, "cycle.*'z'")]),
    "cycle in both directions": (
        "index t = 1:T\nlocal z[1] ~ Normal(0, 1)\nlocal z[T] ~ Normal(0, 1)\n"
        "local z[t] ~ Normal(z[t-1] + z[t+1], 1) for t in 2:T-1",
        [(4, 21, "cycle")],
    ),
    "cycle through a sum": (
        "index n = 1:N\nlocal z[n] ~ Normal(sum(z), 1)", [(2, 25, "cycle")],
    ),
    "before the first point": (
        "index t = 1:T\nlocal z[t] ~ Normal(z[t-1], 1)", [(2, 21, r"z\[0\].*out of range.*given")],
    ),
    "after the last point": (BASE + "observed x[n] ~ Normal(z[n+1], 1)", [(3, 24, r"z\[N\+1\]")]),
    "a hole between the ranges": (
        "index t = 1:T\nlocal z[1] ~ Normal(0, 1)\nlocal z[t] ~ Normal(z[t-1], 1) for t in 3:T",
        [(3, 21, r"z\[2\]")],
    ),
    "minus one is a position": (BASE + "observed x[n] ~ Normal(z[-1], 1)", [(3, 24, r"z\[-1\]")]),
    "array out of range": (
        "given A = [1, 2]\nglobal x ~ Normal(A[2], 1)\nobserved y ~ Normal(x, 1)",
        [(2, 19, "zero-based")],
    ),
    "too many subscripts": (
        BASE + "observed x[n] ~ Normal(z[n,n], 1)", [(3, 24, "1 index.*found 2")],
    ),
    "too few subscripts": (BASE + "observed x[n] ~ Normal(z, 1)", [(3, 24, "1 index.*found 0")]),
    "a scale that is 0 everywhere": (
        BASE + "given s[n] = 0\nobserved x[n] ~ Normal(z[n], s[n])",
        [(4, 30, "'sd'.*positive.*0")],
    ),
    "a root in an indexed given": (
        BASE + "given s[n] = -1\nobserved x[n] ~ Normal(z[n], sqrt(s[n]))",
        [(4, 30, "'sd'.*root of a negative")],
    ),
    "a division by a given 0 beside a latent": (
        BASE + "given s[n] = 0\nobserved x[n] ~ Normal(z[n]/s[n], 1)",
        [(4, 24, "'mean'.*divides by zero")],
    ),
    "a potential without a value": (
        BASE + "given s[n] = 0\nobserved x[n] ~ Normal(z[n], 1)\n"
        "potential -z[n]**2/s[n] for n in 1:N",
        [(5, 11, "potential.*divides by zero")],
    ),
    "negative scale": ("observed x ~ Normal(0, -1)", [(1, 24, "'sd'.*positive.*-1")]),
    "negative scale by a given": (
        "given s = -2\nobserved x ~ Normal(0, s)", [(2, 24, "'sd'.*positive.*-2")],
    ),
    "real variable as a scale": (BASE + "observed x[n] ~ Normal(0, z[n])", [(3, 27, "every real")]),
    "probabilities": ("observed x ~ Categorical([0.5, 0.6])", [(1, 26, "add up to 1.*1.1")]),
    "probability above one": ("observed x ~ Bernoulli(1.5)", [(1, 24, "between 0 and 1")]),
    "rows of probabilities": (
        "index t = 1:T\ngiven A = [[1, 0], [0.4, 0.4]]\nlocal z[1] ~ Bernoulli(0.5)\n"
        "observed x[t] ~ Categorical(A[z[1]])",
        [(4, 29, "add up to 1.*0.8")],
    ),
    "not whole": ("observed x ~ Binomial(2.5, 0.5)", [(1, 23, "whole number.*2.5")]),
    "empty interval": ("observed x ~ Uniform(2, 1)", [(1, 14, "low below high")]),
    "covariance": (
        "observed x : R[2] ~ MultivariateNormal([0, 0], [[1, 2], [2, 1]])",
        [(1, 48, "positive definite")],
    ),
    "wrong length": (
        "observed x : R[3] ~ MultivariateNormal([0, 0], [[1, 0], [0, 1]])", [(1, 40, "length 3")],
    ),
    "everything unused": (
        "index n = 1:N\nindex m = 1:M\ngiven a = 1, b[n]\nglobal mu ~ Normal(0, 1)\n"
        "network f : R[1] -> R[2]\nobserved x[n] ~ Normal(0, 1)",
        [
            (2, 7, "index 'm'"), (3, 7, "given 'a'"), (3, 14, "given 'b'"), (4, 8, "global 'mu'"),
            (5, 9, "network 'f'"),
        ],
    ),
    "two densities": (BASE + "local z[1] ~ Normal(0, 2)", [(3, 7, r"z\[1\].*line 2")]),
    "overlapping ranges": (
        "index t = 1:T\nlocal z[t] ~ Normal(0, 1) for t in 1:3\n"
        "local z[t] ~ Normal(0, 2) for t in 3:T",
        [(3, 7, r"z\[3\]")],
    ),
    "without density": (
        "index n = 1:N\nlocal z[n]\nglobal mu\nobserved x[n] ~ Normal(z[n] + mu, 1)",
        [(2, 7, "local 'z'.*no density"), (3, 8, "global 'mu'.*no density")],
    ),
    "number of arguments": (
        "observed x ~ Normal(0)\nobserved y ~ Normal(0, 1, 2)\nobserved v ~ Bernoulli(logits=2)\n"
        "observed w ~ Bernoulli(0.2, logit=2)",
        [(1, 14, r"Normal\(mean, sd\)"), (2, 14, "2 arguments.*3"), (3, 14, "'logits'.*'logit'"),
         (4, 14, "two ways")],
    ),
    "large numbers": (
        "index n = 1:10**30\nlocal z ~ Normal(10**400, 1)\nlocal w ~ Normal(z**10**9, 1)\n"
        "local v ~ Normal(1e999, 1)\nobserved x[n] ~ Normal(z, 1)",
        [(1, 13, "large"), (2, 18, "400"), (3, 18, "1000000000"), (4, 18, "1e999")],
    ),
    "hidden powers": (
        BASE + "observed x[n] ~ Normal(exp(10**9*log(3*z[n])), 1)", [(3, 24, "exponent")],
    ),
    "keyword as a name": (
        "given lambda = 2\nobserved x ~ Normal(lambda, 1)",
        [(1, 7, "Python keywords are not names"), (2, 21, "Python keywords are not names")],
    ),
    "reserved word": ("global exp ~ Normal(0, 1)", [(1, 8, "'exp' is a word of the notation")]),
    "forgotten bracket": (
        "index n = 1:N\nlocal z[n] ~ Normal(0, (1)\nobserved x[n] ~ Normal(z[n], 1)",
        [(2, 20, "never closed")],
    ),
    "misspelt statement": (
        "index n = 1:N\nlocl z[n] ~ Normal(0, 1)\nobserved x[n] ~ Normal(z[n], 1)",
        [(2, 1, "'locl'.*'local'")],
    ),
    "unbound letter": (
        "index n = 1:N\nindex m = 1:M\nlocal z[n] ~ Normal(0, 1)\nobserved x[m] ~ Normal(z[n], 1)",
        [(4, 26, "'n' is not bound")],
    ),
    "misspelt size": (
        "index t = 1:Tmax\nobserved x[t] ~ Normal(0, 1) for t in 2:Tmx", [(2, 41, "'Tmx'.*'Tmax'")],
    ),
    "labels": (
        "index n = 1:N\nindex k = 1:3\nglobal mu[k] ~ Normal(0, 1)\n"
        "local c[n] ~ Categorical([0.5, 0.3, 0.2])\nobserved x[n] ~ Normal(mu[c[n]], 1)",
        [(5, 24, "0..2.*index k = 0:2")],
    ),
    "real subscript": (
        BASE + "index k = 0:2\nglobal mu[k] ~ Normal(0, 1)\nobserved x[n] ~ Normal(mu[z[n]], 1)",
        [(5, 27, "whole number")],
    ),
    "network input": (
        "index n = 1:N\nnetwork f : R[3] -> R[2]\nlocal z[n] : R[2] ~ Normal(0, 1)\n"
        "observed x[n] : R[2] ~ Normal(f(z[n]), 1)",
        [(4, 31, "takes 3 numbers.*found 2")],
    ),
    "power sign": ("observed x ~ Normal(2^3, 1)", [(1, 22, r"a\*\*b")]),
    "forgotten product": ("observed x ~ Normal(2x, 1)", [(1, 22, r"2\*x")]),
    "unknown function": ("observed x ~ Normal(ex(1), 1)", [(1, 21, "'ex'.*'exp'")]),
    "division by zero": (
        "observed x ~ Normal(1/0, log(-1))", [(1, 21, "zero"), (1, 26, "real value")],
    ),
    "edge inside the range": (
        "index n = 1:N\ngiven z[1] = 0\nlocal z[n] ~ Normal(0, 1)", [(2, 7, "density in line 3")],
    ),
    "declared twice": (
        "index n = 1:N\ngiven n = 3\nobserved x[n] ~ Normal(0, 1)",
        [(2, 7, "already declared in line 1")],
    ),
    "letter that is no index": (
        "observed x[q] ~ Normal(0, 1)", [(1, 12, "'q' is not a declared index")],
    ),
    "a given that depends on a variable": (
        "global a ~ Normal(0, 1)\ngiven b = a\nobserved x ~ Normal(b, 1)",
        [(2, 11, "known.*global 'a'")],
    ),
    "discrete and continuous": (
        "index n = 1:N\nlocal z[1] ~ Normal(0, 1)\nlocal z[n] ~ Bernoulli(0.5) for n in 2:N",
        [(3, 14, "discrete in one statement")],
    ),
    "nothing": ("# only a comment", [(1, 1, "no variable")]),
    "code": ("observed x ~ Normal(__import__('os').system('true'), 1)", [(1, 32, "strings")]),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_refused_with_place_and_culprit(case: str) -> None:
    text, expected = REFUSED[case]
    with pytest.raises(ModelError) as caught:
        parse(text)
    found = caught.value.problems
    for line, column, pattern in expected:
        assert any(
            (p.line, p.column) == (line, column) and re.search(pattern, f"{p.message} {p.hint}")
            for p in found
        ), f"wanted {(line, column, pattern)}, found:\n{caught.value}"
    if case != "code":
        assert len(found) == len(expected), f"follow-up problems:\n{caught.value}"


HOSTILE = [
    "3**(99*(99*(99*(n+1))))*3**(-99*99*99*n)", "((10**99*z[n])**99)**99", "((3**n)**99)**99",
    "exp(exp(exp(exp(9))))", "abs(exp(exp(exp(9))) - 1)", "exp(" * 35 + "1" + ")" * 35,
    "+".join(["z[n]"] * 3000), "-" * 3000 + "1", "(" * 3000, "[" * 30 + "1" + "]" * 30,
    "**".join(["z[n]"] * 100), "sqrt(10**99+1)**99", "(1.0001**100)**100",
    "z[" * 20 + "n" + "]" * 20,
    "max(" + ",".join(["z[n]"] * 500) + ")", "1e300*1e300", "9" * 5000, "(z[n]-z[n])**-1",
]  # fmt: skip


@pytest.mark.parametrize("expression", HOSTILE, ids=lambda e: e[:24])
def test_hostile_expressions_end_quickly(expression: str) -> None:
    start = time.perf_counter()
    with contextlib.suppress(ModelError):
        parse(f"{BASE}observed x[n] ~ Normal({expression}, 1)")
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize("text", [None, 3, b"bytes", "\ud800", "\x00", "index n = 1:N\n" * 3000])
def test_anything_else_is_a_model_error(text: object) -> None:
    with pytest.raises(ModelError):
        parse(text)  # type: ignore[arg-type]
