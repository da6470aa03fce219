"""Batches give what all data at once give, and refuse what they cannot."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from avi_theory import DataError, InputError, Model, check, load, measure, simulate
from avi_theory.numeric import load_measurement, measure_in_batches
from avi_theory.numeric import measure as at_once
from avi_theory.numeric.batches.amortized import Heads
from avi_theory.numeric.batches.progress import telling
from avi_theory.numeric.batches.shards import Shards
from avi_theory.numeric.lowering import Where
from avi_theory.numeric.parameters import amortized
from avi_theory.pipeline.data import data_for
from avi_theory.spec.bound import bind
from avi_theory.spec.mapped import mapped
from avi_theory.spec.units import Units

COUNTS = """
index n = 1:N
given e[n] > 0
global mu ~ Normal(0, 2)
global tau ~ HalfNormal(1)
local z[n] ~ Normal(mu, tau)
observed y[n] ~ Poisson(log_rate=log(e[n]) + z[n])
"""
KINDS = """
index n = 1:N
index k = 0:2
given kind[n] in k
global mu[k] ~ Normal(0, 5)
local z[n] ~ Normal(mu[kind[n]], 1)
observed x[n] ~ Normal(z[n], 1)
"""


def long(*values):
    return pytest.param(*values, marks=pytest.mark.long)


def counts(count=60, seed=0):
    g = np.random.default_rng(seed)
    e = g.uniform(0.5, 4.0, count)
    return {"e": e, "y": g.poisson(3 * e * np.exp(g.normal(0, 0.5, count))).astype(float)}


def units_of(model, data=None):
    raw = data_for(model, data)
    return Units.of(model, raw, check(model, witness=False).unit[0])


@pytest.mark.parametrize(
    ("name", "inputs", "function"),
    [
        ("rats", ["y[n,:]"], "affine"),  # two latents of one unit
        long("degradation", ["y[s,:]"], "affine"),  # ragged groups, by their sums
        ("item_response", ["y[m: person[m]=p]"], "affine"),  # members by a map
        ("varieties", ["kind[n]", "x[n]"], "polynomial:2"),  # labels that select globals
        long("newcomb", ["x[n]"], "affine"),  # discrete latents
        long(COUNTS, ["e[n]", "y[n]"], "polynomial:3"),  # no closed form
    ],
)
def test_batches_reach_what_all_data_at_once_reach(name, inputs, function):
    model = Model(name) if "\n" in name else load(name)
    data = counts() if "\n" in name else simulate(model).data if name == "degradation" else None
    units = units_of(model, data)
    found = measure_in_batches(
        units, batch=len(units) // 4 + 1, pilot=len(units) // 2, inputs=inputs, function=function,
        evidence=False,
    )  # fmt: skip
    whole = at_once(
        model, bind(model, data_for(model, data)), inputs=inputs, function=function, evidence=False
    )
    assert found.provenance["batches"] == 4
    assert found.fvi.status == found.avi.status == "converged"
    assert found.fvi.elbo == pytest.approx(whole.fvi.elbo, abs=1e-8)
    assert found.avi.elbo == pytest.approx(whole.avi.elbo, abs=1e-8)
    assert found.latents == whole.latents
    for label in found.posterior().names:
        for key in ("mean", "sd"):
            assert found.posterior()[label][key] == pytest.approx(
                whole.posterior()[label][key], rel=1e-5, abs=1e-7
            )


def test_the_evidence_in_batches_is_that_of_all_data_at_once():
    model, data = Model(COUNTS), counts(16)
    found = measure_in_batches(units_of(model, data), batch=6, pilot=16)
    whole = at_once(model, data)
    assert found.provenance["batches"] == 3
    assert found.log_evidence["method"] == whole.log_evidence["method"]
    assert found.log_evidence["value"] == pytest.approx(whole.log_evidence["value"], abs=1e-8)
    assert found.fvi.elbo < found.log_evidence["value"]


def test_one_batch_scaled_by_their_number_is_unbiased():
    """The mean over all batches is the ELBO itself, at any parameters."""
    model = Model(COUNTS)
    units = units_of(model, counts(61))
    where = Where(torch.device("cpu"), torch.float64)
    shards, whole = Shards(units, 9, where), Shards(units, 61, where)
    chosen = {"z": ("e[n]", "y[n]")}
    families = whole[0].elbo.families
    pilot = amortized(shards.sample(61), families, chosen, "mlp:4", where, seed=0)
    tell = telling(None)
    split = Heads(shards, pilot, chosen, "mlp:4", 1.0, tell)
    p = torch.linspace(-0.2, 0.2, pilot.size, dtype=torch.float64)
    each = [float(split._estimate(k, p)) for k in range(len(shards))]
    exact = float(Heads(whole, pilot, chosen, "mlp:4", 1.0, tell).jet(p, False).value)
    assert len(shards) == 7 and np.std(each) > 1
    assert np.mean(each) == pytest.approx(exact, rel=1e-12)
    assert float(split.jet(p, False).value) == pytest.approx(exact, rel=1e-12)


@pytest.mark.long
def test_a_network_learns_in_batches_and_says_how_it_was_tuned():
    found = measure_in_batches(
        units_of(Model(COUNTS), counts(400)), batch=100, pilot=100, function="mlp:8",
        inputs=["e[n]", "y[n]"], iterations=150, evidence=False,
    )  # fmt: skip
    assert 0 <= found.gap / found.latents < 1e-3
    assert found.provenance["tuning"]["avi"].startswith("Adam: rates 0.0001, 0.001, 0.01 tried")
    assert found.infer({k: v[:5] for k, v in counts(400).items()}).mean.shape == (5,)


def test_a_measurement_in_batches_is_saved_with_its_globals_and_its_function(tmp_path):
    data = counts(40)
    found = measure(Model(COUNTS), data, function="affine", batch=15)
    again = load_measurement(found.save(tmp_path / "kept"))
    assert again.to_dict() == found.to_dict()
    assert again.posterior().names == found.posterior().names == ("mu", "tau")
    new = {k: v[:5] for k, v in data.items()}
    np.testing.assert_allclose(again.infer(new).mean, found.infer(new).mean, rtol=1e-12)


def test_sampled_terms_carry_standard_errors():
    text = """
    index n = 1:N
    global a ~ Normal(0, 1)
    local z[n] ~ Normal(0, 1)
    local w[n] ~ Normal(0, 1)
    observed x[n] ~ Normal(tanh(z[n]*w[n] + a*z[n]), 0.5)
    """
    data = {"x": np.random.default_rng(1).normal(size=16)}
    found = measure_in_batches(
        units_of(Model(text), data), batch=6, inputs=["x[n]"], function="affine", samples=64,
        evidence=False,
    )  # fmt: skip
    assert found.fvi.status == "converged"
    assert found.fvi.standard_error > 0 and found.standard_error > 0


def test_every_kind_of_file_gives_the_same_answer(tmp_path):
    data = counts(40)
    np.savez(tmp_path / "plain.npz", **data)
    np.savez_compressed(tmp_path / "packed.npz", **data)
    pd.DataFrame(data).to_parquet(tmp_path / "table.parquet")
    pd.DataFrame(data).to_csv(tmp_path / "table.csv", index=False)
    (tmp_path / "folder").mkdir()
    for name, column in data.items():
        np.save(tmp_path / "folder" / f"{name}.npy", column)
    answers = set()
    for name in ("plain.npz", "packed.npz", "table.parquet", "table.csv", "folder"):
        raw = mapped(tmp_path / name)
        assert name == "table.csv" or all(isinstance(c, np.memmap) for c in raw.columns.values())
        for k, column in data.items():
            np.testing.assert_array_equal(raw.columns[k], column)
        part = Units.of(Model(COUNTS), raw, "n").take(np.array([0, 7, 39]))
        answers.add(tuple(float(x) for k in ("e", "y") for x in part.known[k]))
    assert len(answers) == 1
    single = mapped(tmp_path / "folder" / "y.npy")
    assert list(single.columns) == ["y"]


def test_a_long_table_and_its_arrays_are_the_same_units():
    text = """
    index g = 1:G
    index i = 1:J[g]
    global mu ~ Normal(0, 5)
    local z[g] ~ Normal(mu, 1)
    observed y[g,i] ~ Normal(z[g], 1)
    """
    g = np.random.default_rng(0)
    owner = np.repeat(np.arange(9), g.integers(1, 5, 9))
    shuffled = g.permutation(len(owner))
    names = np.array(list("qwertyuio"))
    frame = pd.DataFrame({"g": names[owner][shuffled], "y": g.normal(size=len(owner))})
    whole = bind(Model(text), frame)
    units = Units.of(Model(text), data_for(Model(text), frame), "g")
    part = units.take(np.array([1, 4, 8]))
    lengths = [int(k) for k in part.known["J"]]
    assert lengths == [int(whole.known["J"][k]) for k in (1, 4, 8)]
    chosen = np.isin(whole.tables["y"].points[:, 0], [2, 5, 9])
    np.testing.assert_array_equal(part.known["y"], whole.known["y"][chosen])


def test_a_batch_without_a_label_still_means_the_same_globals():
    kind = np.array([0, 0, 0, 0, 2, 2, 2, 1, 1, 1.0])
    data = {"kind": kind, "x": np.arange(10.0)}
    units = units_of(Model(KINDS), data)
    part = units.take(np.array([4, 5, 7]))
    np.testing.assert_array_equal(part.known["kind"], [2, 2, 1])
    assert part.tables["mu"].size == 3


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        (COUNTS, {"function": "table"}, "needs all data at once"),
        (COUNTS, {"batch": 0}, "at least one unit"),
        (COUNTS, {"inputs": ["y[n-1]", "y[n]"]}, "reaches other units"),
        (COUNTS, {"inputs": ["n", "y[n]"]}, "is the unit's number"),
        (COUNTS, {"inputs": ["mean(y)"]}, "reaches other units"),
        (COUNTS, {"holdout": 0.001}, "leaves one part empty"),
        (COUNTS, {"refine": 2}, "exclude each other"),
        (COUNTS.replace("Normal(mu, tau)", "Normal(mu + n, tau)"), {}, "position or number"),
    ],
)
def test_what_batches_cannot_do_is_refused(text, options, words):
    options = {"batch": 10, "function": "affine", "inputs": ["e[n]", "y[n]"], **options}
    with pytest.raises(InputError, match=words):
        measure(Model(text), counts(), **options)


def test_models_that_do_not_split_are_refused():
    with pytest.raises(InputError, match="does not split into units"):
        measure(load("local_level"), batch=10)
    for name in ("saw", "copper"):
        with pytest.raises(InputError, match="cannot be measured in batches"):
            measure_in_batches(units_of(load(name)), batch=10)


@pytest.mark.parametrize("name", ["plain.npz", "table.parquet"])
def test_a_number_that_is_none_is_found_in_whatever_batch_it_is(tmp_path, name):
    data = counts(50)
    data["e"][37] = np.nan
    np.savez(tmp_path / "plain.npz", **data)
    pd.DataFrame(data).to_parquet(tmp_path / "table.parquet")
    with pytest.raises(DataError, match="NaN"):
        measure(Model(COUNTS), tmp_path / name, function="constant", batch=10)


def test_held_out_units_are_judged_batch_by_batch():
    data = counts(60)
    found = measure(Model(COUNTS), data, function="affine", batch=20, holdout=0.25)
    fitted, held = units_of(Model(COUNTS), data).split(0.25, 0)
    whole = at_once(
        Model(COUNTS), fitted.take(np.arange(len(fitted))), inputs=["e[n]", "y[n]"],
        function="affine", holdout=held.take(np.arange(len(held))), evidence=False,
    )  # fmt: skip
    assert found.holdout["latents"] == whole.holdout["latents"] == 15
    assert found.holdout["gap"] == pytest.approx(whole.holdout["gap"], abs=1e-6)


LARGE = """
import json, resource, sys, numpy as np
from avi_theory import Model, measure
text, path, batch = sys.argv[1:]
measure(Model(text), path + "/small", function="affine", inputs="y[n]", batch=200)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = measure(Model(text), path + "/large", function="affine", inputs="y[n]", batch=int(batch))
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([before / 2**10, after / 2**10, found.fvi.status, found.avi.status, found.gap]))
"""
PLAIN = """
index n = 1:N
global mu ~ Normal(0, 5)
local z[n] ~ Normal(mu, 2)
observed y[n] ~ Normal(z[n], 1)
"""


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_a_million_units_in_bounded_memory(tmp_path):
    """Peak memory at 10⁶ units: what a batch needs, and tens of bytes a unit, no more."""
    for name, count in (("small", 1000), ("large", 1_000_000)):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "y.npy", np.random.default_rng(0).normal(size=count))
    run = subprocess.run(
        [sys.executable, "-c", LARGE, PLAIN, str(tmp_path), "20000"],
        capture_output=True, text=True, check=True, timeout=1000,
    )  # fmt: skip
    before, after, fvi, avi, gap = json.loads(run.stdout)
    assert fvi == avi == "converged" and gap == pytest.approx(0.0, abs=1e-4)
    assert after - before < 200, (before, after)
