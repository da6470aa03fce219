"""Time of `check` for every gallery model, at two sizes, beside Pyro's dependency analysis.

Each model is timed in this process at its first analysis (no cache of that model is warm), then
again at N = 10 and N = 10**9.  The verdict alone is `analyse`; the report adds the conditions, the
reasons and the closed forms.  Pyro (if installed: ``pip install '.[peers]'``) unrolls its
models, so it is shown on a hidden Markov model of growing length.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import time
from collections.abc import Callable

from avi_theory import Model, check, gallery_names, load
from avi_theory.symbolic.analysis import analyse

LENGTHS = (16, 64, 256, 1024)
SIZES = (10, 10**9)
HMM = """
index t = 1:T
local z[1] ~ Normal(0, 1)
local z[t] ~ Normal(0.9*z[t-1], 1) for t in 2:T
observed x[t] ~ Normal(z[t], 1)
"""


def seconds(work: Callable[[], object]) -> float:
    """Processor time of this process, so that other load does not count."""
    start = time.process_time()
    work()
    return time.process_time() - start


def sized(model: Model, size: int) -> Model:
    return model.with_values(**dict.fromkeys(model.sizes, size))


def gallery() -> None:
    check(load("saw"), witness=False)  # imports, and sympy's own caches
    header = ("model", "closes", "verdict", "report", *(f"N={s:,}" for s in SIZES))
    print("{:<22}{:<11}{:>9}{:>9}{:>9}{:>17}".format(*header))
    for name in gallery_names():
        model = load(name)
        verdict = seconds(lambda m=model: analyse(m))
        start = time.process_time()
        report = check(model, witness=False)
        whole = time.process_time() - start
        both = [sized(model, s) for s in SIZES]
        at = [seconds(lambda m=m: check(m, witness=False)) for m in both]
        same = {str(check(m, witness=False).to_dict()) for m in both}
        row = "".join(f"{1e3 * t:>9.1f}" for t in (verdict, whole, at[0]))
        differ = "  differ" * (len(same) - 1)
        print(f"{name:<22}{report.closes:<11}{row}{1e3 * at[1]:>17.1f} ms{differ}")


def beside_pyro() -> None:
    if importlib.util.find_spec("pyro") is None:
        print("\npyro-ppl is not installed; its column is left out.")
        return
    import pyro
    import pyro.distributions as dist
    import torch
    from pyro.infer.inspect import get_dependencies

    torch.set_num_threads(1)

    def chain(data: torch.Tensor) -> None:
        z = torch.zeros(())
        for t in range(len(data)):
            z = pyro.sample(f"z_{t}", dist.Normal(0.9 * z, 1.0))
            pyro.sample(f"x_{t}", dist.Normal(z, 1.0), obs=data[t])

    print(f"\n{'T':>6}{'get_dependencies':>20}{'check':>12}")
    for length in LENGTHS:
        data = torch.zeros(length)
        theirs = seconds(lambda d=data: get_dependencies(chain, (d,)))
        ours = seconds(lambda n=length: check(Model(HMM, T=n), witness=False))
        print(f"{length:>6}{theirs:>18.2f} s{1e3 * ours:>9.1f} ms")


def main() -> None:
    shown = [p for p in ("sympy", "torch", "pyro-ppl") if _version(p)]
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, "
          + ", ".join(f"{p} {_version(p)}" for p in shown))  # fmt: skip
    gallery()
    beside_pyro()


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


if __name__ == "__main__":
    main()
