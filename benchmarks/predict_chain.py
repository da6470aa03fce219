"""Time and memory of `predict` against the length of a chain; prints the fitted exponent.

Each length runs in a process of its own, so that peak memory is that length's.
"""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np

LENGTHS = (1_000, 10_000, 100_000, 1_000_000)
ONE = """
import json, resource, sys, time
from avi_theory import Model, predict
model = Model('''
index t = 1:T
local z[1] ~ Normal(0, 1/sqrt(1 - 0.9**2))
local z[t] ~ Normal(0.9*z[t-1], 1) for t in 2:T
observed x[t] ~ Normal(z[t], 1)
''')
predict(model.with_values(T=100), window=1, function="affine")
start = time.perf_counter()
found = predict(model.with_values(T=int(sys.argv[1])), window=1, function="affine")
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(json.dumps([seconds, peak, found.gap_per_latent, found.limit_per_latent]))
"""


def main() -> None:
    print(f"{'T':>9} {'seconds':>9} {'GiB':>6} {'gap per latent':>15} {'limit':>12}")
    seconds = []
    for length in LENGTHS:
        run = subprocess.run(
            [sys.executable, "-c", ONE, str(length)], capture_output=True, text=True, check=True
        )
        took, peak, gap, limit = json.loads(run.stdout)
        seconds.append(took)
        print(f"{length:>9} {took:>9.2f} {peak:>6.2f} {gap:>15.9f} {limit:>12.9f}")
    tail = np.polyfit(np.log(LENGTHS[1:]), np.log(seconds[1:]), 1)[0]
    print(f"time grows like T^{tail:.2f} from T={LENGTHS[1]:,} on")


if __name__ == "__main__":
    main()
