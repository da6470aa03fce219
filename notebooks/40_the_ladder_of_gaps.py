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
# # The ladder of gaps
#
# An inference network does badly. Is the posterior too odd for the family, are its inputs wrong, is it too
# small, or was it not trained long enough? Each answer is a rung, in nats, and they add up.

# %%
import matplotlib.pyplot as plt
import numpy as np

from avi_theory import Model, compare, load, predict, simulate
from avi_theory.figures import STYLE

plt.rcParams.update(STYLE)

# %%
saw = load("saw")
alone = compare(saw, inputs=["x[n]"], function="affine")
alone.plot()

# %% [markdown]
# The saw hangs each latent between two observations, $z_n \sim N(x_{n-1}, 1)$, $x_n \sim N(a(\theta + z_n), 1)$. A straight
# line in $x_n$ loses 340 nats; the family of factors loses a fifth of a nat. From the bottom up:
#
# $$\log p(x) - \mathrm{ELBO} = \text{approximation} + \text{conditioning} + \text{capacity} + \text{training}.$$
#
# ## Four ways to amortize one model

# %%
choices = {
    "nothing": {"inputs": [], "function": "constant"},
    "affine of $x_n$": {"inputs": ["x[n]"], "function": "affine"},
    "quintic of $x_n$": {"inputs": ["x[n]"], "function": "polynomial:5"},
    "affine of $x_{n-1}, x_n$": {"function": "affine"},
}
ladders = {name: compare(saw, **choice) for name, choice in choices.items()}
RUNGS = ("approximation", "conditioning", "capacity", "training")


def stacked(ladders):
    """One bar for each ladder, rung on rung."""
    _, axes = plt.subplots(figsize=(6.4, 2.6), layout="constrained")
    base = np.zeros(len(ladders))
    styles = zip(
        RUNGS, ("#0b3c6f", "#7d7d7d", "#d9d9d9", "#e08214"), ("", "//", "", ".."), strict=True
    )
    for rung, colour, hatch in styles:
        size = np.array([max(c.gaps[rung].value or 0.0, 0.0) for c in ladders.values()])
        axes.barh(
            list(ladders),
            size,
            left=base,
            color=colour,
            hatch=hatch,
            edgecolor="black",
            linewidth=0.6,
            label=rung,
        )
        base += size
    for row, total in enumerate(base):
        axes.annotate(f"{total:.3g}", (total, row), (4, 0), textcoords="offset points", va="center")
    axes.set_xlim(0, 1.12 * base.max())
    axes.invert_yaxis()
    axes.set_xlabel("log p(x) − ELBO of A-VI (nats)")
    axes.legend(loc="upper right" if base[0] < base[-1] else "lower right")


# %%
stacked(ladders)

# %% [markdown]
# Read the bars. With no inputs at all the loss is *conditioning*: no function of nothing could do better. With $x_n$ the
# same loss, 340 nats, appears as *capacity*, and a quintic hardly helps. Why not conditioning?
#
# ## A trap: one data set without ties
#
# The thousand values of $x_n$ are all different. Then *some* wild function of $x_n$ passes through every optimum,
# and on this data set the conditioning rung is 0 by interpolation. The value for fresh data is the honest one.

# %%
print(alone.gaps["conditioning"].how)

# %%
population = predict(saw, inputs=["x[n]"], regime="population", function="any", data=None)
print(f"gap per latent in the population: {population.gap_per_latent} ({population.kind})")
for reason in population.assumptions:
    print("-", reason)

# %% [markdown]
# θ has no proper prior here, so data cannot be drawn; give it a value and the number exists.

# %%
drawn = Model(saw.text.replace("global theta ~ Flat()", "given theta = 3.4"), N=100)
fresh = predict(drawn, inputs=["x[n]"], regime="population")
pair = predict(drawn, regime="population")
print(
    f"f(x[n]): {fresh.gap_per_latent:.4f} nats per latent ({fresh.kind}); f(x[n-1], x[n]): {pair.gap_per_latent:.4f}"
)

# %% [markdown]
# ## Ties make the conditioning rung visible
#
# A discrete chain of eight steps has many equal observations, so that a table of $x_t$ cannot interpolate.

# %%
hmm = load("hmm")
symbols = simulate(hmm, seed=4).data
tables = {
    f"table of a window, k = {k}": compare(hmm, symbols, window=k, function="table") for k in (0, 1)
}
stacked(tables)

# %% [markdown]
# ## Exercises
#
# 1. Which rung shrinks when you replace the Normal factors of rats' intercept and slope by one Normal with all covariances?
#
# <details><summary>Solution</summary>
#
# Approximation: the family, not its amortization, was at fault. `compare(load("rats"), factors={"a,b": "full"})` shows it.
# </details>
#
# 2. Train a network `mlp:4` on $x_n$ of the saw. In which rung does what is left appear, and can it be told from
#    capacity?
#
# <details><summary>Solution</summary>
#
# For networks the best of the class is not known in closed form. Capacity is then "not known" and the training rung
# holds the sum of both, which the figure says.
# </details>
#
# ## The lesson
#
# The rungs add up to the whole loss; a rung has a remedy of its own; and 0 conditioning on one data set without ties
# says nothing about the next.

# %%
for comparison in (*ladders.values(), *tables.values()):
    whole = comparison.log_evidence["value"] - comparison.avi["elbo"]
    rungs = sum(comparison.gaps[r].value for r in RUNGS)
    assert abs(whole - rungs) < 1e-5 * (1 + abs(whole))
    assert comparison.amortization.outcome in {"agrees", "bound_respected"}
assert abs(ladders["affine of $x_n$"].gaps["capacity"].value - 339.6206) < 1e-3
assert abs(ladders["affine of $x_{n-1}, x_n$"].amortization.measured) < 1e-5
assert ladders["affine of $x_n$"].gaps["conditioning"].value == 0
assert fresh.gap_per_latent > 0.01
assert pair.gap == 0
assert tables["table of a window, k = 0"].gaps["conditioning"].value > 0.01
