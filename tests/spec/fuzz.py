"""Texts that a careless or hostile hand might write: seeds, mutated. Used by the fuzz test.

`python tests/spec/fuzz.py 100000` runs the long version and prints the count.
"""

from __future__ import annotations

import random
import resource
import sys
import time
from collections.abc import Iterator

from avi_theory.conditions import check
from avi_theory.errors import ModelError
from avi_theory.gallery import gallery_names, load
from avi_theory.spec.model import Model
from avi_theory.spec.notation import parse

EVERYTHING = """
index n = 1:N
index t = 1:T
index i = 1:I
index s = 1:S
index j = 1:J[n]
index k = 0:2
given tau = 1.155, sd[n] > 0, J[n]
given A = [[0.7, 0.3], [0.3, 0.7]]
given g[i] in n
given x[0] = 0
given w[s,0] = 0
network decoder : R[5] -> R[7]
network f : R[6] -> R[2] ~ Normal(0, 1)
global mu[k] ~ Normal(0, 5)
global phi ~ Uniform(-1, 1)
local c[n] ~ Categorical([1/3, 1/3, 1/3])
local z[n] : R[5] ~ Normal(0, 1)
observed im[n] : R[7] ~ Bernoulli(logit=decoder(z[n]))
local u[1] ~ Normal(0, 1)
local u[t] ~ Normal(phi*u[t-1], tau) for t in 2:T
observed x[t] ~ Normal(u[t] + x[t-1], exp(-abs(phi)))
local q[:] ~ MultivariateNormal(0, exp(-(sd[n] - sd[m])**2)) over n, m
observed y[n,j] ~ Normal(mu[c[n]] + q[n] + z[n][0], sd[n]) missing
observed v[i] ~ StudentT(4, z[g[i]][1] + sum(q), 1)
local h[1] ~ Categorical([0.5, 0.5])
local h[t] ~ Categorical(A[h[t-1]]) for t in 2:T
observed w[s,t] ~ Normal(w[s,t-1] + sum(y[s,:]), 1)
observed r[n] ~ Normal(f(z[n], c[n])[0], max(1, softplus(phi)))
potential -tau*(u[l] - u[l+1])**2 for l in 1:T-1
"""

SCRAPS = (
    "(", ")", "[", "]", "~", ":", ",", "=", "**", "*", "-", "+", "/", "@", "->", "..", "10**400",
    "10**10**10", "1e999", "1:10**30", "z**10**9", "((((((((((", "[[[[[[[[", "[0]", "[-1]", "[n]",
    "lambda", "True", "None", "import os", "__import__('os')", "N", "T", "n", "t", "z", "x[t-1]",
    "sum(", "exp(", "exp(exp(exp(9)))", "log(0)", "1/0", "sqrt(-1)", "for n in 1:N", "for t in 2:T",
    "over n, m", "missing", "in n", "> 0", "Flat()", "Normal(0, 1)", "Normal", "Dirichlet([1, 1])",
    "MultivariateNormal(0, [[1, 2], [2, 1]])", ": R[3]", "R", "0.1.2", "3n", "#", "\n", "\\", "'",
    '"', "é", "μ", "\x00", "\u2028", "{", "}", ";", "^", "%", "//", "not", "if", "9" * 500,
    "a" * 99, "-" * 50, "min(1)", "abs()", "A[h[1],:]", "z[:]", "x[:,:]", "sum(sum(z))",
    "**-1", "**0.5",
    "3**(n+99)*3**(-n)", "exp(99*log(3*x[t]))", "J[n]", "J", "g[i]", "c[n]", "1.5", "-1", "0",
)  # fmt: skip


def texts(count: int, seed: int) -> Iterator[str]:
    """Mutations of the gallery and of a text that uses every statement."""
    rng = random.Random(seed)
    seeds = [EVERYTHING, *(load(n).text for n in gallery_names())]
    words = sorted({w for s in seeds for w in s.replace("[", " [ ").split()})
    for _ in range(count):
        text = rng.choice(seeds)
        for _ in range(rng.choice((1, 1, 2, 3, 8))):
            text = _mutated(text, rng, words)
        yield text


def _mutated(text: str, rng: random.Random, words: list[str]) -> str:
    at = rng.randrange(len(text) + 1)
    length = rng.choice((0, 1, 1, 3, 10))
    kind = rng.randrange(6)
    lines = text.split("\n")
    if kind == 0:
        return text[:at] + text[at + length :]
    if kind == 1:
        return text[:at] + rng.choice(SCRAPS) + text[at + length :]
    if kind == 2:
        return text[:at] + rng.choice(words) + text[at + length :]
    if kind == 3:
        i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
        lines[i], lines[j] = lines[j], lines[i]
    elif kind == 4:
        lines.insert(rng.randrange(len(lines) + 1), rng.choice(lines))
    else:
        lines.pop(rng.randrange(len(lines)))
    return "\n".join(lines)


def slowest(
    count: int, seed: int, *, decide: bool = False, witness: bool = False
) -> tuple[int, float, str]:
    """Parse mutated texts, and check those that are models; only `ModelError` may escape.

    Args:
        count: texts.
        seed: of the mutations.
        decide: whether to run `check` on every model.
        witness: whether `check` then looks for a witness.

    Returns:
        How many texts were models, and the longest processor time in seconds with its text.
    """
    read, worst, culprit = 0, 0.0, ""
    for text in texts(count, seed):
        start = time.process_time()
        try:
            model = Model(text) if decide else parse(text)
            read += 1
            if isinstance(model, Model):
                check(model, witness=witness).to_dict()
        except ModelError:
            pass
        except BaseException as error:
            error.add_note(f"while reading {text!r}")
            raise
        seconds = time.process_time() - start
        if seconds > worst:
            worst, culprit = seconds, text
    return read, worst, culprit


def main() -> None:
    """Fuzz the parser and `check`: `python tests/spec/fuzz.py COUNT SEED [witness]`."""
    total = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    models, seconds, text = slowest(total, seed, decide=True, witness="witness" in sys.argv)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(
        f"{total} texts, {models} of them models and checked; slowest {seconds:.2f} s; "
        f"peak memory {peak:.0f} MiB\nslowest text: {text!r}\n"
    )


if __name__ == "__main__":
    main()
