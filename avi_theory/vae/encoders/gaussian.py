r"""A shared trunk with two heads: the plain amortized posterior.

.. math:: h = \mathrm{trunk}(x),\qquad \mu = W_\mu h + b_\mu,\qquad v = W_v h + b_v,\qquad
    q(z \mid x) = \mathcal N(\mu, \mathrm{diag}\, e^{v})

(Kingma & Welling, ICLR 2014.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from avi_theory.errors import InputError
from avi_theory.vae.layers import Entry, activation_named, channels_of, hidden_layers, seeded


class GaussianEncoder(nn.Module):
    """Images ``[B, …]`` to (mean, log variance), both ``[B, d]``.

    Args:
        trunk: images to features ``[B, width]``.
        event: the shape of an image.
        width: of the features.
        latents: d.
        scale: the factor that the trunk puts on the pixels.
    """

    def __init__(
        self,
        trunk: nn.Module,
        event: Sequence[int],
        width: int,
        latents: int,
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.trunk, self.event, self.width, self.latents = trunk, tuple(event), width, latents
        self.scale = scale
        self.mean = nn.Linear(width, latents)
        self.log_variance = nn.Linear(width, latents)

    @property
    def pixels(self) -> int:
        """Numbers in an image."""
        return math.prod(self.event)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance."""
        return self.describe(images)[:2]

    def describe(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mean, log variance and features."""
        features = self.trunk(images)
        return self.mean(features), self.log_variance(features), features


def dense(
    event: Sequence[int],
    latents: int,
    *,
    hidden: Sequence[int] = (200, 200),
    activation: str = "elu",
    scale: float = 1.0,
    seed: int = 0,
) -> GaussianEncoder:
    """A multilayer perceptron; linear for no hidden widths.

    Args:
        event: the shape of an image.
        latents: d.
        hidden: widths.
        activation: of the hidden layers.
        scale: a factor on the pixels.
        seed: of the weights.
    """
    with seeded(seed):
        pixels = math.prod(event)
        trunk = nn.Sequential(Entry(event, scale=scale), *hidden_layers(pixels, hidden, activation))
        return GaussianEncoder(trunk, event, hidden[-1] if hidden else pixels, latents, scale)


def convolutional(
    event: Sequence[int],
    latents: int,
    *,
    channels: Sequence[int] = (32, 64),
    hidden: Sequence[int] = (256,),
    activation: str = "elu",
    scale: float = 1.0,
    seed: int = 0,
) -> GaussianEncoder:
    """Convolutions that halve height and width, then dense layers.

    Args:
        event: ``[height, width]`` or ``[channels, height, width]``.
        latents: d.
        channels: of the feature maps.
        hidden: widths of the dense layers.
        activation: of all hidden layers.
        scale: a factor on the pixels.
        seed: of the weights.
    """
    colours, height, width = channels_of(event)
    with seeded(seed):
        layers: list[nn.Module] = [Entry(event, (colours, height, width), scale)]
        before = colours
        for c in channels:
            layers += [nn.Conv2d(before, c, 4, stride=2, padding=1), activation_named(activation)]
            before, height, width = c, height // 2, width // 2
        if not height or not width:
            raise InputError(
                f"Images {list(event)} are too small for {len(channels)} convolutions that halve "
                "them. Give fewer channels."
            )
        flat = before * height * width
        trunk = nn.Sequential(*layers, nn.Flatten(), *hidden_layers(flat, hidden, activation))
        return GaussianEncoder(trunk, event, hidden[-1] if hidden else flat, latents, scale)


def describe(encoder: Any, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, log variance and features of any encoder; without features, the first two stand in."""
    if hasattr(encoder, "describe"):
        mean, log_variance, features = encoder.describe(images)
        return mean, log_variance, features
    mean, log_variance = encoder(images)
    return mean, log_variance, torch.cat([mean, log_variance], -1)
