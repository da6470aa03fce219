"""Every gallery density is lowered to its own value and gradient, in both floating types."""

from functools import lru_cache

import numpy as np
import pytest
import sympy
import torch

from avi_theory.gallery import gallery_names, load
from avi_theory.numeric.elbo import elbo_of
from avi_theory.numeric.lowering import Where
from avi_theory.spec import terms
from avi_theory.spec.grounding import ground

POINTS = 20


@lru_cache(maxsize=64)
def _compiled(expression, names):
    return sympy.lambdify(names, expression, [terms.numpy_functions(), "numpy"])


def _numpy(expression, env):
    """A ground expression in numpy, by lambdify."""
    names = tuple(sorted(env))
    return np.asarray(_compiled(expression, names)(*(env[k] for k in names)))


def _placed(slots, natural, count):
    """The value behind every placeholder; a category picks its entry."""
    env = {}
    for s in slots:
        value = s.values if s.values is not None else natural[s.name][s.positions]
        for chooser in s.selectors:
            value = np.moveaxis(np.asarray(value), 1, -1)
            at = np.asarray(env[str(chooser)]).astype(int)
            value = np.broadcast_to(value, (count, *value.shape[1:]))
            value = np.take_along_axis(value, at.reshape(-1, *[1] * (value.ndim - 1)), -1)[..., 0]
        env[str(s.symbol)] = value
    return env


def _by_numpy(factor, natural):
    """A ground factor's log density, summed over its instances."""
    env = _placed(factor.slots, natural, factor.count)
    for g in factor.sums:
        inner = _numpy(g.expression, _placed(g.slots, natural, len(g.segments)))
        inner = np.broadcast_to(inner, g.segments.shape)
        env[str(g.symbol)] = np.bincount(g.segments, inner, factor.count)
    if factor.kernel is not None:
        k = factor.kernel
        env[str(k.symbol)] = _numpy(k.expression, _placed(k.slots, natural, 1))
    value = _numpy(factor.expression, env)
    return float(np.broadcast_to(value, (factor.count, *value.shape[1:])).sum())


class Joint:
    """A bound model's log joint, by numpy from its ground factors, at values of u by variable."""

    def __init__(self, bound, families, categories):
        self.factors, self.families = ground(bound).factors, families
        self.categories = categories

    def __call__(self, u):
        natural = dict(self.categories)
        for name, x in u.items():
            f = self.families[name]
            natural[name] = np.exp(x) if f.chart == "exp" else x
        return sum(_by_numpy(factor, natural) for factor in self.factors)

    def slope(self, u, direction, h=1e-3):
        """The derivative along a direction: a central rule of fourth order."""
        at = [self({n: x + k * h * direction[n] for n, x in u.items()}) for k in (-2, -1, 1, 2)]
        return (8 * (at[2] - at[1]) - (at[3] - at[0])) / (12 * h)


def typical_point(model, elbo, seed):
    """Values of u, categories and a direction: typical ranges where the model states them."""
    g = np.random.default_rng(seed)
    u, categories, direction = {}, {}, {}
    for name, f in elbo.families.items():
        if f.discrete:
            categories[name] = g.integers(0, f.categories, f.points)
            continue
        shape = (f.points, f.dim) if f.vector else (f.points,)
        if not f.real:
            u[name] = g.dirichlet(np.ones(f.dim), f.points)
        elif name in model.typical:
            value = g.uniform(*(float(x) for x in model.typical[name]), size=shape)
            u[name] = np.log(value) if f.chart == "exp" else value
        else:
            u[name] = 0.3 * g.normal(size=shape)
        direction[name] = g.normal(size=u[name].shape) * (0.05 if not f.real else 1.0)
    return u, categories, direction


def lowered(elbo, u, categories):
    """The log joint and its gradient by variable, in torch."""
    where = elbo.where
    hidden = {n: where.tensor(x)[None].requires_grad_(True) for n, x in u.items()}
    drawn = {n: torch.as_tensor(x, device=where.device)[None] for n, x in categories.items()}
    parts = [f.log_density(hidden, drawn) for f in elbo.factors if "entropy" not in f.text]
    value = torch.stack([p[0] for p in parts]).sum()
    slopes = [None] * len(hidden)
    if hidden:
        slopes = torch.autograd.grad(value, list(hidden.values()), materialize_grads=True)
    gradient = {n: s[0].double().cpu().numpy() for n, s in zip(hidden, slopes, strict=True)}
    size = sum(abs(float(p.detach())) for p in parts)
    return float(value.detach()), gradient, size


def test_values_and_gradients_are_sympys(measurable, bound_of, elbo_at):
    """At a random typical point; lambdify's numpy value of each ground factor is the judge."""
    bound = bound_of(measurable, most=POINTS)
    elbo = elbo_at(bound)
    u, categories, direction = typical_point(load(measurable), elbo, seed=2)
    joint = Joint(bound, elbo.families, categories)
    value, gradient, size = lowered(elbo, u, categories)
    assert value == pytest.approx(joint(u), rel=1e-10)
    along = sum((gradient[n] * direction[n]).sum() for n in u)
    across = sum(np.abs(gradient[n] * direction[n]).sum() for n in u)
    assert along == pytest.approx(joint.slope(u, direction), abs=1e-7 * (1 + across + size))

    single = elbo_of(bound, Where(torch.device("cpu"), torch.float32))
    rough, rough_gradient, _ = lowered(single, u, categories)
    assert rough == pytest.approx(value, abs=3e-5 * (1 + size))
    for n in u:
        scale = np.abs(gradient[n]).max(initial=1.0)
        np.testing.assert_allclose(rough_gradient[n], gradient[n], atol=2e-3 * scale, err_msg=n)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_an_accelerator_gives_the_processors_values(bound_of, elbo_at, dtype):
    near = 1e-10 if dtype is torch.float64 else 3e-5
    for name in gallery_names():
        if load(name).networks:
            continue
        bound = bound_of(name, most=POINTS)
        elbo = elbo_at(bound)
        u, categories, _ = typical_point(load(name), elbo, seed=2)
        value, gradient, size = lowered(elbo, u, categories)
        there = elbo_of(bound, Where(torch.device("cuda"), dtype))
        other, slopes, _ = lowered(there, u, categories)
        assert other == pytest.approx(value, abs=near * (1 + size)), name
        for n in u:
            scale = np.abs(gradient[n]).max(initial=1.0)
            np.testing.assert_allclose(slopes[n], gradient[n], atol=100 * near * scale, err_msg=n)
