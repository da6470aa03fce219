"""The contract of `measure`: certificates, reproducibility, files, misuse."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from avi_theory import DataError, DeviceError, InputError, Model
from avi_theory.numeric import load_measurement, measure

GROUPS = """
index n = 1:N
given s[n] > 0
global mu ~ Normal(0, 5)
local z[n] ~ Normal(mu, 2)
observed y[n] ~ Normal(z[n], s[n])
"""


def groups(count=12, seed=0):
    g = np.random.default_rng(seed)
    return {"y": g.normal(size=count), "s": g.uniform(0.5, 2.0, count)}


def test_the_answer_has_the_contracts_keys_and_is_json():
    found = measure(Model(GROUPS), groups(), inputs=["s[n]", "y[n]"], function="mlp:8")
    answer = json.loads(found.to_json())
    for run in ("fvi", "avi"):
        assert {"elbo", "status", "gradient_norm", "iterations", "seconds"} <= set(answer[run])
    assert answer["avi"]["function"] == "mlp:8"
    assert answer["avi"]["inputs"] == ["s[n]", "y[n]"]
    assert set(answer["provenance"]) == {"seed", "device", "dtype", "data", "versions"}
    assert {"value", "method", "standard_error"} == set(answer["log_evidence"])
    assert "traces" not in answer and "summary" not in answer
    assert found.traces["avi"][-1] == pytest.approx(found.avi.elbo, abs=1e-6)


def test_one_seed_gives_one_answer():
    runs = [
        measure(
            Model(GROUPS), groups(), inputs=["y[n]"], function="mlp:8", seed=s, iterations=20
        ).to_dict()
        for s in (3, 3, 4)
    ]
    for run in runs:
        run["fvi"].pop("seconds"), run["avi"].pop("seconds")
    assert runs[0] == runs[1]
    assert runs[0]["avi"]["elbo"] != runs[2]["avi"]["elbo"]


def test_factorized_is_never_reported_below_amortized(measurable, bound_of):
    bound = bound_of(measurable, most=60)
    for function in ("constant", "affine"):
        found = measure(bound.model, bound, window=0, function=function, evidence=False, starts=1)
        if found.fvi.status == "non_integrable":
            assert found.avi is None
            continue
        assert found.gap >= 0
        assert found.avi.status == "converged"


def test_f_vi_alone_needs_no_function():
    found = measure(Model(GROUPS), groups())
    assert found.avi is None and found.gap is None
    with pytest.raises(InputError, match="No inference function"):
        found.infer(groups())


def test_a_device_that_is_not_there():
    if torch.cuda.is_available():
        return
    with pytest.raises(DeviceError, match="'cuda' is not available"):
        measure(Model(GROUPS), groups(), device="cuda")
    with pytest.raises(DeviceError, match="unknown"):
        measure(Model(GROUPS), groups(), device="abacus")


@pytest.mark.parametrize(
    "options, message",
    [
        ({"function": "afine", "inputs": ["y[n]"]}, "afine.*affine"),
        ({"function": "polynomial:x", "inputs": ["y[n]"]}, "polynomial:3"),
        ({"function": "mlp:0", "inputs": ["y[n]"]}, "mlp:32x32"),
        ({"function": "affine"}, "no inputs"),
        ({"inputs": ["q[n]"]}, "q"),
        ({"inputs": ["z[n]"]}, "unknown"),
        ({"inputs": ["y[n]"], "window": 1}, "one of them"),
        ({"dtype": "float16"}, "float64"),
    ],
    ids=lambda v: str(v)[:40],
)
def test_misuse_is_named(options, message):
    with pytest.raises(InputError, match=message):
        measure(Model(GROUPS), groups(), **options)


def test_without_data_there_is_nothing_to_measure():
    with pytest.raises(DataError, match="no data"):
        measure(Model("index n = 1:N\nlocal z[n] ~ Normal(0,1)\nobserved x[n] ~ Normal(z[n],1)",
                      N=4))  # fmt: skip


def test_a_support_without_a_factor_is_named():
    text = "local k ~ Poisson(3)\nobserved x ~ Normal(k, 1)"
    with pytest.raises(InputError, match=r"k takes values in 'count'"):
        measure(Model(text), {"x": np.array(1.0)})


def test_a_pole_makes_the_elbo_not_exist():
    """The nonlinear model as printed: E_q[1/cos⁴ z] diverges for every Gaussian q."""
    text = """
    index n = 1:N
    global theta ~ Normal(0, 1)
    local z[n] ~ Normal(0, 1)
    observed x[n] ~ Normal(theta + z[n]*(1 + sin(z[n])), cos(z[n])**2)
    """
    data = {"x": np.array([0.3, -1.0, 2.0])}
    found = measure(Model(text), data, inputs=["x[n]"], function="affine")
    assert found.fvi.status == "non_integrable" and found.fvi.elbo is None
    assert "cos(z[n])**2" in found.fvi.message
    with pytest.raises(InputError, match="no posterior"):
        found.posterior()
    good = measure(Model(text.replace("cos(z[n])**2", "exp(cos(z[n]))")), data)
    assert good.fvi.status == "converged"


@pytest.mark.parametrize("scale", ["abs(cos(z[n]))", "abs(sin(z[n]))", "abs(z[n])", "z[n]**2"])
def test_a_scale_that_vanishes_is_named(scale):
    """E_q[1/cos² z] diverges for every Gaussian q: Margossian and Blei's model as printed."""
    text = f"""
    index n = 1:N
    global theta ~ Flat()
    local z[n] ~ Normal(0, 1)
    observed x[n] ~ Normal(theta + z[n]*(1 + sin(z[n])), {scale})
    """
    found = measure(Model(text), {"x": np.array([0.3, -1.0, 2.0])})
    assert found.fvi.status == "non_integrable" and found.fvi.elbo is None
    for words in (f"Normal(theta + z[n]*(1 + sin(z[n])), {scale})", "is not finite", "pole"):
        assert words in found.fvi.message


