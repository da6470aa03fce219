"""Time and memory of `predict` against size: chains of length T, and N exchangeable units.

Each size runs in a process of its own, so that peak memory is that size's.  Beside the seconds on
the clock stand those of the processor, which a busy machine leaves alone.
"""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np

SIZES = (1_000, 10_000, 100_000, 1_000_000)
CHAIN = """
index t = 1:T
local z[1] ~ Normal(0, 1/sqrt(1 - 0.9**2))
local z[t] ~ Normal(0.9*z[t-1], 1) for t in 2:T
observed x[t] ~ Normal(z[t], 1)
"""
LEVEL = """
index t = 1:T
global mu ~ Normal(0, 2)
local z[1] ~ Normal(mu, 1/sqrt(1 - 0.9**2))
local z[t] ~ Normal(mu + 0.9*(z[t-1] - mu), 1) for t in 2:T
observed x[t] ~ Normal(z[t], 1)
"""
UNITS = """
index n = 1:N
global theta ~ Normal(0, 1)
local z[n] ~ Normal(theta, 1)
observed x[n] ~ Normal(z[n], 1)
"""
CASES = (
    ("a chain, window 1, affine", "T", CHAIN, {"window": 1, "function": "affine"}),
    ("a chain about an unknown mean, window 1, any", "T", LEVEL, {"window": 1}),
    ("units with a global, constant", "N", UNITS, {"inputs": [], "function": "constant"}),
    (
        "units with a global, affine, reuse",
        "N",
        UNITS,
        {"inputs": ["x[n]"], "function": "affine", "regime": "reuse"},
    ),
)
ONE = """
import json, resource, sys, time
from avi_theory import Model, predict
text, letter, size, options = json.loads(sys.argv[1])
model = Model(text)
predict(model.with_values(**{letter: 100}), **options)
start, busy = time.perf_counter(), time.process_time()
found = predict(model.with_values(**{letter: size}), **options)
seconds, busy = time.perf_counter() - start, time.process_time() - busy
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(json.dumps([seconds, busy, peak, found.gap_per_latent]))
"""


def main() -> None:
    for title, letter, text, options in CASES:
        print(title)
        print(f"{letter:>9} {'seconds':>9} {'processor':>9} {'GiB':>6} {'gap per latent':>15}")
        seconds = []
        for size in SIZES:
            question = json.dumps([text, letter, size, options])
            run = subprocess.run(
                [sys.executable, "-c", ONE, question], capture_output=True, text=True, check=True
            )
            took, busy, peak, gap = json.loads(run.stdout)
            seconds.append(busy)
            print(f"{size:>9} {took:>9.2f} {busy:>9.2f} {peak:>6.2f} {gap:>15.9f}", flush=True)
        tail = np.polyfit(np.log(SIZES[1:]), np.log(seconds[1:]), 1)[0]
        print(
            f"processor time grows like {letter}^{tail:.2f} from {letter}={SIZES[1]:,} on\n",
            flush=True,
        )


if __name__ == "__main__":
    main()
