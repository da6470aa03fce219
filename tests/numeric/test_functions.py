"""Laws of inference functions: masks, padding, order, shifts; every registered one is found."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from avi_theory import InputError, Model
from avi_theory.gallery import load
from avi_theory.numeric import load_measurement, measure, parameters
from avi_theory.numeric.families import Family
from avi_theory.numeric.functions import FUNCTIONS, function_named
from avi_theory.numeric.inputs import Sight
from avi_theory.numeric.layout import Layout
from avi_theory.numeric.lowering import Where
from avi_theory.numeric.nets import Dense, Modulated
from avi_theory.numeric.nets.recurrent import scan
from avi_theory.numeric.parameters import Amortized
from avi_theory.numeric.solve.gauss_newton import Gram
from avi_theory.spec.bound import bind
from avi_theory.spec.simulate import simulate_bound

WHERE = Where(torch.device("cpu"), torch.float64)
SERIES = """
index s = 1:S
index t = 1:T
given a[s,t]
local z[s,1] ~ Normal(0, 1)
local z[s,t] ~ Normal(0.8*z[s,t-1], 1) for t in 2:T
observed x[s,t] ~ Normal(a[s,t]*z[s,t], 1) missing
"""
GROUPS = """
index g = 1:G
given I[g]
index i = 1:I[g]
global mu ~ Normal(0, 5)
local z[g] ~ Normal(mu, 1)
observed y[g,i] ~ Normal(z[g], 1)
"""
NAMES = {kind: kind + entry.example for kind, entry in FUNCTIONS.items()}
SMALL = {"set": "set:6", "recurrent": "recurrent:3x3", "attention": "attention:4x4",
         "conv": "conv:1:4x4", "hyper": "hyper:4x4", "mlp": "mlp:6", "gp": "gp:5",
         "polynomial": "polynomial:1"}  # fmt: skip
MASKED = [k for k, e in FUNCTIONS.items() if e.view == "masked"]
WEIGHED = [k for k in FUNCTIONS if k not in {"constant", "affine", "polynomial", "table"}]


def series(units=3, length=6, holes=0.0, seed=0):
    g = np.random.default_rng(seed)
    x = g.normal(size=(units, length))
    return {"x": np.where(g.random(x.shape) < holes, np.nan, x), "a": g.uniform(1, 2, x.shape)}


def sight(kind, data, inputs=("x[s,:]", "a[s,:]")):
    bound = bind(Model(SERIES), data)
    return function_named(SMALL.get(kind, kind)).look(bound, bound.model.variables["z"], inputs)


def built(kind, sees, family=None, seed=0):
    family = family or Family("z", "Normal", len(sees.fitted))
    name = function_named(SMALL.get(kind, kind))
    return name.build(family, sees.fitted, sees.layout, WHERE, seed)


def weights(function, seed=0):
    """Parameters at which every part of a function matters."""
    noise = torch.randn(function.size, generator=torch.Generator().manual_seed(seed))
    return 0.5 * noise.double()


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_the_example_of_every_kind_can_be_built_and_starts_near_a_table(kind):
    sees = sight(kind, series())
    function = built(NAMES[kind], sees)
    wanted = torch.zeros(len(sees.fitted), 1, 2, dtype=torch.float64)
    wanted[..., 0] = 3.0
    found = function.table(function.start(wanted))
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=0)
    new = function.apply(function.start(wanted), sees.fitted)
    torch.testing.assert_close(new, found, atol=1e-10, rtol=0)


@pytest.mark.parametrize("kind", WEIGHED)
def test_jacobians_are_derivatives(kind):
    sees = sight(kind, series(2, 4))
    twice = replace(
        sees, rows=sees.rows[[3, *range(8), 0, 3]], complete=np.ones(11, bool)
    )  # three points see what others see
    for family in (Family("z", "Normal", 11), Family("z", "Categorical", 11, categories=3)):
        function = built(kind, twice, family)
        function.start(torch.ones(11, 1, 2, dtype=torch.float64))
        p = weights(function)
        wanted = torch.autograd.functional.jacobian(function.table, p)
        assert len(function.cases) == 8
        each, some = function.jacobian(p), torch.tensor([5, 2, 6, 7])
        found = function.cases.spread(each).reshape(wanted.shape)
        torch.testing.assert_close(found, wanted, atol=1e-10, rtol=0)
        torch.testing.assert_close(function.jacobian(p, some), each[some], atol=1e-12, rtol=0)
        torch.testing.assert_close(
            function.table(p), function.apply(p, twice.rows), atol=1e-12, rtol=0
        )


def test_a_networks_curvature_counts_every_point_that_sees_a_case():
    """JᵀFJ from the distinct rows equals that from all rows."""
    rows = np.array([[0.0], [1.0], [0.0], [2.0], [1.0], [0.0]])
    family = Family("z", "Normal", 6)
    seen = Sight(("x[n]",), rows, np.ones(6, bool), Layout())
    function = function_named("mlp:3").build(family, rows, Layout(), WHERE, 0)
    block, p = Amortized(family, function, seen, WHERE), weights(function)
    metric = torch.rand(6, 1, 2, dtype=torch.float64)
    wide = torch.autograd.functional.jacobian(function.table, p).reshape(12, -1)
    lifted = wide.T @ (metric.reshape(-1, 1) * wide)
    lifted += 0.1 * lifted.diagonal().mean() * torch.eye(function.size)
    (gram,) = block.curvature(p, metric)
    inside = wide.T @ torch.ones(12, dtype=torch.float64)
    wanted = torch.linalg.solve(lifted, inside)
    torch.testing.assert_close(gram.solve(inside, 0.1), wanted)
    for own in (gram, Gram(wide)):  # few rows, then many
        half = torch.stack([own.widen(e, 0.1) for e in torch.eye(own.size).double()])
        torch.testing.assert_close(half.T @ (half @ inside), own.solve(inside, 0.1))


def test_a_metric_from_a_few_points_leads_to_the_same_optimum(monkeypatch):
    """A curvature that sees 4 of 30 points slows the network down, but does not move its goal."""
    text = GROUPS.replace("given I[g]\nindex i = 1:I[g]", "").replace("[g,i]", "[g]")
    data = {"y": np.random.default_rng(0).normal(size=30)}
    monkeypatch.setattr(parameters, "MOST_SEEN", 4)
    monkeypatch.setattr(parameters, "MOST_STEPPED", 0)
    found = measure(Model(text), data, function="mlp:4", inputs=["y[g]"], evidence=False)
    assert found.avi.status == "converged" and found.gap < 1e-5


@pytest.mark.parametrize("kind", WEIGHED)
def test_the_gradient_at_the_start_is_not_zero(kind):
    sees = sight(kind, series())
    function = built(kind, sees)
    p = function.start(torch.randn(18, 1, 2, dtype=torch.float64)).requires_grad_(True)
    (g,) = torch.autograd.grad((function.table(p) ** 2).sum(), p)
    assert float(g.abs().max()) > 1e-6


@pytest.mark.parametrize("kind", MASKED)
def test_every_pattern_of_missing_cells_has_an_answer(kind):
    """Masked functions serve every point; what stands in an empty cell does not matter."""
    full = sight(kind, series())
    function = built(kind, full)
    p = weights(function)
    for holes, seed in ((0.3, 1), (0.9, 2), (1.1, 3)):
        sees = sight(kind, series(holes=holes, seed=seed))
        assert sees.complete.all()
        found = function.apply(p, sees.rows)
        assert bool(torch.isfinite(found).all())
        fixed, own, tokens = sees.layout.split(sees.rows)
        value, mark = sees.layout.axes + 1, sees.layout.axes + 2
        noise = np.where(tokens[..., mark] == 0, 1e3, 0.0)
        tokens = tokens.copy()
        tokens[..., value] += noise
        again = function.apply(p, sees.layout.joined(fixed, own, tokens))
        torch.testing.assert_close(again, found, atol=1e-12, rtol=0)


@pytest.mark.parametrize("kind", MASKED)
def test_padding_changes_nothing(kind):
    """Places that do not exist, right after the last one that does."""
    sees = sight(kind, series(holes=0.2))
    function = built(kind, sees)
    p = weights(function)
    fixed, own, tokens = sees.layout.split(sees.rows)
    more = np.random.default_rng(0).normal(size=(len(own), 3, sees.layout.each))
    more[..., 0] = 0.0
    more[..., 1] = 0.0
    more[..., 2 : 1 + sees.layout.axes] = 7 + np.arange(3)[:, None]
    padded = sees.layout.joined(
        fixed, np.concatenate([own, np.ones((len(own), 3))], 1), np.concatenate([tokens, more], 1)
    )
    torch.testing.assert_close(
        function.apply(p, padded), function.apply(p, sees.rows), atol=1e-12, rtol=0
    )


def shuffled(sees, seed=0):
    fixed, own, tokens = sees.layout.split(sees.rows)
    order = np.random.default_rng(seed).permutation(own.shape[1])
    places = slice(1, 1 + sees.layout.axes)
    moved = tokens[:, order].copy()
    moved[..., places] = tokens[..., places]
    return sees.layout.joined(fixed, own[:, order], moved)


def test_a_set_has_no_order_and_a_series_has():
    for kind in MASKED:
        sees = sight(kind, series())
        function = built(kind, sees)
        p = weights(function)
        apart = (function.apply(p, shuffled(sees)) - function.apply(p, sees.rows)).abs().max()
        assert (float(apart) < 1e-12) == (kind == "set"), kind


def test_a_set_treats_a_missing_member_as_absent():
    """Its size is among what it reads, so one member less is not one member of value zero."""
    sees = sight("set", series(), ["x[s,:]"])
    function = built("set", sees)
    p = weights(function)
    gone = series()
    gone["x"][:, -1] = np.nan
    shorter = {k: v[:, :-1] for k, v in series().items()}
    found = function.apply(p, sight("set", gone, ["x[s,:]"]).rows).reshape(3, 6, -1)
    wanted = function.apply(p, sight("set", shorter, ["x[s,:]"]).rows).reshape(3, 5, -1)
    torch.testing.assert_close(found[:, :-1], wanted, atol=1e-12, rtol=0)


def test_a_convolution_moves_with_the_series():
    """Inside, and with a window just as with the whole row."""
    data = series(1, 14)
    moved = {k: np.roll(v, 1, axis=1) for k, v in data.items()}
    window = [f"{v}[s,t{o}]" for v in "xa" for o in ("-2", "-1", "", "+1", "+2")]
    for inputs in (["x[s,:]", "a[s,:]"], window):
        sees = sight("conv", data, inputs)
        function = built("conv", sees)
        p = weights(function)
        here, there = (function.apply(p, sight("conv", d, inputs).rows) for d in (data, moved))
        torch.testing.assert_close(there[3:-2], here[2:-3], atol=1e-12, rtol=0)
        assert float((there[:1] - here[-1:]).abs().max()) > 1e-3  # the edges differ


def test_a_convolution_sees_no_farther_than_its_layers():
    data = series(1, 14)
    other = {k: v.copy() for k, v in data.items()}
    other["x"][0, 10] += 1.0
    sees = sight("conv", data)
    function = built("conv", sees)
    p = weights(function)
    apart = (function.apply(p, sight("conv", other).rows) - function.apply(p, sees.rows)).abs()
    touched = np.flatnonzero(apart.sum((1, 2)).numpy() > 1e-12)
    assert touched.min() == 8 and touched.max() == 12  # two layers of one neighbour each


def test_covariates_stand_beside_their_observations():
    """Swapping two members with their covariates changes nothing; without them, it does."""
    text = """
    index m = 1:M
    index p = 1:2
    given person[m] in p, d[m]
    local theta[p] ~ Normal(0, 1)
    observed y[m] ~ Normal(theta[person[m]] - d[m], 1)
    """
    inputs = ["y[m: person[m]=p]", "d[m: person[m]=p]"]
    data = {"person": np.array([1, 1, 2, 2, 1]), "d": np.array([0.1, 0.9, 0.3, 0.2, 0.5]),
            "y": np.array([1.0, 2.0, -1.0, 0.0, 3.0])}  # fmt: skip

    def rows(**changed):
        bound = bind(Model(text), {**data, **changed})
        return function_named("set:6").look(bound, bound.model.variables["theta"], inputs)

    sees = rows()
    function = built("set", sees)
    p = weights(function)
    first = function.apply(p, sees.rows)
    swapped = {k: data[k][[1, 0, 2, 3, 4]] for k in ("d", "y")}
    torch.testing.assert_close(function.apply(p, rows(**swapped).rows), first)
    alone = function.apply(p, rows(y=swapped["y"]).rows)
    assert float((alone[0] - first[0]).abs().max()) > 1e-3


def test_instance_adaptation_starts_as_the_plain_network():
    x = torch.randn(5, 3, dtype=torch.float64)
    net = Modulated(3, (4, 6), torch.Generator().manual_seed(1))
    plain = Dense(3, (4, 6), torch.Generator().manual_seed(1))
    torch.testing.assert_close(net(x), plain(x))
    torch.nn.init.ones_(net.modulation.weight)
    assert float((net(x) - plain(x)).detach().abs().max()) > 1e-2


def test_recurrences_are_scanned_as_a_loop_would():
    g = torch.Generator().manual_seed(0)
    for length in (1, 2, 7, 16):
        a, b = (torch.rand(3, length, 2, generator=g, dtype=torch.float64) for _ in range(2))
        h, wanted = torch.zeros(3, 2, dtype=torch.float64), []
        for k in range(length):
            h = a[:, k] * h + b[:, k]
            wanted.append(h)
        torch.testing.assert_close(scan(a, b, 1), torch.stack(wanted, 1))


def test_flat_functions_see_pairs_and_their_own_member():
    """Equal sums of the parts, different pairs: two persons need two rows of a table."""
    text = """
    index m = 1:M
    index p = 1:P
    given person[m] in p, d[m]
    local theta[p] ~ Normal(0, 1)
    observed y[m] ~ Bernoulli(logit=exp(d[m])*theta[person[m]])
    """
    data = {"person": np.array([1, 1, 2, 2, 3, 3]), "d": np.array([0.0, 2, 0, 2, 0, 2]),
            "y": np.array([0, 1, 1, 0, 1, 1])}  # fmt: skip
    inputs = ["d[m: person[m]=p]", "y[m: person[m]=p]"]
    found = measure(Model(text), data, inputs=inputs, function="table", evidence=False)
    assert found.gap == pytest.approx(0.0, abs=1e-9)
    words = """
    index d = 1:D
    index i = 1:I
    given doc[i] in d
    local theta[d] : R[2] ~ Dirichlet([0.6, 0.6])
    local c[i] ~ Categorical(theta[doc[i]])
    observed x[i] ~ Normal(c[i], 0.7)
    """
    data = {"doc": np.array([1, 1, 1, 2, 2]), "x": np.array([0.1, 1.2, 0.4, 0.1, 0.2])}
    inputs = {"theta": ["x[i: doc[i]=d]"], "c": ["x[i': doc[i']=doc[i]]"]}
    for function in ("table", "set:4"):
        found = measure(Model(words), data, inputs=inputs, function=function, evidence=False)
        assert found.gap < 1e-6, function


def test_layouts_survive_a_file():
    for layout in (Layout(), Layout((1, 3), (2,), 2), Layout((), (1, 1, 4), 3)):
        assert Layout.from_array(layout.to_array()) == layout


def ragged(groups, most=5, seed=0):
    g = np.random.default_rng(seed)
    sizes = g.integers(1, most + 1, groups)
    sizes[0] = most
    owner = np.repeat(np.arange(groups), sizes)
    z = g.normal(size=groups)
    inner = np.concatenate([np.arange(k) for k in sizes]) + 1
    return {"g": owner + 1, "i": inner, "y": z[owner] + g.normal(size=len(owner))}


def test_sets_of_any_length_are_served():
    """Fitted on groups of one to five, applied to groups of up to seven: mean and sd follow n."""
    fitted = pd.DataFrame(ragged(40))
    found = measure(Model(GROUPS), fitted, inputs=["y[g,:]"], function="set:8", evidence=False)
    assert found.avi.edges == () and found.gap < 1e-4 * found.latents
    new = found.infer(pd.DataFrame(ragged(12, most=7, seed=1)))
    n = pd.DataFrame(ragged(12, most=7, seed=1)).groupby("g").y.count().to_numpy()
    np.testing.assert_allclose(new.sd, 1 / np.sqrt(1 + n), atol=0.06)


@pytest.mark.parametrize("kind", [k for k in WEIGHED if k != "mlp"])
def test_saving_and_loading_keep_the_function(kind, tmp_path):
    data = series(4, 3)
    found = measure(
        Model(SERIES), data, inputs=["x[s,:]", "a[s,:]"], function=SMALL[kind], evidence=False,
        iterations=4,
    )  # fmt: skip
    again = load_measurement(found.save(tmp_path / "kept.safetensors"))
    assert again.to_dict() == found.to_dict()
    new = series(4, 3, seed=5)
    np.testing.assert_allclose(again.infer(new).mean, found.infer(new).mean, rtol=1e-10)


def test_inputs_that_no_point_has_are_named():
    data = series(2, 4)
    data["x"][:, 0] = np.nan
    with pytest.raises(InputError, match="set:32"):
        measure(Model(SERIES), data, inputs=["x[s,:]"], function="mlp:4")


def test_a_flat_network_refuses_groups_of_other_lengths():
    data = pd.DataFrame(ragged(20))
    found = measure(Model(GROUPS), data, function="mlp:2", inputs=["y[g,:]"], iterations=2)
    with pytest.raises(InputError, match=r"function of z was fitted on .* set:32"):
        found.infer(pd.DataFrame(ragged(12, most=7, seed=1)))


@pytest.mark.parametrize("seed", [0, 1])
def test_attention_over_a_single_series_reaches_the_optimum_in_few_steps(seed):
    """With a single head, ten steps of Gauss-Newton and sixty of L-BFGS leave 1e-4 nats."""
    model = load("random_walk")
    bound = simulate_bound(bind(model), seed=0).bound
    found = measure(
        model, bound, function="attention:16x16", inputs=["x[:]"], seed=seed, iterations=24,
        evidence=False,
    )  # fmt: skip
    assert found.avi.status == "converged", found.avi.message
    assert found.avi.iterations <= 12
    assert found.gap < 1e-6
