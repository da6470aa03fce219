r"""Flow posteriors: the encoder's Gaussian, bent by coupling layers that read the image.

.. math::
    z = T_K \circ \cdots \circ T_1(\mu + \sigma \epsilon;\, h(x)),\qquad
    \log q(z \mid x) = \log \mathcal N(z_0; \mu, \sigma^2) - \sum_k \log |\det J_{T_k}|

Affine couplings (RealNVP: Dinh, Sohl-Dickstein & Bengio, ICLR 2017), by zuko, conditioned on the
encoder's features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn
from zuko.flows import GeneralCouplingTransform
from zuko.lazy import LazyComposedTransform

from avi_theory.errors import InputError
from avi_theory.vae.encoders.gaussian import describe
from avi_theory.vae.layers import ACTIVATIONS, seeded
from avi_theory.vae.posteriors import Diagonal


class FlowEncoder(nn.Module):
    """An encoder with a flow behind it.

    Args:
        encoder: (mean, log variance) of the base; its features are the context.
        latents: d; read off the encoder unless given.
        transforms: coupling layers.
        hidden: widths of each layer's network.
        activation: of these.
        seed: of the flow's weights.
    """

    def __init__(
        self,
        encoder: nn.Module,
        *,
        latents: int | None = None,
        transforms: int = 2,
        hidden: Sequence[int] = (200,),
        activation: str = "elu",
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.encoder, self.latents = encoder, _latents(encoder, latents)
        masks = [torch.arange(self.latents) % 2 == k % 2 for k in range(transforms)]
        with seeded(seed):
            self.flow = couplings(masks, context(encoder, self.latents), hidden, activation)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of the base, before the flow bends it."""
        mean, log_variance, _ = describe(self.encoder, images)
        return mean, log_variance

    def posterior(self, images: Tensor) -> Bent:
        """q(z | x)."""
        mean, log_variance, features = describe(self.encoder, images)
        return Bent(Diagonal(mean, log_variance), self.flow(features))


@final
@dataclass(frozen=True, eq=False)
class Bent:
    """A base pushed through a transformation ``[k, B, d]`` to ``[k, B, d]``."""

    base: Diagonal
    transform: Any

    def sample(self, k: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Codes and log densities."""
        start, log_q = self.base.sample(k, generator)
        z, stretch = self.transform.call_and_ladj(start)
        return z, log_q - stretch


def couplings(
    masks: Sequence[Tensor], context: int, hidden: Sequence[int], activation: str
) -> LazyComposedTransform:
    """Coupling layers; a mask is true for the coordinates that a layer leaves as they are.

    Raises:
        InputError: no layers.
    """
    if not masks:
        raise InputError("A flow needs at least one coupling layer. Give transforms=2, say.")
    features = len(masks[0])
    return LazyComposedTransform(
        *(
            GeneralCouplingTransform(
                features,
                context,
                mask,
                hidden_features=tuple(hidden),
                activation=ACTIVATIONS[activation],
            )
            if features > 1
            else GeneralCouplingTransform(
                features, context, hidden_features=tuple(hidden), activation=ACTIVATIONS[activation]
            )
            for mask in masks
        )
    )


def context(encoder: nn.Module, latents: int) -> int:
    """The width of the features that `describe` returns for an encoder."""
    return int(getattr(encoder, "width", 2 * latents))


def _latents(encoder: Any, told: int | None) -> int:
    if told is not None:
        return told
    if hasattr(encoder, "latents"):
        return int(encoder.latents)
    raise InputError("The encoder does not tell its number of latents. Give latents=50, say.")
