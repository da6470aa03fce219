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
# # A VAE's gaps, image by image
#
# A VAE is a simple hierarchical model: given the decoder, an ideal encoder exists. A trained one still loses something,
# and not the same on every image. How much, on which, and is it the encoder or the Gaussian that is at fault?

# %%
import os
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np

from avi_theory import check, load
from avi_theory.figures import AVI, FVI, STYLE
from avi_theory.gallery import configuration_path
from avi_theory.vae import SemiAmortized, load_images, load_settings, train, vae_gaps
from avi_theory.vae.gaps import Settings

plt.rcParams.update(STYLE)
small = "AVI_SMALL" in os.environ  # set where the notebooks are tested
print(check(load("vae_digits")).locals["z"].inputs)

# %%
images = load_images("digits")
settings = load_settings(configuration_path("digits"), **{"training.epochs": 30 if small else 60})
trained = train(settings, images)
vae = trained.model
some = images.tensor("test", slice(0, 20 if small else 40))
effort = Settings(temperatures=100, chains=8)
gaps = vae_gaps(vae, vae.decoder, some, likelihood=vae.likelihood, settings=effort)
gaps.plot("worst_images")

# %% [markdown]
# Each picture is an image with a large gap. For every image three numbers are found: the encoder's bound
# $\mathcal L[q]$, the bound of the best Gaussian of *this* image $\mathcal L[q^*]$, and $\log p(x)$ by annealing:
#
# $$\log p(x) - \mathcal L[q] = \underbrace{\log p(x) - \mathcal L[q^*]}_{\text{approximation}}
# + \underbrace{\mathcal L[q^*] - \mathcal L[q]}_{\text{amortization}}.$$

# %%
gaps.plot("image_ladder")

# %%
print(gaps)

# %% [markdown]
# Every number carries its error, and what failed would be flagged and counted, never averaged away.
#
# ## Buying the amortization gap back
#
# A few gradient steps per image from the encoder's output (semi-amortized inference) need no new training.

# %%
STEPS = (0, 1, 2, 4, 8)
left = []
for steps in STEPS:
    encoder = SemiAmortized(vae, vae.decoder, vae.likelihood, steps=steps) if steps else vae
    after = vae_gaps(
        encoder, vae.decoder, some, likelihood=vae.likelihood, settings=Settings(temperatures=0)
    )
    left.append(np.median(after.per_image["amortization_gap"]))
_, axes = plt.subplots(figsize=(5.0, 2.8), layout="constrained")
axes.plot(STEPS, left, "o-", color=AVI)
axes.set_xlabel("steps from the encoder's output")
axes.set_ylabel("amortization gap, median (nats)")
axes.set_yscale("log")

# %% [markdown]
# ## A number that flatters
#
# Decoding the posterior's mean and subtracting the divergence is cheap, common, and no bound.

# %%
flattered = gaps.per_image["plug_in"] - gaps.per_image["elbo"]
_, axes = plt.subplots(figsize=(5.0, 2.8), layout="constrained")
axes.hist(flattered, bins=15, color=FVI)
axes.set_xlabel("plug-in value − sampled ELBO (nats per image)")
axes.set_ylabel("images")

# %% [markdown]
# ## Exercises
#
# 1. Measure the same gaps on training images. What is the difference called?
#
# <details><summary>Solution</summary>
#
# `vae_gaps(…, training_images=images.tensor("train", slice(0, 60))).generalization`: the generalization gap of
# inference. The decoder's own is a different thing.
# </details>
#
# 2. Which gap would a flow posterior lessen, and how would you know before training one?
#
# <details><summary>Solution</summary>
#
# The approximation gap; `Settings(flow=True)` finds the best flow of each image and says what it gains.
# </details>
#
# ## The lesson
#
# The encoder's loss and the family's are told apart image by image; steps at test time buy back the first and
# cannot touch the second; and the plug-in value is no ELBO.

# %%
whole = gaps.per_image["log_evidence"] - gaps.per_image["elbo"]
rungs = gaps.per_image["approximation_gap"] + gaps.per_image["amortization_gap"]
np.testing.assert_allclose(whole, rungs)
assert sum(gaps.flags.values()) == 0
assert left[-1] < 0.05 * left[0]
assert all(a > b for a, b in pairwise(left))
assert np.mean(flattered) > 0.5
