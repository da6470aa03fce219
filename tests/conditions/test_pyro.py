"""Beside Pyro's `get_dependencies`: the case that it gets wrong, and one that both get right."""

from __future__ import annotations

import importlib.util
import warnings

import pytest

from avi_theory.conditions import check
from avi_theory.spec.model import Model

if importlib.util.find_spec("pyro") is None:
    pytest.skip("pyro-ppl is not installed (pip install '.[peers]')", allow_module_level=True)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Pyro's own deprecations
    import pyro
    import torch
    from pyro import distributions as dist
    from pyro.infer.inspect import get_dependencies

NEIGHBOURS = """
index n = 1:N
local z[n] ~ Normal(0, 1) for n in 0:N
observed x[n] ~ Normal(z[n] + z[n-1], 1)
"""


def _neighbours(x):
    """The same model in one plate: every x leans on its own z and on the one before."""
    with pyro.plate("n", len(x)):
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        before = torch.cat([torch.zeros(1), z[:-1]])
        pyro.sample("x", dist.Normal(z + before, 1.0), obs=x)


def _alone(x):
    with pyro.plate("n", len(x)):
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        pyro.sample("x", dist.Normal(z, 1.0), obs=x)


def _posterior(model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return get_dependencies(model, (torch.zeros(6),))["posterior_dependencies"]


def test_neighbours_in_one_plate():
    """Pyro reports full independence along the plate, as for a model without neighbours."""
    independent = {"z": {"z": set(), "x": set()}}
    assert _posterior(_neighbours) == independent == _posterior(_alone)
    report = check(Model(NEIGHBOURS), witness=False)
    assert report.closes == "no"
    assert set(report.locals["z"].interacts_with) == {"z[n+1]", "z[n-1]"}
    alone = NEIGHBOURS.replace("z[n] + z[n-1]", "z[n]").replace(" for n in 0:N", "")
    assert check(Model(alone), witness=False).closes == "own"


def test_the_exact_posterior_contradicts_independence():
    """Λ = I + DᵀD holds 1 beside its diagonal, so neighbours are correlated."""
    design = torch.eye(6) + torch.diag(torch.ones(5), -1)
    covariance = torch.linalg.inv(torch.eye(6) + design.T @ design)
    assert covariance[2, 3].abs() > 0.1


def test_unrolled_chains_agree():
    def chain(x):
        z = torch.zeros(())
        for t in range(len(x)):
            z = pyro.sample(f"z_{t}", dist.Normal(z, 1.0))
            pyro.sample(f"x_{t}", dist.Normal(z, 1.0), obs=x[t])

    found = _posterior(chain)
    assert set(found["z_2"]) >= {"z_2", "z_3", "x_2"}
    text = """
    index t = 1:T
    local z[1] ~ Normal(0, 1)
    local z[t] ~ Normal(z[t-1], 1) for t in 2:T
    observed x[t] ~ Normal(z[t], 1)
    """
    assert check(Model(text), witness=False).closes == "no"
