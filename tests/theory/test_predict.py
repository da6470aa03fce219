"""The question: what is refused, what is exactly zero by structure, what has no number and why."""

from __future__ import annotations

import numpy as np
import pytest

from avi_theory.errors import InputError
from avi_theory.spec.bound import bind
from avi_theory.spec.model import Model
from avi_theory.theory import CLOSED_FORMS, Verdict, predict

KEYS = [
    "model", "regime", "inputs", "function", "sharing", "kind", "latents", "gap", "gap_per_latent",
    "limit_per_latent", "approximation_gap", "assumptions", "reference",
    "standard_error",
]  # fmt: skip
SCHOOLS = """
index n = 1:N
given s[n] > 0
global mu ~ Normal(0, 5)
global tau ~ HalfNormal(10)
local z[n] ~ Normal(mu, tau)
observed y[n] ~ Normal(z[n], s[n])
"""
SEVERAL = """
index g = 1:G
index i = 1:I
global mu ~ Normal(0, 3)
local a[g] ~ Normal(mu, 1)
local z[g,i] ~ Normal(a[g], 0.7)
observed y[g,i] ~ Normal(z[g,i], 1.2)
"""
CHAIN = """
index t = 1:T
local z[1] ~ Normal(0, 1)
local z[t] ~ Normal(z[t-1], 1) for t in 2:T
observed x[t] ~ Normal(z[t], 1)
"""
ROUGH = SCHOOLS.replace("local z[n] ~ Normal", "local z[n] ~ Laplace")
schools_verdict = Verdict({"z": "inputs"}, {"z": ("s[n]", "y[n]")})


def schools(ties=False, text=SCHOOLS):
    y = np.array([28.0, 8, -3, 7, -1, 1, 18, 12])
    s = np.array([15.0, 10, 16, 11, 9, 11, 10, 18])
    if ties:
        y[1], s[1] = y[0], s[0]
    return bind(Model(text), {"y": y, "s": s})


def test_the_json_is_the_contracts():
    found = predict(bind(Model(CHAIN, T=5)), window=0).to_dict()
    assert list(found) == KEYS
    assert isinstance(found["assumptions"], list)
    assert found["gap_per_latent"] == pytest.approx(found["gap"] / 5)


@pytest.mark.parametrize("regime", ["dataset", "population"])
@pytest.mark.parametrize("ties", [False, True])
def test_separable_models_are_exactly_zero_with_sufficient_inputs(regime, ties):
    found = predict(schools(ties), regime=regime, verdict=schools_verdict)
    assert (found.gap, found.kind) == (0.0, "exact")
    assert found.inputs == ("s[n]", "y[n]")
    assert found.approximation_gap is None


def test_insufficient_inputs_have_no_number_and_say_what_is_missing():
    found = predict(
        schools(True, ROUGH), inputs=["y[n]"], verdict=schools_verdict, regime="population"
    )
    assert (found.gap, found.kind) == (None, "none")
    assert "s[n]" in found.assumptions[0]
    assert "kink" in found.assumptions[0]


def test_without_ties_any_function_interpolates():
    found = predict(schools(), inputs=["y[n]"], verdict=schools_verdict)
    assert (found.gap, found.kind) == (0.0, "exact")
    tied = predict(schools(True), inputs=["y[n]"], verdict=schools_verdict)
    assert tied.kind == "upper" and tied.gap >= 0


def test_averages_of_rough_densities_have_no_number():
    found = predict(
        schools(text=ROUGH), regime="population", function="affine", verdict=schools_verdict
    )
    assert found.kind == "none"
    assert "kink" in found.assumptions[0]


def test_reuse_needs_proper_priors():
    text = SCHOOLS.replace("global tau ~ HalfNormal(10)\n", "given tau = 3\n")
    flat = text.replace("Normal(0, 5)", "Flat()")
    data = {"y": np.arange(3.0), "s": np.ones(3)}
    found = predict(bind(Model(flat), data), regime="reuse", inputs=["y[n]"])
    assert found.kind == "none"
    assert "mu" in found.assumptions[0]
    unset = predict(
        bind(Model(flat), data), regime="population", inputs=["y[n]"], function="affine"
    )
    assert unset.kind == "exact"
    assert unset.gap == 0.0
    kept = predict(bind(Model(text), data), regime="reuse", inputs=["y[n]"])
    assert kept.kind == "exact"
    assert kept.gap > 0


