"""Texts on which brute force once proved `check` wrong."""

from __future__ import annotations

import pytest

from avi_theory.conditions import check
from avi_theory.spec.model import Model
from avi_theory.symbolic.analysis import Analysis

TELESCOPE = """
index s = 1:S
given J[s], y[s,0] = 0
index i = 1:J[s]
local a[s] ~ Normal(0, 1)
observed y[s,i] ~ Normal(a[s] + y[s,i-1], 1)
"""

GROUP = """
index s = 1:S
index i = 1:I
local a[s] ~ Normal(0, 1)
local b[s,i] ~ Normal(a[s], 1)
observed y[s,i] ~ Normal(b[s,i], 1)
"""

LAST = GROUP + "observed e[s] ~ Normal(b[s,I], 1)"

TIED_AT_THE_END = (
    GROUP
    + """
local d[s] ~ Normal(0, 1)
observed e[s] ~ Normal(b[s,I] + d[s], 1)
"""
)

CANCELLED_CHAIN = """
index s = 1:S
index i = 1:I
given c[s]
local a[s] ~ Normal(0, 1)
local b[s,1] ~ Normal(0, 1)
local b[s,i] ~ Normal(c[s] + b[s,i-1], 1) for i in 2:I
potential -b[s,i]*b[s,i-1] for s in 1:S, i in 2:I
observed y[s,i] ~ Normal(a[s] + b[s,i], 1)
"""

ZIGZAG = """
index n = 1:N
local z[n] ~ Categorical([1/2, 1/2])
local w[n] ~ Categorical([1/3, 2/3])
potential z[n]*w[n]/2 for n in 1:N
potential z[n]*w[n+1] for n in 1:N-1
observed x[n] ~ Bernoulli((1 + z[n])/3)
"""

FOUND = {
    "a ragged telescope informs through its end": (TELESCOPE, "a", "own", ("y[s,J[s]]",)),
    "the last of a group has data of its own": (LAST, "a", "component", ("e[s]", "y[s,:]")),
    "the last of a group is tied to another": (
        TIED_AT_THE_END, "a", "component", ("e[s]", "y[s,:]"),
    ),
    "a covariate telescopes along a group": (
        CANCELLED_CHAIN, "a", "component", ("c[s]", "y[s,:]"),
    ),
    "two families that climb one another": (ZIGZAG, "z", "no", ("x[:]",)),
}  # fmt: skip


@pytest.mark.parametrize("case", FOUND)
def test_what_brute_force_found(case):
    text, local, closes, inputs = FOUND[case]
    verdict = Analysis(Model(text)).locals[local]
    assert (verdict.closes, verdict.inputs) == (closes, inputs)


@pytest.mark.parametrize(
    ("mean", "scale", "inputs"),
    [
        ("c[s] + 2*a[s]", "1", {"x[s]"}),  # b has no data: its mean's offset tells a nothing
        ("c[s]*a[s]", "1", {"c[s]", "x[s]"}),  # but a slope enters a's precision
        ("2*a[s]", "c[s]", {"c[s]", "x[s]"}),
        ("m[c[s]] + 2*a[s]", "1", {"c[s]", "x[s]"}),  # what selects is not cancelled
    ],
)
def test_a_covariate_of_a_dataless_neighbour(mean, scale, inputs):
    head = "index k = 0:3\nindex s = 1:S\nglobal m[k] ~ Normal(0, 1)\ngiven c[s] in k\n"
    if "m[" not in mean:
        head = "index s = 1:S\ngiven c[s] > 0\n"
    text = (
        head + "local a[s] ~ Normal(0, 1)\n"
        f"local b[s] ~ Normal({mean}, {scale})\nobserved x[s] ~ Normal(a[s], 2)"
    )
    assert set(Analysis(Model(text)).locals["a"].inputs) == inputs


CANCELLED = "potential z[n]*z[n+1] for n in 1:N-1\npotential -z[n]*z[n+1] for n in 1:N-1"

