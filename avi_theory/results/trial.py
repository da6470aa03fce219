"""Encoders compared over seeds: every arm, every seed, and paired tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from avi_theory.results.base import Result
from avi_theory.results.shown import Shown

QUANTITIES = {
    "elbo": "sampled test ELBO (nats per image)",
    "gap": "amortization gap (nats per image)",
    "divergence": "KL to the exact posterior (nats per image)",
}
"""What is measured on held-out images; more is better for the ELBO, less for the others."""


@dataclass(frozen=True)
class Arm(Result):
    """One kind of encoder.

    Attributes:
        name: such as plain, film, or plain of equal parameters.
        parameters, flops: of the encoder; FLOPs for one image.
        frozen: whether the decoder was taken over from the plain arm (or is the true one).
        values: by quantity, one number for each seed.
    """

    name: str
    parameters: int
    flops: int
    frozen: bool
    values: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class Contrast(Result):
    """Two arms, seed by seed.

    Attributes:
        arm, against: their names.
        quantity: one of `QUANTITIES`.
        difference: mean of arm − against; standard_error: of that mean, between seeds.
        effect: difference over its standard deviation between seeds (Cohen's d for pairs).
        t, wilcoxon: p-values, two-sided; None where all differences are equal.
        seeds: how many.
    """

    arm: str
    against: str
    quantity: str
    difference: float
    standard_error: float
    effect: float | None
    t: float | None
    wilcoxon: float | None
    seeds: int


@dataclass(frozen=True)
class Trial(Shown):
    """A comparison of encoders.

    Attributes:
        name: of the configuration.
        arms: each with its values.
        contrasts: of the adaptive arms against their controls.
        data: the images; settings: of training.
        provenance: seeds, device, versions, seconds.
    """

    name: str
    arms: tuple[Arm, ...]
    contrasts: tuple[Contrast, ...]
    data: Mapping[str, Any]
    settings: Mapping[str, Any]
    provenance: Mapping[str, Any]
