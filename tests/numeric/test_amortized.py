"""A-VI equals generalised least squares where that is the answer, and closes where it can."""

import numpy as np
import pytest

from avi_theory import Model
from avi_theory.numeric import measure
from avi_theory.numeric.families import families
from avi_theory.numeric.inputs import seen
from avi_theory.spec.bound import bind


def least_squares_gap(lam, mean, features, locals_at, scale_groups):
    """½‖Fβ − µ‖²_Λ with globals free, plus the price of one scale per group."""
    design = np.zeros((len(mean), features.shape[1] + len(mean) - len(locals_at)))
    design[locals_at, : features.shape[1]] = features
    others = [k for k in range(len(mean)) if k not in set(locals_at)]
    design[others, features.shape[1] + np.arange(len(others))] = 1.0
    root = np.linalg.cholesky(lam).T
    beta = np.linalg.lstsq(root @ design, root @ mean, rcond=None)[0]
    rest = design @ beta - mean
    diagonal = np.diag(lam)
    price = sum(
        0.5 * (len(k) * np.log(diagonal[k].mean()) - np.log(diagonal[k]).sum())
        for k in scale_groups
    )
    return 0.5 * rest @ lam @ rest + price


CASES = [
    ("saw", {"N": 80}, ["x[n-1]", "x[n]"], "affine"),
    ("saw", {"N": 80}, ["x[n]"], "affine"),
    ("saw", {"N": 80}, ["x[n]"], "constant"),
    ("saw", {"N": 80}, ["x[n]"], "polynomial:5"),
    ("linear", {"N": 80}, ["x[n]"], "affine"),
    ("linear", {"N": 80}, ["x[n]"], "polynomial:2"),
    ("linear", {"N": 80}, [], "constant"),
    ("local_level", {}, ["x[t]"], "affine"),
    ("local_level", {}, ["x[t-2]", "x[t-1]", "x[t]", "x[t+1]", "x[t+2]"], "affine"),
    ("local_level", {}, ["x[t]", "t"], "polynomial:3"),
    ("random_walk", {}, ["x[n-1]", "x[n]", "x[n+1]"], "affine"),
    ("random_walk", {}, ["mean(x)", "x[n]"], "affine"),
    ("eight_schools_known_tau", {}, ["s[n]", "y[n]"], "affine"),
    ("eight_schools_known_tau", {}, ["y[n]"], "polynomial:2"),
]
KNOWN_TAU = """
index n = 1:N
given s[n] > 0, tau = 8
global mu ~ Normal(0, 5)
local z[n] ~ Normal(mu, tau)
observed y[n] ~ Normal(z[n], s[n])
"""
SCHOOLS = {
    "y": np.array([28.0, 8, -3, 7, -1, 1, 18, 12]),
    "s": np.array([15.0, 10, 16, 11, 9, 11, 10, 18]),
}


@pytest.mark.parametrize(
    "name, sizes, inputs, function", CASES, ids=[f"{c[0]}-{c[3]}-{len(c[2])}" for c in CASES]
)
def test_polynomials_reach_generalised_least_squares(
    name, sizes, inputs, function, bound_of, elbo_at, precision
):
    """The measured gap equals ½‖Fβ − µ‖²_Λ + ½[N log mean Λₙₙ − Σ log Λₙₙ] to 1e-6 nats."""
    known = name == "eight_schools_known_tau"
    bound = bound_of(Model(KNOWN_TAU), SCHOOLS) if known else bound_of(name, **sizes)
    found = measure(bound.model, bound, inputs=inputs, function=function, evidence=False)
    assert found.avi.status == "converged" and found.avi.certified

    elbo = elbo_at(bound)
    lam, h, _ = precision(elbo)
    (local,) = bound.model.locals
    at, offset = None, 0
    for f in families(bound).values():
        if f.name == local.name:
            at = offset + np.arange(f.points)
        offset += f.points
    degree = {"constant": 0, "affine": 1}.get(function) or int((function + ":0").split(":")[1])
    sees = seen(bound, local, [] if function == "constant" else inputs)
    degree = 1 if function == "affine" else degree
    raw = (sees.pooled - sees.pooled.mean(0)) / np.maximum(sees.pooled.std(0), 1e-9)
    columns = [np.ones(len(raw))]
    import itertools

    for d in range(1, degree + 1):
        for chosen in itertools.combinations_with_replacement(range(raw.shape[1]), d):
            columns.append(np.prod(raw[:, chosen], axis=1))
    inner, edge = np.flatnonzero(sees.complete), np.flatnonzero(~sees.complete)
    features = np.zeros((len(raw), len(columns) + len(edge)))
    features[inner, : len(columns)] = np.stack(columns, 1)[inner]
    features[edge, len(columns) + np.arange(len(edge))] = 1.0
    wanted = least_squares_gap(lam, np.linalg.solve(lam, h), features, at, [at[inner]])
    assert found.gap == pytest.approx(wanted, abs=1e-6)
    assert len(found.avi.edges) == len(edge)