def test_an_unset_flat_global_leaves_no_number_where_the_gap_is_not_zero():
    text = """
    index n = 1:N
    global theta ~ Flat()
    local z[n] ~ Normal(0, 1)
    observed x[n] ~ Normal(theta + z[n], 1)
    """
    found = predict(bind(Model(text, N=10)), function="constant")
    assert found.kind == "none"
    assert "--set theta=" in found.assumptions[0]
    fixed = predict(bind(Model(text, N=10, theta=3.0)), function="constant")
    assert fixed.kind == "exact"
    assert fixed.gap == pytest.approx(9 / 2)
    assert fixed.limit_per_latent == pytest.approx(1 / 2)


def test_all_observations_seen_is_zero_everywhere():
    x = np.zeros(6)
    for regime in ("dataset", "population", "reuse"):
        found = predict(bind(Model(CHAIN), {"x": x}), regime=regime, inputs=["x[:]"])
        assert (found.gap, found.kind) == (0.0, "exact")


def test_nested_groups_reach_zero_with_the_groups_observations():
    bound = bind(Model(SEVERAL, G=3, I=2))
    whole = {"a": ["y[g,:]"], "z": ["y[g,:]"]}
    each = predict(bound, inputs=whole, sharing="per-position")
    assert each.gap == pytest.approx(0.0, abs=1e-9)
    poor = predict(bound, inputs={"a": ["y[g,:]"], "z": ["y[g,i]"]}, function="affine")
    assert poor.gap > 0.01
    assert poor.kind in {"upper", "exact"}


def test_vector_locals_have_one_scale_per_coordinate():
    text = """
    index n = 1:N
    given A = [[1, 0.5], [0, 2], [1, 1]]
    local z[n] : R[2] ~ Normal(0, 1)
    observed x[n] : R[3] ~ Normal(A @ z[n], 0.8)
    """
    bound = bind(Model(text, N=20))
    found = predict(bound, inputs=["x[n]"], function="affine")
    assert (found.gap, found.kind, found.latents) == (0.0, "exact", 40)
    a = np.array([[1, 0.5], [0, 2], [1, 1]])
    precision = np.eye(2) + a.T @ a / 0.64
    rotated = 0.5 * (np.log(np.diagonal(precision)).sum() - np.linalg.slogdet(precision)[1])
    assert found.approximation_gap == pytest.approx(20 * rotated)
    assert predict(bound, function="constant").gap > 1


def test_an_edge_of_another_form_is_not_zero_for_one_shared_function():
    text = """
    index t = 1:T
    local z[1] ~ Normal(0, 3)
    local z[t] ~ Normal(0, 1) for t in 2:T
    observed x[t] ~ Normal(z[t], 1)
    """
    verdict = Verdict({"z": "own"}, {"z": ("x[t]",)}, {"z": ("t=1",)})
    shared = predict(bind(Model(text, T=5)), verdict=verdict)
    assert shared.gap > 0
    assert shared.kind == "upper"
    own = predict(bind(Model(text, T=5)), verdict=verdict, sharing="per-position")
    assert own.gap == 0.0
    placed = predict(bind(Model(text, T=5)), verdict=verdict, inputs=["t", "x[t]"])
    assert placed.gap == 0.0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"regime": "populaton"}, ["populaton", "population"]),
        ({"function": "cubic"}, ["cubic", "affine"]),
        ({"function": "polynomial"}, ["degree", "polynomial:3"]),
        ({"function": "polynomial:99"}, ["degree"]),
        ({"sharing": "shred"}, ["shred", "shared"]),
        ({"window": 7}, ["window", "15", "only 5"]),
        ({"window": -1}, ["-1"]),
        ({"inputs": ["q[t]"]}, ["'q'", "x[t]"]),
        ({"inputs": ["z[t-1]"]}, ["local", "z"]),
        ({"inputs": ["x[s]"]}, ["'s'"]),
        ({"inputs": ["x[t,t]"]}, ["2 indices"]),
        ({"inputs": ["x[t"]}, ["bracket"]),
        ({"inputs": ["x[t**9]"]}, ["t**9"]),
        ({"inputs": {"w": ["x[t]"]}}, ["'w'"]),
        ({"inputs": ["x[t]"], "window": 1}, ["exclude"]),
        ({"regime": "dataset"}, ["data"]),
    ],
)  # fmt: skip
def test_bad_questions_name_the_culprit(options, words):
    with pytest.raises(InputError) as caught:
        predict(bind(Model(CHAIN, T=5)), **options)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("regime", ["dataset", "population"])
