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


def test_every_file_has_a_recipe_and_a_model():
    named = [
        tomllib.loads(p.read_text("utf-8")).get("data", {})
        for p in (ROOT / "models").glob("*.toml")
    ]
    used = sorted(Path(d["file"]).stem for d in named if "file" in d)
    assert sorted(_maker().FILES) == FILES == used


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
