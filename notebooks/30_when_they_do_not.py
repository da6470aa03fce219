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
# # When they do not: chains, witnesses, and the price of a window
#
# One observation of a random walk is lifted by one. How far does the news travel?

# %%
import matplotlib.pyplot as plt
import numpy as np

from avi_theory import Model, check, load, measure, predict, smallest_inputs
from avi_theory.figures import AVI, FVI, GREY, STYLE

plt.rcParams.update(STYLE)

# %%
walk = load("random_walk")
spike = np.zeros(31)
spike[15] = 1.0
fitted = measure(walk, {"x": spike}, window=1, function="affine")
posterior = fitted.posterior()
mean = np.array([posterior[f"z[{n}]"]["mean"] for n in range(1, 32)])
distance = np.arange(-15, 16)
rho = (3 - np.sqrt(5)) / 2

# %%
figure, axes = plt.subplots(figsize=(5.6, 3.2), layout="constrained")
axes.semilogy(distance, mean, "o", color=FVI, label="optimal mean of $q(z_n)$")
axes.semilogy(
    distance,
    mean[15] * rho ** np.abs(distance),
    color=GREY,
    linestyle="--",
    label=r"slope $\rho = 0.382$ per step",
)
axes.set_xlabel("distance from the spike (positions)")
axes.set_ylabel("optimal mean (units of $z$)")
_ = axes.legend(loc="lower center")

# %% [markdown]
# Thirty of the thirty-one observations are 0, and no two distances from the spike have the same optimum. A
# function of $x_n$ alone would have to give one value for all of them. A function of a window of width
# $2k+1$ fares no better: outside $k$ positions from the spike it still sees only zeros.
#
# ## Where ρ comes from
#
# The precision of the posterior has 3 on the diagonal (one step in, one step out, one observation) and $-1$ beside
# it. Away from the spike $3\nu_n = \nu_{n-1} + \nu_{n+1}$; with $\nu_n \propto \rho^{|n|}$ this is $\rho + 1/\rho = 3$.

# %%
print(rho, rho + 1 / rho)

# %% [markdown]
# ## The witness
#
# `check` does not only say no. It hands over two positions with equal inputs and different optima, in exact
# fractions, which anyone can verify.

# %%
report = check(walk)
print(report.witness.how)
report.plot()

# %% [markdown]
# ## What a window costs
#
# "No" is not "hopeless": news fades by ρ per step, so what lies beyond the window matters less and less. Here is
# a stationary chain, $z_t = 0.9 z_{t-1} + N(0,1)$, $x_t = z_t + N(0,1)$.

# %%
chain = Model(
    """
    index t = 1:T
    given phi = 0.9
    local z[1] ~ Normal(0, 1/sqrt(1 - phi**2))
    local z[t] ~ Normal(phi*z[t-1], 1) for t in 2:T
    observed x[t] ~ Normal(z[t], 1)
    """,
    T=60,
)
gaps = [predict(chain, window=k).limit_per_latent for k in range(6)]
phi = 0.9
chain_rho = min(np.roots([1, -((1 + phi**2) + 1) / phi, 1]))

# %%
figure, axes = plt.subplots(figsize=(5.2, 3.2), layout="constrained")
axes.semilogy(range(6), gaps, "o-", color=AVI, label="predicted, exact")
axes.semilogy(
    range(6), gaps[0] * chain_rho ** (2 * np.arange(6)), "--", color=GREY, label=r"$\rho^{2k}$"
)
axes.set_xlabel("half-width $k$ of the window (positions)")
axes.set_ylabel("amortization gap (nats per latent)")
_ = axes.legend()

# %% [markdown]
# The gap is quadratic in the missing news, so each further neighbour on both sides divides it by about
# $1/\rho^2$. For $k = 0$ there is a formula,
# $J_0 = \varphi^2 / \{(1-\varphi^2)[2 + (1+\varphi^2) + 1/(1-\varphi^2)]\}$ with unit variances.

# %%
formula = phi**2 / ((1 - phi**2) * (2 + (1 + phi**2) + 1 / (1 - phi**2)))
print(f"formula {formula:.6f}, predicted {gaps[0]:.6f} nats per latent")

# %% [markdown]
# ## How wide a window do you need?

# %%
smallest_inputs(chain, tolerance=0.001).plot()

# %% [markdown]
# ## Or leave a few latents free
#
# If every second latent keeps a factor of its own, the others touch only free neighbours, and a function of their own
# observation and of these neighbours' factors loses nothing.

# %%
partial = measure(walk, {"x": spike}, free="cover")
print(partial.avi.inputs, f"gap {partial.gap:.2e} nats")

# %% [markdown]
# ## Exercises
#
# 1. Make the chain less sticky, φ = 0.5. How much wider is the window that 0.001 nats per latent asks for at
#    φ = 0.9?
#
# <details><summary>Solution</summary>
#
# `smallest_inputs(Model(chain.text, T=60, phi=0.5), tolerance=0.001)` needs $k=2$ against $k=3$: ρ is 0.234 against 0.362.
# </details>
#
# 2. Which data set shows the same for a *discrete* chain, and why can it not be all zeros?
#
# <details><summary>Solution</summary>
#
# Equal inputs at two places, different inputs further away: `check(load("hmm")).witness` shows one. In all zeros
# the places differ only by the edges of the series.
# </details>
#
# ## The lesson
#
# Latents that touch share their news; no bounded window sees all of it. What the window misses is known before
# any training, and falls geometrically.

# %%
assert np.allclose(mean[16:24] / mean[15:23], rho, rtol=1e-3)
assert report.closes == "no"
assert abs(report.witness.optima[0] - report.witness.optima[1]) > 0.1
assert abs(formula - gaps[0]) < 1e-9
assert min(gaps) > 0
assert np.allclose(np.array(gaps[3:]) / gaps[2:-1], chain_rho**2, rtol=0.03)
assert abs(partial.gap) < 1e-9