def test_an_improper_posterior_is_refused_by_name(regime):
    text = """
    index n = 1:N
    global theta ~ Flat()
    global nu ~ Flat()
    local z[n] ~ Normal(theta - nu, 1)
    observed x[n] ~ Normal(z[n], 1)
    """
    with pytest.raises(InputError, match=r"improper.*fails at (theta|nu)"):
        predict(bind(Model(text), {"x": np.arange(4.0)}), regime=regime, inputs=["x[n]"])


def test_every_closed_form_says_why_it_does_not_apply():
    from avi_theory.theory.predict import ask

    question = ask(
        schools(True, ROUGH), regime="reuse", inputs=["y[n]"], window=None, function="affine",
        sharing="shared", verdict=schools_verdict,
    )  # fmt: skip
    for form in CLOSED_FORMS:
        assert form.accepts(question), type(form).__name__


PANEL = """
index g = 1:G
index t = 1:T
global mu ~ Normal(0, 1)
local z[g,1] ~ Normal(mu, 1)
local z[g,t] ~ Normal(0.5*z[g,t-1], 1) for t in 2:T
observed x[g,t] ~ Normal(z[g,t], 1)
"""


@pytest.mark.parametrize("regime", ["dataset", "population"])
def test_a_whole_row_is_read_from_the_locals_own_position(regime):
    x = np.random.default_rng(0).normal(size=(3, 4))
    bound = bind(Model(PANEL), {"x": x})
    verdict = Verdict({"z": "component"}, {"z": ("x[g,:]",)}, {"z": ("t=1",)})
    for known in (verdict, None):
        found = predict(bound, regime=regime, inputs=["x[g,:]"], verdict=known)
        if known is not None or regime == "dataset":
            assert (found.gap, found.kind) == (0.0, "exact")
    assert predict(bound, regime=regime, inputs=["x[g,:]"], function="affine").gap > 0.5


def test_one_function_each_is_never_worse_than_one_for_all():
    text = """
    index i = 1:I
    index j = 1:J
    global mu ~ Normal(0, 2)
    local a[i] ~ Normal(mu, 1)
    local b[j] ~ Normal(0, 1)
    observed y[i,j] ~ Normal(a[i] + b[j], 1)
    """
    bound = bind(Model(text, I=4, J=5))
    for regime in ("population", "reuse"):
        gaps = [
            predict(bound, regime=regime, window=0, sharing=s).gap
            for s in ("shared", "per-position")
        ]
        assert gaps[1] <= gaps[0] + 1e-12


def test_an_observation_without_index_is_seen_by_all():
    text = """
    index n = 1:N
    local z[n] ~ Normal(0, 1)
    observed y ~ Normal(sum(z), 0.5)
    observed x[n] ~ Normal(z[n], 1)
    """
    found = predict(bind(Model(text, N=5)), window=0)
    assert found.inputs == ("x[n]", "y")
    assert found.kind == "exact"
    assert 0 < found.gap < predict(bind(Model(text, N=5)), inputs=["x[n]"]).gap


@pytest.mark.parametrize("regime", ["dataset", "population"])
def test_the_doubled_coupling_of_a_random_walk_is_refused(regime):
    """Off-diagonals −2 in place of −1 make the walk's precision matrix indefinite."""
    text = """
    index n = 1:N
    local z[n] ~ Flat()
    potential -z[n]**2 for n in 1:N
    potential {c}*z[n]*z[n+1] for n in 1:N-1
    observed x[n] ~ Normal(z[n], 1)
    """
    data = {"x": np.ones(9)}
    found = predict(bind(Model(text.format(c=1)), data), regime=regime, window=1)
    assert found.gap > 0
    with pytest.raises(InputError, match=r"improper.*not positive definite.*fails at z\[\d\]"):
        predict(bind(Model(text.format(c=2)), data), regime=regime, window=1)
