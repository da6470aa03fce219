"""Time for each iteration, and peak memory, against N: all data at once, and in batches.

Counts with exposures, zₙ ~ N(µ, τ), yₙ ~ Poisson(eₙ exp(zₙ)), µ and τ unknown, read from NPY files.
Seconds are of processor time, between the first and the last Newton iteration.  Each size runs in a
process of its own, so that peak memory is that size's; the median of the runs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

SIZES = (1_000, 10_000, 100_000, 1_000_000)
BATCH = 20_000
TEXT = """
index n = 1:N
given e[n] > 0
global mu ~ Normal(0, 2)
global tau ~ HalfNormal(1)
local z[n] ~ Normal(mu, tau)
observed y[n] ~ Poisson(log_rate=log(e[n]) + z[n])
"""
ONE = """
import json, resource, sys, time
from avi_theory import Model
from avi_theory.numeric import measure, measure_in_batches
from avi_theory.spec.mapped import mapped
from avi_theory.spec.units import Units
text, path, small, batch, iterations = json.loads(sys.argv[1])
ask = {"function": "affine", "inputs": ["e[n]", "y[n]"], "iterations": iterations}
model, times = Model(text), {}

def tell(run, iteration, elbo, norm):
    times.setdefault(run, []).append(time.process_time())

def measured(path, batch, **more):
    if batch is None:
        return measure(model, path, evidence=False, starts=1, **ask, **more)
    return measure_in_batches(Units.of(model, mapped(path), "n"), batch=batch, **ask, **more)

def each(run):
    seen = times.get(run, [0.0])
    return (seen[-1] - seen[0]) / max(len(seen) - 1, 1)

peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
measured(small, batch and 200)
before, start = peak(), time.process_time()
found = measured(path, batch, progress=tell)
seconds = time.process_time() - start
print(json.dumps([each("F-VI"), each("A-VI"), seconds, before, peak(), found.fvi.status,
                  found.avi.status, found.fvi.elbo, found.gap]))
"""


def written(folder: Path, count: int) -> str:
    """A data set on the disk."""
    g = np.random.default_rng(count)
    e = g.uniform(0.5, 4.0, count)
    path = folder / str(count)
    path.mkdir()
    np.save(path / "e.npy", e)
    np.save(path / "y.npy", g.poisson(e * np.exp(1 + 0.5 * g.normal(size=count))).astype(float))
    return str(path)


def once(path: str, small: str, batch: int | None, iterations: int) -> list:
    question = json.dumps([TEXT, path, small, batch, iterations])
    run = subprocess.run(
        [sys.executable, "-c", ONE, question], capture_output=True, text=True, check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    return json.loads(run.stdout)


def exponent(sizes: list[int], seconds: list[float]) -> float:
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--most", type=int, default=SIZES[-1])
    parser.add_argument("--iterations", type=int, default=200)
    parser.add_argument("--only", choices=("whole", "batches"))
    asked = parser.parse_args()
    sizes = [n for n in SIZES if n <= asked.most]
    print(f"Python {platform.python_version()}, PyTorch {torch.__version__}, NumPy "
          f"{np.__version__}, one thread, load {os.getloadavg()[0]:.1f}")  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        paths = {n: written(Path(folder), n) for n in sizes}
        small = paths[sizes[0]]
        ways = {"whole": ("all data at once", None), "batches": (f"batches of {BATCH:,}", BATCH)}
        for title, batch in [w for k, w in ways.items() if asked.only in (None, k)]:
            print(f"\n{title}")
            print(f"{'N':>9} {'F-VI s/iteration':>17} {'A-VI s/iteration':>17} "
                  f"{'processor s':>12} {'MiB':>6} {'above start':>12}  status")  # fmt: skip
            rows = []
            for n in sizes:
                runs = [once(paths[n], small, batch, asked.iterations) for _ in range(asked.runs)]
                fvi, avi, seconds, before, after = (
                    float(np.median([r[k] for r in runs])) for k in range(5)
                )
                rows.append((fvi, avi))
                numbers = f"{n:>9} {fvi:>17.5f} {avi:>17.5f} {seconds:>12.2f} {after:>6.0f}"
                print(f"{numbers} {after - before:>12.0f}  {', '.join(runs[0][5:7])}", flush=True)
            if len(sizes) > 1:
                for k, name in enumerate(("F-VI", "A-VI")):
                    whole = exponent(sizes, [r[k] for r in rows])
                    tail = (
                        exponent(sizes[1:], [r[k] for r in rows[1:]]) if len(sizes) > 2 else whole
                    )
                    print(f"{name}: seconds an iteration grow like N^{whole:.2f}, from "
                          f"N={sizes[-2]:,} on like N^{tail:.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
