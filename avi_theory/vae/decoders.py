r"""Decoders: codes to what a likelihood wants.

.. math:: \eta = \mathrm{decoder}(z),\qquad z \in \mathbb R^{\ldots \times d},\;
    \eta \in \mathbb R^{\ldots \times \mathrm{event}}

A dense decoder without hidden layers is affine: the posterior under a Gaussian likelihood is known.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from avi_theory.vae.layers import activation_named, channels_of, hidden_layers, seeded


class Decoder(nn.Module):
    """Codes ``[..., d]`` to outputs ``[..., *event]``, with any leading dimensions.

    Args:
        body: from ``[M, d]`` to as many numbers as an output holds.
        latents: d.
        event: of the images; K levels are a last dimension.
    """

    def __init__(self, body: nn.Module, latents: int, event: Sequence[int]) -> None:
        super().__init__()
        self.body, self.latents, self.event = body, latents, tuple(event)

    def forward(self, z: Tensor) -> Tensor:
        """Outputs."""
        flat = self.body(z.reshape(-1, self.latents))
        return flat.reshape(*z.shape[:-1], *self.event)


def dense_decoder(
    latents: int,
    event: Sequence[int],
    *,
    hidden: Sequence[int] = (200, 200),
    activation: str = "elu",
    levels: int | None = None,
    seed: int = 0,
) -> Decoder:
    """A multilayer perceptron; affine for no hidden widths.

    Args:
        latents: d.
        event: the shape of an image.
        hidden: widths.
        activation: of the hidden layers.
        levels: K, for a categorical likelihood.
        seed: of the weights.
    """
    shape = (*event, levels) if levels else tuple(event)
    with seeded(seed):
        layers = hidden_layers(latents, hidden, activation)
        width = hidden[-1] if hidden else latents
        body = nn.Sequential(*layers, nn.Linear(width, math.prod(shape)))
    return Decoder(body, latents, shape)


def convolutional_decoder(
    latents: int,
    event: Sequence[int],
    *,
    channels: Sequence[int] = (64, 32),
    activation: str = "elu",
    levels: int | None = None,
    seed: int = 0,
) -> Decoder:
    """A dense layer, then transposed convolutions that double height and width.

    Args:
        latents: d.
        event: ``[height, width]`` or ``[channels, height, width]``.
        channels: of the feature maps, from small ones to large ones.
        activation: between the layers.
        levels: K, for a categorical likelihood.
        seed: of the weights.
    """
    colours, height, width = channels_of(event)
    factor = 2 ** len(channels)
    low = (math.ceil(height / factor), math.ceil(width / factor))
    outputs = colours * (levels or 1)
    with seeded(seed):
        layers: list[nn.Module] = [
            nn.Linear(latents, channels[0] * math.prod(low)),
            activation_named(activation),
            nn.Unflatten(1, (channels[0], *low)),
        ]
        for k, c in enumerate(channels):
            last = k + 1 == len(channels)
            after = outputs if last else channels[k + 1]
            layers.append(nn.ConvTranspose2d(c, after, 4, stride=2, padding=1))
            layers += [] if last else [activation_named(activation)]
        layers.append(_Cut(height, width, colours, levels))
    shape = (*event, levels) if levels else tuple(event)
    return Decoder(nn.Sequential(*layers), latents, shape)


class _Cut(nn.Module):
    """The upper left part of maps that came out too large, levels last."""

    def __init__(self, height: int, width: int, colours: int, levels: int | None) -> None:
        super().__init__()
        self.height, self.width, self.colours, self.levels = height, width, colours, levels

    def forward(self, maps: Tensor) -> Tensor:
        cut = maps[..., : self.height, : self.width]
        if self.levels is None:
            return cut
        return cut.unflatten(1, (self.colours, self.levels)).movedim(2, -1)