def test_moments_that_a_factor_has_or_has_not():
    """E 1/z⁴ of a Beta factor exists from shape 4 on; E exp(z) of no inverse Gamma factor."""
    data = {"x": np.array([1.0, 2.0, 0.0])}
    text = "index n = 1:N\nglobal v ~ {}\nobserved x[n] ~ {}"
    has = Model(text.format("Beta(0.5, 1)", "Normal(0, v**2)"))
    found = measure(has, data, factors={"v": "beta"})
    assert found.fvi.status == "converged" and set(found.methods.values()) == {"exact"}
    has_not = Model(text.format("InverseGamma(0.5, 1)", "Poisson(exp(v))"))
    found = measure(has_not, data, factors={"v": "inversegamma"})
    assert found.fvi.status == "non_integrable" and "Poisson(exp(v))" in found.fvi.message


def test_an_improper_posterior_has_an_elbo_but_no_evidence():
    text = """
    index i = 1:N
    global a ~ Flat()
    global b ~ Flat()
    observed x[i] ~ Normal(a + b, 1)
    """
    found = measure(Model(text), {"x": np.array([1.0, 2.0])})
    assert found.log_evidence["value"] is None
    assert "diverges" in found.log_evidence["method"]


def test_terms_without_closed_form_are_sampled_and_say_so():
    """A function of three latents at once: Monte Carlo, with a standard error of the gap."""
    text = """
    index n = 1:N
    global a ~ Normal(0, 1)
    local z[n] ~ Normal(0, 1)
    local w[n] ~ Normal(0, 1)
    observed x[n] ~ Normal(tanh(z[n]*w[n] + a*z[n]), 0.5)
    """
    data = {"x": np.array([0.3, -0.2, 0.9, 0.1])}
    found = measure(Model(text), data, inputs=["x[n]"], function="affine", evidence=False)
    assert "monte carlo" in found.methods.values()
    assert found.fvi.status == "converged"
    assert found.fvi.standard_error > 0 and found.standard_error > 0
    assert not found.fvi.certified


