"""What can go wrong in a run is named, with the best state so far and a way out."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch

from avi_theory import DataError, Model, ResourceError, measure
from avi_theory.numeric import measure as measured
from avi_theory.numeric.batches.shards import Shard
from avi_theory.numeric.elbo import Elbo
from avi_theory.numeric.solve import Options, Problem, Status, newton, quasi_newton

PLAIN = """
index n = 1:N
global mu ~ Normal(0, 5)
local z[n] ~ Normal(mu, 2)
observed y[n] ~ Normal(z[n], 1)
"""
CHAIN = """
index t = 1:T
local z[1] ~ Normal(0, 1)
local z[t] ~ Normal(0.5*z[t-1], 1) for t in 2:T
observed y[t] ~ Normal(z[t], 1)
"""


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_are_refused_before_any_work(bad):
    with pytest.raises(DataError, match=r"y\[2\]"):
        measured(Model(PLAIN), {"y": np.array([1.0, bad, 2.0])})


@pytest.mark.parametrize(("size", "dtype"), [(1e200, "float64"), (1e30, "float32")])
def test_an_overflow_names_the_statement_and_the_type(size, dtype):
    found = measured(Model(PLAIN), {"y": np.array([1.0, size, 2.0])}, dtype=dtype)
    assert found.fvi.status == "non_integrable" and found.fvi.elbo is None
    for word in ("observed y[n] ~ Normal(z[n], 1)", dtype, "Rescale"):
        assert word in found.fvi.message


def test_an_improper_posterior_runs_away_and_says_so():
    text = """
    index n = 1:N
    global b ~ Flat()
    local z[n] ~ Normal(0, 1)
    observed y[n] ~ Bernoulli(logit=z[n]+b)
    """
    for function in (None, "affine", "mlp:4"):
        options = {} if function is None else {"function": function, "inputs": ["y[n]"]}
        found = measured(Model(text), {"y": np.ones(3)}, **options)
        for run in (found.fvi, found.avi) if function else (found.fvi,):
            assert run.status == "diverged" or "bound" in run.message
            assert math.isfinite(run.elbo)
        assert "Is every prior proper?" in found.fvi.message


def cliff(p):
    """Falls towards p = 3 and is no number beyond it."""
    return torch.where(p < 3, -p, torch.nan).sum() + 0 * (p**2).sum()


@pytest.mark.parametrize("adam", [0, 4000])
def test_steps_over_a_cliff_come_back_to_the_best_point(adam):
    found = quasi_newton(
        Problem(cliff, torch.ones_like), torch.zeros(2, dtype=torch.float64), Options(), adam=adam
    )
    assert found.status in (Status.stalled, Status.stopped_early)
    assert -6 < found.value < -5
    assert bool((found.parameters < 3).all())


class Torn(torch.autograd.Function):
    """−Σp, whose gradient is no number where p > 0.5."""

    @staticmethod
    def forward(ctx, p):
        ctx.save_for_backward(p)
        return -p.sum()

    @staticmethod
    def backward(ctx, g):
        (p,) = ctx.saved_tensors
        return torch.where(p > 0.5, torch.nan, -g)


def test_a_run_that_cannot_come_back_has_diverged_and_keeps_the_best_state():
    found = quasi_newton(
        Problem(Torn.apply, torch.ones_like), torch.zeros(2, dtype=torch.float64), adam=0
    )
    assert found.status is Status.diverged and "ran away" in found.why
    assert bool(torch.isfinite(found.parameters).all()) and math.isfinite(found.value)


def test_newton_keeps_the_last_point_that_is_a_number():
    def wall(p):
        value = (p**4).sum()
        bad = p.requires_grad and bool((p.abs() < 0.1).all())
        return value * math.nan if bad else value

    found = newton(Problem(wall, torch.ones_like), torch.ones(2, dtype=torch.float64))
    assert found.status is Status.diverged
    assert math.isfinite(found.value) and 0 < found.value < 1
    assert bool(torch.isfinite(found.parameters).all())


@pytest.mark.parametrize(
    "failure",
    [
        MemoryError("no"),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to …"),
    ],
    ids=lambda e: type(e).__name__,
)
def test_out_of_memory_suggests_a_batch(failure, monkeypatch):
    def fail(*_):
        raise failure

    monkeypatch.setattr(Elbo, "__call__", fail)
    with pytest.raises(ResourceError, match=r"4,000 units \[n\].*batch=200 \(--batch 200\)"):
        measure(Model(PLAIN), {"y": np.zeros(4000)})
    with pytest.raises(ResourceError, match="does not split into units"):
        measure(Model(CHAIN), {"y": np.zeros(50)})


def test_out_of_memory_in_batches_suggests_smaller_ones(monkeypatch):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(Shard, "own", fail)
    with pytest.raises(ResourceError, match=r"batches of 100 units \[n\].*batch=50 \(--batch 50"):
        measure(Model(PLAIN), {"y": np.zeros(4000)}, batch=100)


def test_other_runtime_errors_stay_what_they_are(monkeypatch):
    def fail(*_):
        raise RuntimeError("something else")

    monkeypatch.setattr(Elbo, "__call__", fail)
    with pytest.raises(RuntimeError, match="something else"):
        measure(Model(PLAIN), {"y": np.zeros(3)})


SMALL = """
import resource, sys, numpy as np, torch
from avi_theory import Model, ResourceError, measure
import avi_theory.numeric, avi_theory.pipeline
text = sys.argv[1]
measure(Model(text), {"y": np.zeros(10)}, function="affine", inputs="y[n]")
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, used + 2**28))
try:
    measure(Model(text), {"y": np.zeros(2_000_000)}, function="affine", inputs="y[n]")
except ResourceError as error:
    print(error)
"""


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="limits of the address space are Linux's")
def test_a_machine_that_is_really_too_small():
    run = subprocess.run(
        [sys.executable, "-c", SMALL, PLAIN], capture_output=True, text=True, timeout=200,
        check=False, env={"OMP_NUM_THREADS": "1", "PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    assert "--batch" in run.stdout, run.stderr[-2000:]
