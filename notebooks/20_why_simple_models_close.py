# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Why simple hierarchical models close the gap
#
# Two hundred latents, each fitted with a factor of its own: four hundred free numbers. Look at where
# they end.

# %%
import matplotlib.pyplot as plt
import numpy as np

from avi_theory import check, compare, load, measure, predict
from avi_theory.figures import AVI, FVI, STYLE

plt.rcParams.update(STYLE)

# %%
linear = load("linear")
x = np.random.default_rng(20).normal(0.5, 2.7, 200)
fitted = measure(linear, {"x": x}, function="affine")
posterior = fitted.posterior()
mean = np.array([posterior[f"z[{n}]"]["mean"] for n in range(1, 201)])

# %%
grid = np.array([x.min(), x.max()])
figure, axes = plt.subplots(figsize=(5.2, 3.4), layout="constrained")
axes.plot(
    x, mean, "o", color=FVI, markersize=4, markerfacecolor="none", label="F-VI, 200 free factors"
)
axes.plot(grid, np.interp(grid, np.sort(x), np.sort(mean)), color=AVI, label="one straight line")
axes.set_xlabel("observation $x_n$ (units of $x$)")
axes.set_ylabel("optimal mean of $q(z_n)$ (units of $z$)")
_ = axes.legend(loc="upper left")

# %% [markdown]
# Nobody told the factors to lie on a line. The model did:
# $z_n \sim N(0, 1)$, $x_n \sim N(\theta + \tau z_n, \sigma)$.
#
# ## Derive the line by hand
#
# Fix $q(\theta)$. No two latents meet in one factor of the density, so the ELBO is a sum,
#
# $$\mathrm{ELBO} = A(q_0) + \sum_n L(\nu_n; q_0, x_n),$$
#
# and every term is the *same* function $L$ with another $x_n$. The best $\nu_n$ is therefore a function of
# $x_n$. For this model the part of $\log p$ that holds $z_n$, in expectation over θ, is
#
# $$-\tfrac12 z_n^2 - \tfrac{1}{2\sigma^2}\left(x_n - \mathrm{E}\theta - \tau z_n\right)^2 + \text{const},$$
#
# a quadratic: precision $1 + \tau^2/\sigma^2$, and mean $\tau(x_n - \mathrm{E}\theta)/(\sigma^2+\tau^2)$.

# %%
tau, sigma = 1.155, 2.43


def f(observation):
    return tau / (sigma**2 + tau**2) * (observation - posterior["theta"]["mean"])


by_hand = float(np.abs(f(x) - mean).max())
by_hand

# %% [markdown]
# ## See it found
#
# `check` derives the same formula from the text of the model, with its class (affine) and without data.

# %%
factor = check(linear).locals["z"].optimal_factor
print(factor.family, factor.function_class)
print(factor.text)

# %% [markdown]
# ## The price of less
#
# A class that holds $f$ loses nothing. A class that does not loses what theory says: the best constant costs
# $\tfrac12\tau^2\sum_n(x_n-\bar x)^2 / (\sigma^2(\sigma^2+\tau^2))$ nats.

# %%
formula = 0.5 * tau**2 * np.sum((x - x.mean()) ** 2) / (sigma**2 * (sigma**2 + tau**2))
constant = compare(linear, {"x": x}, function="constant", inputs=[])
constant.plot()

# %%
told = predict(linear, {"x": x}, function="constant", inputs=[]).gap
print(
    f"by hand {formula:.6f}, predicted {told:.6f}, measured {constant.amortization.measured:.6f} nats"
)

# %% [markdown]
# ## Exercise 1
#
# Ten pumps fail $x_n \sim \mathrm{Poisson}(r_n t_n)$ times in known times $t_n$, with
# $r_n \sim \mathrm{Gamma}(a, b)$ and unknown a, b. Derive the optimal factor of $r_n$ before you
# run the next cell. Is $x_n$ enough of an input?
#
# <details><summary>Solution</summary>
#
# $\log p$ holds $(a - 1 + x_n)\log r_n - (b + t_n) r_n$, in expectation over a and b. That is a Gamma with
# shape $\mathrm{E}a + x_n$ and rate $\mathrm{E}b + t_n$. The time is an input too: two pumps with equal failures and
# different times have different optima.
# </details>

# %%
pumps = check(load("pumps"))
print(pumps.locals["r"].optimal_factor.text)

# %% [markdown]
# ## Exercise 2
#
# Give the linear model a second layer: θ itself is drawn for each of ten groups, and the groups share a mean.
# Which latents are local now, and does the argument above still hold?
#
# <details><summary>Solution</summary>
#
# Read a group with its θ as one latent of its unit. Units meet only in the shared mean, a global, so the ELBO splits
# over groups and f sees the whole group: `check` answers `component`. A function of the single observation is not
# enough, since the optimum of $z$ depends on its group's θ.
# </details>
#
# ## The lesson
#
# If no two latents meet in a factor of the density, the ELBO splits, and the optimum is a function, for every data
# set. It can be derived, found, and reached.

# %%
assert by_hand < 1e-6
assert factor.function_class == "affine"
assert abs(fitted.gap) < 1e-6
assert abs(told - formula) < 1e-6
assert abs(constant.amortization.measured - formula) < 1e-6
