"""Semi-amortization: every step of F-VI's solver from the function's output closes the gap more."""

import numpy as np
import pytest

from avi_theory import InputError, Model
from avi_theory.numeric import load_measurement, measure

GROUPS = """
index n = 1:N
given s[n] > 0
global mu ~ Normal(0, 2)
local z[n] ~ Normal(mu, 1)
observed y[n] ~ Poisson(log_rate=z[n] + log(s[n]))
"""


def counts(count=10, seed=0):
    g = np.random.default_rng(seed)
    s = g.uniform(0.5, 4.0, count)
    return {"y": g.poisson(s * np.exp(g.normal(size=count))), "s": s}


def test_the_gap_falls_with_every_step():
    found = measure(
        Model(GROUPS), counts(), inputs=["y[n]"], function="affine", refine=8, evidence=False
    )
    gaps = np.asarray(found.avi.refined)
    assert len(gaps) == 9
    assert gaps[0] == pytest.approx(found.gap, abs=1e-9) and gaps[0] > 0.1
    assert np.all(np.diff(gaps) <= 1e-9)
    assert np.all(np.diff(gaps[:4]) < 0)
    assert gaps[-1] == pytest.approx(0.0, abs=1e-8)


@pytest.mark.parametrize("name", ["hmm", "stochastic_volatility", "mixture"])
def test_discrete_and_tied_latents_are_refined_too(name, bound_of):
    bound = bound_of(name, most=12)
    found = measure(
        bound.model, bound, window=0, function="constant", refine=4, evidence=False
    ).avi.refined
    assert len(found) == 5 and np.all(np.diff(found) <= 1e-9) and found[-1] < 0.5 * found[0]


def test_no_step_is_no_answer():
    found = measure(Model(GROUPS), counts(), inputs=["y[n]"], function="affine", evidence=False)
    assert found.avi.refined == ()
    with pytest.raises(InputError, match="number of steps"):
        measure(Model(GROUPS), counts(), inputs=["y[n]"], function="affine", refine=-1)


def test_new_data_are_refined_with_the_globals_held(tmp_path):
    """A rough function, then F-VI's own factors given the globals; kept by a file."""
    found = measure(Model(GROUPS), counts(40), inputs=["y[n]"], function="affine", evidence=False)
    new = counts(8, seed=3)
    rough, steps, many = (found.infer(new, refine=k) for k in (0, 2, 30))
    apart = [np.abs(x.mean - many.mean).max() for x in (rough, steps)]
    assert apart[1] < 0.3 * apart[0] and apart[0] > 0.05
    again = load_measurement(found.save(tmp_path / "kept.safetensors"))
    np.testing.assert_allclose(again.infer(new, refine=2).mean, steps.mean, rtol=1e-10)


def test_points_without_inputs_get_factors_by_refinement():
    found = measure(
        Model(GROUPS), counts(), inputs=["y[n-1]", "y[n]"], function="affine", evidence=False
    )
    new = counts(5, seed=4)
    assert np.isnan(found.infer(new).mean[0])
    assert not np.isnan(found.infer(new, refine=10).mean).any()
