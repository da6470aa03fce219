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
# # Eight schools: what to feed the inference network
#
# Eight estimates of a coaching effect, each with its own standard error. Below: what each school's factor
# makes of its estimate.

# %%
import matplotlib.pyplot as plt
import numpy as np

from avi_theory import Model, check, load, measure, predict, smallest_inputs
from avi_theory.figures import AVI, FVI, GREY, STYLE

plt.rcParams.update(STYLE)

# %%
schools = load("eight_schools")
y = np.array([28, 8, -3, 7, -1, 1, 18, 12.0])
s = np.array([15, 10, 16, 11, 9, 11, 10, 18.0])
only_y = measure(schools, {"y": y, "s": s}, inputs=["y[n]"], function="affine")
both = measure(schools, {"y": y, "s": s}, function="mlp:8x8")
posterior = both.posterior()
names = [name for name in posterior.names if name.startswith("z")]
mean = np.array([posterior[name]["mean"] for name in names])

# %%
figure, axes = plt.subplots(figsize=(5.4, 3.4), layout="constrained")
axes.plot([-5, 30], [-5, 30], ":", color=GREY, label="no shrinkage")
marks = axes.scatter(y, mean, c=s, cmap="Greys", edgecolor="black", s=60, vmin=0, zorder=2)
order = np.argsort(y)
guess = np.array([only_y.infer({"y": y, "s": s})[name]["mean"] for name in names])
axes.plot(y[order], guess[order], color=AVI, label="best line in $y_n$ alone")
axes.set_xlabel("estimate $y_n$ (points)")
axes.set_ylabel("optimal mean of the effect (points)")
axes.legend(loc="upper left")
_ = figure.colorbar(marks, label="standard error $s_n$ (points)")

# %% [markdown]
# Look at the two most extreme schools. 28 points with a standard error of 15 and 18 points with one of 10 end closer
# together than the line allows: what is noisier is pulled harder. No function of $y_n$ alone can know that.
#
# ## What must the function see?

# %%
report = check(schools)
print(report.locals["z"].inputs)
print(report.locals["z"].optimal_factor.text)
for reason in report.locals["z"].because:
    print("-", reason)

# %% [markdown]
# By hand: $\log p$ holds $-\frac{(z_n-\mu)^2}{2\tau^2} - \frac{(y_n-z_n)^2}{2s_n^2}$, so with
# $w_n = s_n^{-2} / (s_n^{-2} + \mathrm E\,\tau^{-2})$ the mean is $w_n y_n + (1-w_n)\,\mathrm E\mu$ (μ and τ are independent
# under $q$). Affine in $y_n$, but with a slope that depends on $s_n$: a product of inputs, not a sum.

# %%
print(f"affine in y:        gap {only_y.gap:.4f} nats")
print(f"network of y and s: gap {both.gap:.4f} nats")

# %% [markdown]
# ## A tempting mistake
#
# Give a network the estimates alone, and train it well.

# %%
memorised = measure(schools, {"y": y, "s": s}, inputs=["y[n]"], function="mlp:8x8")
print(f"network of y alone: gap {memorised.gap:.4f} nats")

# %% [markdown]
# Zero! Eight different estimates are eight keys, and the network has learnt the answers by heart. Swap the standard
# errors, and hold its answers against F-VI, fitted again, and against the formula above. The formula needs two moments of
# $q(\mu)q(\tau)$; τ has a LogNormal factor, whose quantiles give $\mathrm E\,\tau^{-2}$.


# %%
def ideal(fitted, estimate, error):
    tau = fitted["tau"]
    spread = np.log(tau["q95"] / tau["q50"]) / 1.6448536
    between = np.exp(-2 * np.log(tau["q50"]) + 2 * spread**2)
    weight = error**-2 / (error**-2 + between)
    return weight * estimate + (1 - weight) * fitted["mu"]["mean"]


swapped = {"y": y, "s": s[::-1].copy()}
again = measure(schools, swapped).posterior()
truth = np.array([again[name]["mean"] for name in names])
recited = np.array([memorised.infer(swapped)[name]["mean"] for name in names])
formula = ideal(again, y, swapped["s"])

# %%
figure, axes = plt.subplots(figsize=(5.4, 3.0), layout="constrained")
at = np.arange(8)
axes.plot(at, truth, "_", color="black", markersize=22, label="F-VI, fitted again")
axes.plot(at, recited, "s", color=AVI, label="network of $y$, trained before")
axes.plot(at, formula, "o", color=FVI, label="the formula, of $y$ and $s$")
axes.set_xticks(
    at, [f"{a:.0f} ± {b:.0f}" for a, b in zip(y, swapped["s"], strict=True)], fontsize=8
)
axes.set_xlabel("estimate and swapped standard error (points)")
axes.set_ylabel("mean of the effect (points)")
_ = axes.legend()

# %% [markdown]
# The formula is right for any data, the recital only for those it knew. In the population, theory gives the price of each
# choice of inputs; with the spread of the schools known, $\tau = 8$, within a second.

# %%
known = Model(
    """
    index n = 1:N
    given s[n] > 0
    given tau = 8
    global mu ~ Normal(0, 5)
    local z[n] ~ Normal(mu, tau)
    observed y[n] ~ Normal(z[n], s[n])
    """
)
offers = smallest_inputs(known, {"y": y, "s": s})
offers.plot()

# %% [markdown]
# ## Exercises
#
# 1. All standard errors are 12. What does the function need now?
#
# <details><summary>Solution</summary>
#
# The estimate alone: a number that is the same for all schools is a constant. With `given s = 12`, and `s` for
# `s[n]`, `check` answers `own`, and the model is a simple hierarchical one.
# </details>
#
# 2. The network shall serve *other* studies, with other μ and τ. Ask `predict(known, regime="reuse")` on the data.
#    Why is it not 0 although the inputs suffice?
#
# <details><summary>Solution</summary>
#
# The ideal function of one study uses $q(\mu)$, which another study does not share. Add a summary of the study to the
# inputs, `inputs=["s[n]", "y[n]", "mean(y)"]`, and of 0.226 nats 0.014 are left.
# </details>
#
# ## The lesson
#
# Whatever differs between units and enters the density is an input. A small training loss does not show that it is
# missing; the model does, before training.

# %%
assert report.locals["z"].inputs == ("s[n]", "y[n]")
assert only_y.gap > 0.05
assert abs(both.gap) < 1e-3
assert abs(memorised.gap) < 1e-3
assert np.allclose(formula, truth, atol=1e-4)
assert np.abs(recited - truth).max() > 0.5
price = {choice.inputs: choice.gap_per_latent for choice in offers.choices}
assert price[("s[n]", "y[n]")] == 0
assert price[("y[n]",)] > 0.005
assert predict(known, {"y": y, "s": s}, regime="reuse").gap > 0
