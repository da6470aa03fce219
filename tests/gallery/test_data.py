"""The shipped data are what their sources say."""

from __future__ import annotations

import hashlib
import importlib.util
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "models" / "data"
FILES = sorted(p.stem for p in DATA.glob("*.csv"))
ARRAYS = sorted(p.stem for p in DATA.glob("*.npz"))


def _maker():
    spec = importlib.util.spec_from_file_location("gallery_data", ROOT / "tools/gallery_data.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _column(name: str, column: str) -> np.ndarray:
    return pd.read_csv(DATA / f"{name}.csv")[column].to_numpy()


@pytest.mark.parametrize("name", FILES)
def test_file_is_what_its_recipe_makes(name):
    assert (DATA / f"{name}.csv").read_text(encoding="utf-8") == _maker().text(name)


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_are_what_their_recipe_makes(name):
    made = _maker().ARRAYS[name]()
    with np.load(DATA / f"{name}.npz", allow_pickle=False) as shipped:
        assert shipped.files == list(made)
        for key, values in made.items():
            np.testing.assert_array_equal(shipped[key], values)
            assert shipped[key].dtype == values.dtype


def test_every_file_has_a_recipe_and_a_model():
    named = [
        tomllib.loads(p.read_text("utf-8")).get("data", {})
        for p in (ROOT / "models").glob("*.toml")
    ]
    used = sorted(Path(d["file"]).stem for d in named if "file" in d)
    maker = _maker()
    assert (sorted(maker.FILES), sorted(maker.ARRAYS)) == (FILES, ARRAYS)
    assert sorted([*FILES, *ARRAYS]) == used


def test_nile_equals_statsmodels_copy():
    from statsmodels.datasets import nile

    copy = nile.load_pandas().data
    assert list(copy["year"]) == list(range(1871, 1971))
    np.testing.assert_array_equal(_column("local_level", "x"), copy["volume"])


def test_cancer_equals_statsmodels_copy():
    from statsmodels.datasets import cancer

    copy = cancer.load_pandas().data
    np.testing.assert_array_equal(_column("poisson_exposure", "y"), copy["cancer"])
    np.testing.assert_array_equal(_column("poisson_exposure", "e"), copy["population"])


def test_growth_equals_statsmodels_copy():
    from statsmodels.datasets import macrodata

    growth = 100 * np.log(macrodata.load_pandas().data["realgdp"]).diff().dropna()
    np.testing.assert_allclose(
        _column("stochastic_volatility", "x"), growth - growth.mean(), atol=6e-7
    )


def test_iris_equals_scikit_learn_copy():
    from sklearn.datasets import load_iris

    np.testing.assert_array_equal(_column("mixture", "x"), load_iris().data[:, 2])


def test_batting_totals():
    table = pd.read_csv(DATA / "logistic_groups.csv")
    totals = table.groupby("g")["y"].agg(["sum", "count"])
    assert (totals["count"] == 45).all()
    assert totals["sum"].sum() == 215
    assert round(table["y"].mean(), 3) == 0.265  # the grand mean that the reference shrinks to


def test_eight_schools_pooled_estimate():
    y, s = _column("eight_schools", "y"), _column("eight_schools", "s")
    weight = 1 / s**2.0
    assert round(float(weight @ y / weight.sum()), 1) == 7.7  # as Bayesian Data Analysis reports
    assert round(float(weight.sum() ** -0.5), 1) == 4.1


def test_saw_is_the_published_series_bit_by_bit():
    import torch

    generator = torch.Generator().manual_seed(2012)
    x = torch.zeros(1001)
    for n in range(1000):
        torch.randn(1, generator=generator)
        x[n + 1] = torch.randn(1, generator=generator)[0] + 0.75 * (3.4159 + x[n])
    shipped = _column("saw", "x").astype(np.float32)
    np.testing.assert_array_equal(shipped, x[1:].numpy())
    digest = hashlib.sha256(shipped.astype("<f4").tobytes()).hexdigest()
    assert digest == "016104ce9b349b388b18691b7ac452ab0e867cbb841d36fc043a8fbd83f05168"


def test_saw_has_the_published_optimum():
    """-ELBO of factorized inference with a flat theta, and the published loss without constants."""
    x = np.concatenate([[0.0], _column("saw", "x")])
    before, after, a, n = x[:-1], x[1:], 0.75, 1000
    # Precision of (theta, z): theta is tied to every z, no z to another.
    diagonal = np.full(n, 1 + a**2)
    h = before + a * after
    schur = n * a**2 - n * a**4 / (1 + a**2)
    theta = (a * after.sum() - a**2 * (h / diagonal).sum()) / schur
    z = (h - a**2 * theta) / diagonal
    residual = ((z - before) ** 2).sum() + ((after - a * (theta + z)) ** 2).sum()
    energy = n * np.log(2 * np.pi) + residual / 2 + (n + 1) / 2
    entropy = (n + 1) / 2 * np.log(2 * np.pi * np.e) - np.log(diagonal).sum() / 2
    entropy -= np.log(n * a**2) / 2
    loss = energy - entropy
    assert loss == pytest.approx(1471.034, abs=1e-3)
    assert loss - (n - 1) / 2 * np.log(2 * np.pi) == pytest.approx(553.014, abs=1e-3)


def test_linear_has_the_published_design():
    x = _column("linear", "x")
    assert x.shape == (10_000,)
    assert x.std() == pytest.approx(np.hypot(1.155, 2.43), rel=0.02)


def test_rats_have_the_published_line():
    """Least squares through all 150 weights: the centre of the published posterior."""
    table = pd.read_csv(DATA / "rats.csv")
    assert table.groupby("n").size().tolist() == [5] * 30
    age = np.array([8, 15, 22, 29, 36])[table["j"]]
    slope, intercept = np.polyfit(age, table["y"], 1)
    assert round(slope, 2) == 6.19
    assert round(intercept, 1) == 106.6


def test_coagulation_means():
    table = pd.read_csv(DATA / "coagulation.csv").groupby("g")["y"].agg(["mean", "count"])
    assert table["mean"].tolist() == [61, 66, 68, 61]
    assert table["count"].tolist() == [4, 6, 6, 8]


def test_law_school_totals():
    """The published numbers of right answers among the thousand, and a tenth of the candidates."""
    counts = np.array([int(c) for c in _maker().LSAT.split()])
    right = [int(counts[np.arange(32) >> (5 - k) & 1 == 1].sum()) for k in range(1, 6)]
    assert counts.sum() == 1000
    assert right == [924, 709, 553, 763, 870]
    shipped = pd.read_csv(DATA / "item_response.csv").groupby("item")["y"].agg(["sum", "count"])
    assert (shipped["count"] == 100).all()
    assert np.abs(shipped["sum"] - np.array(right) / 10).max() < 2


def test_strikes_equal_statsmodels_copy():
    from statsmodels.datasets import strikes

    copy = strikes.load_pandas().data
    np.testing.assert_allclose(_column("strikes", "y"), np.log(copy["duration"]), atol=6e-7)
    np.testing.assert_array_equal(_column("strikes", "u"), copy["iprod"])


def test_coal_mining_totals():
    """191 disasters in 112 years."""
    counts = _column("coal_mining", "y")
    assert (len(counts), counts.sum()) == (112, 191)


def test_newcomb_moments():
    x = _column("newcomb", "x")
    assert (len(x), round(x.mean(), 1)) == (66, 26.2)
    assert sorted(x)[:2] == [-44, -2]
    assert x.std(ddof=1) == pytest.approx(10.8, abs=0.06)


def test_pump_totals():
    """75 failures; the crude rates span 0.053 to 2.1 a thousand hours, as published."""
    t, x = _column("pumps", "t"), _column("pumps", "x")
    assert (len(x), x.sum()) == (10, 75)
    np.testing.assert_allclose((x / t)[[0, -1]], [0.053, 2.095], atol=1e-3)


def test_carbon_dioxide_equals_statsmodels_copy():
    from statsmodels.datasets import co2

    copy = co2.load_pandas().data["co2"].to_numpy()[:110]
    np.testing.assert_array_equal(_column("co2", "x"), copy)
    assert np.isnan(copy).sum() == 19


def test_copper_equals_statsmodels_copy():
    from statsmodels.datasets import copper

    copy = copper.load_pandas().data["WORLDCONSUMPTION"] / 1000
    np.testing.assert_allclose(_column("copper", "x"), copy, atol=1e-9)


def test_inflation_and_output_equal_statsmodels_copy():
    from statsmodels.datasets import macrodata

    copy = macrodata.load_pandas().data
    np.testing.assert_array_equal(_column("inflation", "x"), copy["infl"][1:])
    assert copy["infl"][0] == 0  # the edge value that the model gives
    growth = 100 * np.log(copy["realgdp"]).diff().dropna()
    np.testing.assert_allclose(_column("recessions", "x"), growth, atol=6e-7)


def test_crime_equals_statsmodels_copy():
    from statsmodels.datasets import statecrime

    copy = statecrime.load_pandas().data
    for column, source in (("s", copy["urban"]), ("y", np.log(copy["violent"]))):
        shipped = _column("gaussian_process", column)
        np.testing.assert_allclose(
            shipped, (source - source.mean()) / source.std(ddof=0), atol=1e-6
        )
    assert len(set(_column("gaussian_process", "s"))) == 51  # the covariance is regular


def test_iris_species_and_digit_equal_scikit_learn_copies():
    from sklearn.datasets import load_digits, load_iris

    np.testing.assert_array_equal(_column("varieties", "kind"), load_iris().target + 1)
    np.testing.assert_array_equal(_column("varieties", "x"), load_iris().data[:, 2])
    pixels = load_digits().images[0].ravel()
    np.testing.assert_array_equal(_column("lattice", "x"), pixels >= 8)
