"""What training a VAE gave, as plain numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from avi_theory.results.shown import Shown


@dataclass(frozen=True)
class Training(Shown):
    """A trained VAE.

    Attributes:
        name: of the configuration.
        status: finished, stopped early, or diverged.
        epochs: that were run.
        seconds: of training.
        parameters: of encoder and decoder.
        encoder_flops: of one image's way through the encoder's networks.
        latents: coordinates of a code.
        scores: by split: sampled ELBO with standard error, plug-in value, active coordinates.
        history: by epoch, in nats per image.
        data: source, binarization with its seed, splits.
        settings: all of them.
        provenance: seed, device, type, versions.
    """

    name: str
    status: str
    epochs: int
    seconds: float
    parameters: Mapping[str, int]
    encoder_flops: int
    latents: int
    scores: Mapping[str, Mapping[str, Any]]
    history: tuple[Mapping[str, Any], ...]
    data: Mapping[str, Any]
    settings: Mapping[str, Any]
    provenance: Mapping[str, Any]