PAPER = [("constant", 2933.567), ("affine", 892.634), ("polynomial:5", 884.330)]


@pytest.mark.parametrize("function, loss", PAPER)
def test_the_saw_series_has_the_papers_losses(function, loss, bound_of):
    """Of f(xₙ) on the paper's own data, in its units: −ELBO − ½(N−1) log 2π."""
    bound = bound_of("saw")
    found = measure(bound.model, bound, inputs=["x[n]"], function=function, evidence=False)
    assert -found.avi.elbo - 0.5 * 999 * np.log(2 * np.pi) == pytest.approx(loss, abs=1e-3)


def test_a_constant_costs_what_the_closed_form_says(bound_of):
    """½τ²Σ(xₙ − x̄)²/(σ²(σ²+τ²)) on ten thousand observations."""
    bound = bound_of("linear")
    found = measure(bound.model, bound, function="constant", evidence=False)
    x, tau, sigma = bound.known["x"], 1.155, 2.43
    wanted = 0.5 * tau**2 * ((x - x.mean()) ** 2).sum() / (sigma**2 * (sigma**2 + tau**2))
    assert found.gap == pytest.approx(wanted, abs=1e-6)


SUFFICIENT = {
    "eight_schools": (["s[n]", "y[n]"], "mlp:32x32"),
    "logistic_groups": (["y[g,:]"], "mlp:16"),
    "poisson_exposure": (["e[n]", "y[n]"], "mlp:16x16"),
    "mixture": (["x[n]"], "affine"),
    "linear": (["x[n]"], "affine"),
    "saw": (["x[n-1]", "x[n]"], "affine"),
}


@pytest.mark.parametrize("name", SUFFICIENT)
def test_sufficient_inputs_close_the_gap(name, bound_of):
    inputs, function = SUFFICIENT[name]
    sizes = {"poisson_exposure": {"N": 60}, "logistic_groups": {"G": 10}}.get(name, {})
    bound = bound_of(name, **sizes)
    found = measure(bound.model, bound, inputs=inputs, function=function, evidence=False)
    assert 0 <= found.gap < (1e-2 if name == "eight_schools" else 1e-4 * found.latents)


def test_a_table_is_the_best_of_all_functions_of_its_inputs(bound_of):
    bound = bound_of("hmm", T=40)
    gaps = [
        measure(bound.model, bound, window=1, function=f, evidence=False).gap
        for f in ("table", "affine", "constant")
    ]
    assert 0 <= gaps[0] <= gaps[1] <= gaps[2]


def test_inputs_may_differ_by_local_and_sets_enter_whole():
    text = """
    index i = 1:I
    index m = 1:M
    given g[m] in i
    global mu ~ Normal(0, 5)
    local a[i] ~ Normal(mu, 1)
    observed y[m] ~ Normal(a[g[m]], 1)
    """
    data = {"y": np.array([1.0, 2, 3, -1, 0, 4]), "g": np.array([1, 1, 1, 2, 2, 3])}
    whole = measure(Model(text), data, inputs={"a": ["y[m: g[m]=i]"]}, function="polynomial:2")
    assert whole.avi.inputs_by_local == {"a": ("y[m: g[m]=i]",)}
    only_mean = measure(Model(text), data, inputs=["mean(y)"], function="affine")
    assert whole.gap < only_mean.gap


def test_sets_of_vectors_are_seen_whole():
    """Rows sorted, marked and summed coordinate by coordinate, whatever their order."""
    text = """
    index g = 1:G
    index i = 1:J[g]
    local z[g] : R[2] ~ Normal(0, 1)
    observed y[g,i] : R[2] ~ Normal(z[g], 1)
    """
    y = np.random.default_rng(0).normal(size=(2, 3, 2))
    swapped = y.copy()
    swapped[1] = y[1][[2, 0, 1]]
    found = []
    for rows in (y, swapped):
        bound = bind(Model(text), {"J": np.array([2, 3]), "y": rows})
        found.append(seen(bound, bound.model.variables["z"], ["y[g,:]"]))
    expected = [[*y[0, :2].sum(0), 2], [*y[1].sum(0), 3]]
    np.testing.assert_allclose(found[0].pooled, expected)
    np.testing.assert_array_equal(found[0].values, found[1].values)
    assert found[0].values.shape == (2, 3 * 2 + 3)
