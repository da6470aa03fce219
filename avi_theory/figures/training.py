"""The course of a training: the objective of each epoch and the looks at the validation images."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from avi_theory.figures.base import AVI, FVI, GREY, Drawing
from avi_theory.results.training import Training

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _draw(figure: Figure, found: Training) -> None:
    axes = figure.subplots()
    seen = [h for h in found.history if math.isfinite(h["train"])]
    axes.plot([h["epoch"] for h in seen], [h["train"] for h in seen], color=FVI, label="training")
    looks = [h for h in found.history if "validation" in h]
    if looks:
        points = [h["epoch"] for h in looks], [h["validation"] for h in looks]
        axes.plot(*points, color=AVI, marker=".", label="validation")
    elbo = found.scores["test"]["elbo"]
    if math.isfinite(elbo):
        axes.axhline(elbo, color=GREY, linestyle=":", label="test images, sampled ELBO at the end")
    axes.set_xlabel("epoch")
    axes.set_ylabel("objective, nats per image")
    axes.set_title(f"{found.name}: training ({found.status})")
    axes.legend()


TRAINING = Drawing(
    "training",
    "The objective of each epoch, under its weight of the divergence, and the validation bound.",
    lambda result: isinstance(result, Training),
    _draw,
)
