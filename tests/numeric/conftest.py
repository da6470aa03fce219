"""Gallery models bound to their data, and small independent oracles."""

import numpy as np
import pytest
import sympy
import torch

from avi_theory.gallery import data_path, gallery_names, load
from avi_theory.numeric.elbo import elbo_of
from avi_theory.numeric.lowering import Where
from avi_theory.spec import terms
from avi_theory.spec.bound import bind
from avi_theory.spec.simulate import simulate_bound

WHERE = Where(torch.device("cpu"), torch.float64)


HEAVY = {"coal_mining", "co2", "factorial_hmm", "mixture", "recessions", "switching", "topics"}
"""Ten seconds and more for two fits: left to the long run, where a test asks for both."""


def pytest_generate_tests(metafunc):
    if "measurable" in metafunc.fixturenames:
        names = [n for n in gallery_names() if not load(n).networks]
        both = "amortized" in metafunc.function.__name__
        metafunc.parametrize(
            "measurable",
            [pytest.param(n, marks=pytest.mark.long) if both and n in HEAVY else n for n in names],
        )


@pytest.fixture
def bound_of():
    """A gallery model (or any model) at its data or a simulation, made smaller by sizes.

    Improper globals are simulated at the middle of their typical range.
    """

    def make(model, data=None, most=None, **values):
        model = load(model) if isinstance(model, str) else model
        if most and len(model.sizes) == 1 and not values:
            (size,) = model.sizes
            values = {size: min(most, model.default_sizes.get(size, most))}
        model = model.with_values(**values)
        bound = bind(model, data_path(model) if data is None else data)
        if bound.has_data:
            return bound
        flat = [d.variable for d in model.densities if d.distribution == "Flat"]
        fixed = {name: sum(model.typical[name]) / 2 for name in flat}
        return simulate_bound(bind(model.with_values(**fixed)), seed=0).bound

    return make


@pytest.fixture
def elbo_at():
    return lambda bound, **options: elbo_of(bound, WHERE, **options)


@pytest.fixture
def gaussian_expectation():
    """E[expression] by a dense Gauss-Legendre rule on ±9 standard deviations per symbol."""

    def make(expression, symbols, values, nodes=400):
        x, weight = np.polynomial.legendre.leggauss(nodes)
        x, weight = 9 * x, 9 * weight * np.exp(-0.5 * (9 * x) ** 2) / np.sqrt(2 * np.pi)
        grid = np.meshgrid(*[x] * len(symbols), indexing="ij")
        total = weight
        for _ in symbols[1:]:
            total = np.multiply.outer(total, weight)
        others = sorted(expression.free_symbols - set(symbols), key=str)
        modules = [terms.numpy_functions(), "scipy", "numpy"]
        function = sympy.lambdify([*symbols, *others], expression, modules)
        at = [
            values[f"{s}_m"] + np.sqrt(values[f"{s}_v"]) * z
            for s, z in zip(symbols, grid, strict=True)
        ]
        return float((total * function(*at, *(values[str(s)] for s in others))).sum())

    return make


@pytest.fixture
def random_tables():
    """Parameter tables of plausible factors, from a seed."""

    def make(elbo, seed=0, scale=0.3):
        generator = torch.Generator().manual_seed(seed)
        return {
            name: scale * torch.randn(f.shape, generator=generator, dtype=torch.float64)
            for name, f in elbo.families.items()
        }

    return make


@pytest.fixture
def precision():
    """Λ and h of a linear-Gaussian ELBO, by evaluating its log density at long unit steps.

    Returns (Λ, h, names), latents in the order of the ELBO's families.
    """

    def make(elbo):
        shapes = {n: (f.points, f.dim) for n, f in elbo.families.items()}
        total = sum(p * d for p, d in shapes.values())

        def level(rows):
            values, at = {}, 0
            for name, (points, dim) in shapes.items():
                block = rows[:, at : at + points * dim]
                vector = elbo.families[name].vector
                values[name] = torch.as_tensor(block.reshape(-1, points, dim) if vector else block)
                at += points * dim
            return sum(f.log_density(values, {}) for f in elbo.factors).numpy()

        zero = level(np.zeros((1, total)))[0]
        step = 1e3 * np.eye(total)
        plus, minus = level(step), level(-step)
        h = (plus - minus) / 2e3
        i, j = np.triu_indices(total, 1)
        both = level(step[i] + step[j])
        lam = np.diag(-(plus + minus - 2 * zero) / 1e6)
        lam[i, j] = lam[j, i] = -(both - plus[i] - plus[j] + zero) / 1e6
        return lam, h, zero

    return make
