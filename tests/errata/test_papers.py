"""Each erratum of docs/errata.md shown by computation, under the letter that it has there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from avi_theory import Model, check, load, measure, predict

GOLDEN = (3 - np.sqrt(5)) / 2  # 0.381966, the influence of one step in the random walk

PAGE = " ".join(
    (Path(__file__).resolve().parents[2] / "docs" / "errata.md").read_text("utf-8").split()
)
"""In one line; what it states is looked for beside the number that shows it."""

FLAT_START = Model(
    """
    index n = 1:N
    local z[0] ~ Flat()
    local z[n] ~ Normal(z[n-1], 1)
    observed x[n] ~ Normal(z[n], 1)
    """,
)


def walk_precision(size: int, off_diagonal: float) -> np.ndarray:
    """Of z[0], …, z[size-1] in the random walk, with this entry between neighbours."""
    matrix = np.diag([1.0] + [3.0] * (size - 2) + [2.0])
    near = np.arange(size - 1)
    matrix[near, near + 1] = matrix[near + 1, near] = off_diagonal
    return matrix


def test_a_the_published_matrix_is_no_precision_and_the_right_one_is():
    size = 9
    squares = np.diff(np.eye(size), axis=0)  # rows z[n] - z[n-1]
    seen = np.eye(size)[1:]
    right = squares.T @ squares + seen.T @ seen
    np.testing.assert_array_equal(right, walk_precision(size, -1))
    assert np.linalg.eigvalsh(right).min() > 0
    assert np.linalg.eigvalsh(walk_precision(size, -2)).min() < 0
    assert np.ones(size) @ walk_precision(size, -2) @ np.ones(size) == 1 - size
    assert rf"\Lambda_{{n-1,n}} = {right[1, 2]:.0f} ." in PAGE
    proper = right + np.diag([1.5] + [0.0] * (size - 1))  # z[1] under a z[0] ~ N(0, 1)
    means = np.linalg.solve(proper, seen.sum(0) + np.eye(size)[0])
    assert ", ".join(f"{m:.3f}" for m in means[:3]) in PAGE


def test_a_equal_data_give_equal_means_and_only_the_last_variance_differs():
    size = 8
    found = measure(FLAT_START, {"x": np.ones(size)}, function="affine", inputs=["x[n]"])
    posterior = found.posterior()
    np.testing.assert_allclose(posterior.mean, 1, atol=1e-9)
    expected = [1.0] + [1 / np.sqrt(3)] * (size - 1) + [1 / np.sqrt(2)]
    np.testing.assert_allclose(posterior.sd, expected, atol=1e-9)
    precisions = np.array([3.0] * (size - 1) + [2.0])
    shared_scale = 0.5 * size * (np.log(precisions.mean()) - np.log(precisions).mean())
    assert found.gap == pytest.approx(shared_scale, abs=1e-8)


def test_a_a_spike_is_a_valid_witness():
    witness = check(load("random_walk")).witness
    assert witness is not None
    first, second = witness.positions
    x = np.asarray(witness.data["x"])
    around = [x[p - 1 - witness.window : p + witness.window] for p in (first, second)]
    np.testing.assert_array_equal(*around)
    assert abs(witness.optima[0] - witness.optima[1]) > 0.1
    spike = np.zeros(41)
    spike[20] = 1.0
    mean = measure(FLAT_START, {"x": spike}, function="constant", inputs=[]).posterior().mean[1:]
    np.testing.assert_allclose(mean[21:29] / mean[20:28], GOLDEN, rtol=1e-6)
    assert f"{GOLDEN:.6f}" in PAGE


def iterations(kind: str, rate: float, starts: int = 10, size: int = 50) -> np.ndarray:
    """Steps of Adam to within 1 % of the optimal loss in the linear model, for each start.

    The loss is that of the published notebook, −ELBO without ½ log 2π, in closed form; so are the
    starts: all standard normal, but uniform for the factors of F-VI.
    """
    tau, sigma = 1.155, 2.43
    draw = np.random.default_rng(2024)
    x = draw.normal(0, np.hypot(tau, sigma), size)
    precision = 1 + tau**2 / sigma**2

    def loss(theta, theta_log_sd, mean, log_sd):
        residual = (x - theta - tau * mean) ** 2 + np.exp(2 * theta_log_sd)
        local = 0.5 * mean**2 + 0.5 * precision * np.exp(2 * log_sd) - log_sd - 0.5
        return (local + residual / (2 * sigma**2)).sum(1) - theta_log_sd[:, 0] - 0.5

    def slopes(theta, theta_log_sd, mean, log_sd):
        residual = (x - theta - tau * mean) / sigma**2
        of_spread = size * np.exp(2 * theta_log_sd) / sigma**2 - 1
        of_scale = precision * np.exp(2 * log_sd) - 1
        return -residual.sum(1, keepdims=True), of_spread, mean - tau * residual, of_scale

    best = loss(
        np.full((1, 1), x.mean()),
        np.full((1, 1), 0.5 * np.log(sigma**2 / size)),
        (tau / (sigma**2 + tau**2) * (x - x.mean()))[None],
        np.full((1, size), -0.5 * np.log(precision)),
    )[0]
    columns = (1, 1, 1, 1, 1) if kind == "avi" else (1, 1, size, size)
    at = [draw.normal(size=(starts, c)) for c in columns]
    if kind == "fvi":
        at[2:] = [draw.uniform(size=(starts, size)) for _ in range(2)]
    first, second = ([np.zeros_like(a) for a in at] for _ in range(2))
    reached = np.zeros(starts, int)
    step = 0
    while not reached.all():
        step += 1
        full = at if kind == "fvi" else [*at[:2], at[2] + at[3] * x, at[4] + 0 * x]
        reached[(reached == 0) & (loss(*full) <= best + 0.01 * abs(best))] = step
        theta, spread, mean, scale = slopes(*full)
        gradient = [theta, spread, mean, scale]
        if kind == "avi":
            sums = [v.sum(1, keepdims=True) for v in (mean, mean * x, scale)]
            gradient = [theta, spread, *sums]
        for k, g in enumerate(gradient):
            first[k] = 0.9 * first[k] + 0.1 * g
            second[k] = 0.999 * second[k] + 0.001 * g * g
            move = first[k] / (1 - 0.9**step) / (np.sqrt(second[k] / (1 - 0.999**step)) + 1e-8)
            at[k] -= rate * move
    return reached


def test_b_the_speed_follows_the_learning_rate():
    slow, fast, amortized = (
        iterations("fvi", 1e-3),
        iterations("fvi", 1e-2),
        iterations("avi", 1e-2),
    )
    assert np.median(slow) > 4 * np.median(amortized), "unequal rates: A-VI looks faster"
    ratio = np.median(fast) / np.median(amortized)
    assert 1 / 3 < ratio < 3, f"equal rates: {ratio}"
    assert amortized.max() > 3 * amortized.min(), "the start matters more than the method"


def test_c_without_ties_all_functions_attain_the_factorized_optimum():
    walk = load("random_walk")
    apart = np.array([0.3, -1.2, 2.0, 0.9, -0.4, 1.7])
    question = {"inputs": ["x[n]"], "function": "any"}
    assert predict(walk, {"x": apart}, regime="dataset", **question).gap == 0
    tied = predict(walk, {"x": np.round(apart)}, regime="dataset", **question)
    population = predict(walk, regime="population", **question)
    assert f"{tied.gap:.2f} nats once these are rounded" in PAGE
    assert population.gap > 1


def test_d_a_function_of_the_whole_series_must_know_the_position():
    short = Model(
        """
        index n = 1:3
        local z[1] ~ Normal(0, 1)
        local z[n] ~ Normal(z[n-1], 1) for n in 2:3
        observed x[n] ~ Normal(z[n], 1)
        """
    )
    everything = {"inputs": ["x[1]", "x[2]", "x[3]"], "regime": "population"}
    blind = predict(short, sharing="shared", **everything)
    told = predict(short, sharing="per-position", **everything)
    assert told.gap == 0
    assert f"still loses {blind.gap:.2f} nats in the population" in PAGE
    x = np.array([0.0, 1.0, 0.0])
    gap = measure(short, {"x": x}, inputs=everything["inputs"], function="affine").gap
    precision = np.array([[3.0, -1, 0], [-1, 3, -1], [0, -1, 2]])
    best = np.full(3, x.sum() / precision.sum())  # one value for all positions
    off = best - np.linalg.solve(precision, x)
    scale = 1.5 * (np.log(np.diag(precision).mean()) - np.log(np.diag(precision)).mean())
    assert gap == pytest.approx(0.5 * off @ precision @ off + scale, abs=1e-8)


def test_e_the_coupling_of_theta_and_z_is_tau_over_sigma_squared():
    tau, sigma = 1.155, 2.43
    x = np.array([0.5, -2.0, 3.0, 1.0])
    size = len(x)
    found = measure(load("linear"), {"x": x}, function="constant", inputs=[]).posterior()
    measured = np.array([found["theta"]["mean"], *(found[f"z[{n}]"]["mean"] for n in range(1, 5))])

    def solved(coupling: float) -> np.ndarray:
        precision = np.diag([size / sigma**2] + [1 + tau**2 / sigma**2] * size)
        precision[0, 1:] = precision[1:, 0] = coupling
        return np.linalg.solve(precision, np.concatenate([[x.sum()], tau * x]) / sigma**2)

    np.testing.assert_allclose(measured, solved(tau / sigma**2), atol=1e-8)
    for other in (-tau / sigma**2, tau**2 / sigma**2, tau / sigma):
        assert np.abs(measured - solved(other)).max() > 0.02, other
    assert r"\partial z_j} = \frac{\tau}{\sigma^2}" in PAGE


NONLINEAR = """
index n = 1:N
global theta ~ Normal(0, 1)
local z[n] ~ Normal(0, 1)
observed x[n] ~ Normal(theta + z[n]*(1 + sin(z[n])), {scale})
"""
VALUES = {"x": np.array([0.3, -1.2, 4.0, 0.9, -3.4])}


def test_f_the_printed_nonlinear_model_has_no_elbo():
    found = measure(load("nonlinear"), VALUES)
    assert found.fvi.status == "non_integrable"
    assert found.gap is None
    z = np.pi / 2 + np.geomspace(1e-7, 0.5, 4000)  # beside the pole of 1/cos²
    cut = [np.trapezoid((1 / np.cos(z[k:]) ** 2), z[k:]) for k in (2000, 1000, 0)]
    assert cut[0] < cut[1] / 10 < cut[2] / 100, "the integral grows without bound"


def test_f_the_objective_as_coded_belongs_to_another_prior():
    normalised = Model(NONLINEAR.format(scale="exp(cos(z[n]))"))
    tilted = Model(NONLINEAR.format(scale="exp(cos(z[n]))") + "potential cos(z[n]) for n in 1:N\n")
    draw = np.random.default_rng(7)
    x, z, theta = draw.normal(0, 3, 200), draw.normal(0, 5, 200), draw.normal()
    error = x - theta - z * (1 + np.sin(z))
    coded = -0.5 * z**2 - error**2 / (2 * np.exp(np.cos(z)) ** 2)
    constants = np.log(2 * np.pi)  # of the two Normals
    density = -0.5 * z**2 - error**2 / (2 * np.exp(np.cos(z)) ** 2) - np.cos(z) - constants
    np.testing.assert_allclose(coded, density + np.cos(z) + constants)
    one, other = (measure(m, VALUES).posterior() for m in (normalised, tilted))
    assert np.abs(one.mean - other.mean).max() > 0.1


def test_g_the_coded_decoder_objective_has_another_optimum():
    from scipy.optimize import minimize

    weight, x = 1.7, 0.8

    def coded(at: np.ndarray) -> float:  # −½z² − (x − wz)², and a standard deviation as variance
        mean, sd = at[0], np.exp(at[1])
        prior = -0.5 * (mean**2 + sd**2)
        fit = -((x - weight * mean) ** 2) - weight**2 * sd**2
        entropy = 0.5 * np.log(sd) + sd**2 / (2 * sd)
        return -(prior + fit + entropy)

    mean, log_sd = minimize(coded, np.zeros(2), tol=1e-12).x
    precision = 1 + 2 * weight**2
    assert np.exp(log_sd) == pytest.approx((1 + np.sqrt(1 + 8 * precision)) / (4 * precision), 1e-4)

    def sd_under(noise: str) -> tuple[float, float]:
        model = Model(
            f"""
            index n = 1:1
            local z[n] ~ Normal(0, 1)
            observed x[n] ~ Normal({weight}*z[n], {noise})
            """
        )
        found = measure(model, {"x": np.array([x])}).posterior()["z[1]"]
        return found["mean"], found["sd"]

    halved, printed = sd_under("1/sqrt(2)"), sd_under("1")
    assert mean == pytest.approx(halved[0], abs=1e-4), "the mean is that of noise variance ½"
    assert abs(mean - printed[0]) > 0.03
    assert np.exp(log_sd) < 0.85 * halved[1], "and the spread is too small even for that"
    assert halved[1] < 0.8 * printed[1]