EDGES = {
    "a position by value is the same form at the ends": (
        f"local z[n] ~ Normal(n/9, 1)\nobserved x[n] ~ Normal(z[n], 1)\n{CANCELLED}", "z", (),
    ),
    "a map to a member written apart": (
        "index i = 1:I\ngiven g[i] in n\nlocal z[1] ~ Normal(0, 1)\n"
        "local z[n] ~ Normal(0*z[n-1], 1) for n in 2:N\nobserved y[i] ~ Normal(z[g[i]], 1)",
        "z", (),
    ),
    "a missing cell at a member written apart": (
        "local z[1] ~ Normal(0, 1)\nlocal z[n] ~ Normal(0*z[n-1], 1) for n in 2:N\n"
        "observed y[n] ~ Normal(z[n], 1) missing",
        "z", (),
    ),
    "a neighbour that lacks a factor": (
        "local z[n] ~ Normal(0, 1)\nlocal w[n] ~ Normal(0, 1)\n"
        "observed x[n] ~ Normal(z[n] + w[n], 1)\nobserved y[n] ~ Normal(z[n], 1) for n in 1:N-1",
        "w", ("n=N",),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", EDGES)
def test_edges(case):
    text, local, edges = EDGES[case]
    assert Analysis(Model(f"index n = 1:N\n{text}")).locals[local].edges == edges


def test_a_witness_where_the_start_is_a_latent_of_its_own():
    """Factors of one shape with two latents or with one are different in the solver."""
    text = (
        "observed x[n] ~ Normal(z[n], 1)\nlocal z[0] ~ Normal(0, 1)\n"
        "local z[n] ~ Normal(z[n-1], 1)\nindex n = 1:N"
    )
    assert check(Model(text)).witness is not None


def test_a_covariate_behind_two_maps_varies_with_the_unit():
    text = (
        "index s = 1:S\nindex n = 1:N\nindex i = 1:I\ngiven g[i] in n\ngiven h[n] in s\n"
        "given e[i] > 0\nlocal a[s] ~ Normal(0, 1)\nlocal z[n] ~ Normal(a[h[n]], 1)\n"
        "observed y[i] ~ Normal(z[g[i]], e[i])"
    )
    assert not check(Model(text), witness=False).simple_hierarchical


def test_members_of_a_fixed_size_that_a_map_spreads_are_not_lost():
    """Nine data, each at a local that only the map knows: written out they would match none."""
    text = (
        "index n = 1:N\nindex m = 1:9\ngiven g[m] in n\nlocal z[n] ~ Normal(0, 1)\n"
        "observed y[m] ~ Normal(z[g[m]], 1)"
    )
    assert Analysis(Model(text)).locals["z"].inputs == ("y[m: g[m]=n]",)
    single = text.replace("y[m] ~ Normal(z[g[m]], 1)", "y ~ Normal(z[g[3]], 1)")
    assert Analysis(Model(single)).locals["z"].closes == "unknown"


def test_a_process_in_every_unit_closes_at_the_unit():
    text = (
        "index s = 1:S\nindex n = 1:N\ngiven p[n]\n"
        "local f[s,:] ~ MultivariateNormal(0, exp(-(p[n] - p[m])**2)) over n, m\n"
        "observed x[s,n] ~ Normal(f[s,n], 1)"
    )
    report = check(Model(text), witness=False)
    assert (report.closes, report.unit) == ("component", ("s",))
    assert report.locals["f"].inputs == ("x[s,:]",)


@pytest.mark.parametrize(
    ("first", "step", "inputs"),
    [
        ("Normal(mu, 2)", "Normal(z[n-1], 1/2)", ()),
        ("Normal(3, 2)", "Normal(z[n-1]/2 + 3/2, 1/2)", ()),
        ("Normal(mu, 2)", "Normal(z[n-1]/2, 1/2)", ("n",)),
        ("Normal(mu, 2)", "Normal(z[n-1] + 1, 1/2)", ("n",)),
    ],
)
def test_a_chain_without_data_needs_its_position_only_if_its_mean_moves(first, step, inputs):
    text = (
        f"index n = 1:N\nglobal mu ~ Normal(0, 1)\nlocal z[1] ~ {first}\n"
        f"local z[n] ~ {step} for n in 2:N\nobserved x[n] ~ Normal(mu, 1)"
    )
    if "mu" not in first:
        text = text.replace("global mu ~ Normal(0, 1)\n", "").replace(
            "Normal(mu, 1)", "Normal(0, 1)"
        )
    assert Analysis(Model(text)).locals["z"].inputs == inputs


def test_powers_of_moments_print_in_latex():
    text = (
        "index n = 1:N\nlocal v[n] : R[3] ~ Normal(0, 1)\nlocal h[n] ~ Categorical([1/2, 1/2])\n"
        "observed x[n] ~ Normal(v[n][1]*h[n], 1)"
    )
    factor = check(Model(text), witness=False).locals["h"].optimal_factor
    assert factor is not None
    assert r"\mathbb{E}\left[{\left(v_{n,1}\right)}^{2}\right]" in factor.latex


def test_members_written_out_that_do_not_differ():
    text = (
        "index s = 1:S\nindex i = 1:3\nlocal b[s,1] ~ Normal(0, 1)\n"
        "local b[s,i] ~ Normal(0*b[s,i-1], 1) for i in 2:3\nobserved y[s,i] ~ Normal(b[s,i], 1)"
    )
    report = check(Model(text), witness=False)
    assert report.locals["b"].inputs == ("y[s,i]",)
    assert report.simple_hierarchical


def test_a_position_whose_observation_does_not_exist_is_an_edge():
    """At n=1 the weight n-1 of the observation x[0] is zero, but there is no x[0] either."""
    text = (
        "index n = 1:N\nlocal z[n] ~ Normal(0, 1)\n"
        "observed x[n] ~ Normal(n*z[n+1], 1) for n in 1:N-1"
    )
    assert "n=1" in Analysis(Model(text)).locals["z"].edges


def test_an_observation_of_no_unit_is_no_part_of_a_simple_hierarchical_model():
    text = "index n = 1:N\nlocal z[n] ~ Normal(0, 1)\nobserved x[n] ~ Normal(z[n], 1)"
    assert check(Model(text), witness=False).simple_hierarchical
    assert not check(Model(f"{text}\nobserved y ~ Normal(0, 1)"), witness=False).simple_hierarchical


def test_a_covariate_that_only_moves_inner_locals_without_data():
    text = (
        "index s = 1:S\nindex i = 1:3\ngiven c[s]\nlocal a[s] ~ Normal(0, 1)\n"
        "local b[s,i] ~ Normal(c[s] + a[s]/2, 1)\nobserved y[s,i] ~ Normal(a[s], 2)"
    )
    assert Analysis(Model(text)).locals["a"].inputs == ("y[s,:]",)