def test_saving_and_loading_keep_the_answer_and_the_function(tmp_path):
    for function in ("mlp:8", "polynomial:2", "table"):
        data = groups()
        found = measure(Model(GROUPS), data, inputs=["s[n]", "y[n]"], function=function)
        path = found.save(tmp_path / "kept.safetensors")
        again = load_measurement(path)
        assert again.to_dict() == found.to_dict()
        np.testing.assert_array_equal(again.posterior().mean, found.posterior().mean)
        new = {k: v[:5] for k, v in data.items()}
        np.testing.assert_allclose(again.infer(new).mean, found.infer(new).mean, rtol=1e-12)
    assert [p.name for p in tmp_path.iterdir()] == ["kept.safetensors"]
    with pytest.raises(InputError, match="does not exist"):
        load_measurement(tmp_path / "absent")
    (tmp_path / "text").write_text("no tensors")
    with pytest.raises(InputError, match="no saved measurement"):
        load_measurement(tmp_path / "text")
    with pytest.raises(InputError, match="cannot be saved"):
        found.save(tmp_path / "no" / "folder" / "file")


def test_the_trained_function_is_applied_to_new_data():
    """On sufficient inputs its factors for new units are those F-VI would find, q₀ held."""
    data = groups(60)
    found = measure(Model(GROUPS), data, inputs=["s[n]", "y[n]"], function="mlp:16")
    new = {k: v[10:20] for k, v in data.items()}
    inferred, factorized = found.infer(new), found.posterior()
    names = [f"z[{n}]" for n in range(11, 21)]
    np.testing.assert_allclose(inferred.mean, [factorized[n]["mean"] for n in names], atol=0.05)
    edges = measure(Model(GROUPS), data, inputs=["y[n-1]", "y[n]"], function="affine")
    assert np.isnan(edges.infer(new).mean[0]) and not np.isnan(edges.infer(new).mean[1:]).any()


def test_held_out_units_tell_the_generalization_gap():
    found = measure(
        Model(GROUPS), groups(40), inputs=["y[n]"], function="affine", holdout=groups(15, seed=9)
    )
    assert found.holdout["latents"] == 15 and found.holdout["gap"] > 0
    closed = measure(
        Model(GROUPS.replace("given s[n] > 0", "given s = 1").replace("s[n]", "s")),
        {"y": groups(40)["y"]}, inputs=["y[n]"], function="affine",
        holdout={"y": groups(15, seed=9)["y"]},
    )  # fmt: skip
    assert closed.holdout["gap"] == pytest.approx(0.0, abs=1e-8)


def test_units_of_measurement_do_not_matter():
    """Data a million times larger: the same iterations, the same gap."""
    text = GROUPS.replace("Normal(0, 5)", "Normal(0, 5*c)").replace("Normal(mu, 2)",
                                                                   "Normal(mu, 2*c)")  # fmt: skip
    found = [
        measure(
            Model("given c = 1\n" + text, c=scale), {k: scale * v for k, v in groups().items()},
            inputs=["y[n]"], function="affine", evidence=False,
        )
        for scale in (1.0, 1e6)
    ]  # fmt: skip
    assert found[0].gap == pytest.approx(found[1].gap, abs=1e-7)
    assert all(f.fvi.status == "converged" for f in found)


def test_float32_is_honoured():
    found = measure(Model(GROUPS), groups(), dtype="float32", tolerance=1e-3)
    exact = measure(Model(GROUPS), groups())
    assert found.provenance["dtype"] == "float32"
    assert found.fvi.elbo == pytest.approx(exact.fvi.elbo, abs=1e-3)


def test_no_global_state_is_changed():
    code = (
        "import torch, numpy as np\n"
        "from avi_theory import Model\n"
        "from avi_theory.numeric import measure\n"
        "before = (torch.get_default_dtype(), torch.get_num_threads(), torch.initial_seed(),\n"
        "          torch.is_grad_enabled())\n"
        "m = Model('index n = 1:N\\nlocal z[n] ~ Normal(0, 1)\\nobserved x[n] ~ Normal(z[n], 1)')\n"
        "measure(m, {'x': np.arange(3.0)}, inputs=['x[n]'], function='mlp:4')\n"
        "assert before == (torch.get_default_dtype(), torch.get_num_threads(),\n"
        "                  torch.initial_seed(), torch.is_grad_enabled())\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_ten_thousand_latents_take_seconds(bound_of):
    bound = bound_of("linear")
    found = measure(bound.model, bound, inputs=["x[n]"], function="affine")
    assert found.fvi.seconds + found.avi.seconds < 10
    assert found.gap == pytest.approx(0.0, abs=1e-6)
