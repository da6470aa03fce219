r"""The auxiliary-variable flow q_AF: codes with companions that a reverse model explains away.

.. math::
    (z, v) = T(z_0, v_0;\, h(x)),\qquad
    \mathcal L = \mathbb E\big[\log p(x, z) + \log r(v \mid z, x) - \log q(z, v \mid x)\big]

(Cremer, Li & Duvenaud, ICML 2018; auxiliary variables: Maaløe et al., ICML 2016; Ranganath, Tran
& Blei, ICML 2016.)  Each of T's layers moves v given z, then z given v, both given the features
(which goes first: design).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from avi_theory.vae.encoders.adaptive import InstanceAdaptive
from avi_theory.vae.encoders.flow import Bent, couplings
from avi_theory.vae.encoders.gaussian import GaussianEncoder, describe
from avi_theory.vae.layers import hidden_layers, seeded
from avi_theory.vae.posteriors import Diagonal


class AuxiliaryEncoder(nn.Module):
    """An encoder with auxiliary variables and a flow over both.

    Args:
        encoder: (mean, log variance) of z₀; its features are the context.
        transforms: pairs of coupling layers.
        hidden: widths of each layer's network and of the reverse model.
        activation: of these.
        seed: of the weights beyond the encoder's.
    """

    def __init__(
        self,
        encoder: GaussianEncoder | InstanceAdaptive,
        *,
        transforms: int = 2,
        hidden: Sequence[int] = (200,),
        activation: str = "elu",
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.encoder, self.latents = encoder, encoder.latents
        d, width = self.latents, encoder.width
        first = torch.arange(2 * d) < d  # the codes; the companions come after them
        with seeded(seed):
            self.start = nn.Linear(width, 2 * d)
            self.flow = couplings([first, ~first] * transforms, width, hidden, activation)
            layers = hidden_layers(d + width, hidden, activation)
            self.reverse = nn.Sequential(
                *layers, nn.Linear(hidden[-1] if hidden else d + width, 2 * d)
            )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of z₀, before the flow."""
        mean, log_variance, _ = describe(self.encoder, images)
        return mean, log_variance

    def posterior(self, images: Tensor) -> Accompanied:
        """q(z, v | x) with r(v | z, x)."""
        mean, log_variance, features = describe(self.encoder, images)
        with_mean, with_log_variance = self.start(features).chunk(2, -1)
        base = Diagonal(
            torch.cat([mean, with_mean], -1), torch.cat([log_variance, with_log_variance], -1)
        )
        return Accompanied(Bent(base, self.flow(features)), features, self.reverse)


@final
@dataclass(frozen=True, eq=False)
class Accompanied:
    """Codes with companions, whose log ratio q(z, v | x) / r(v | z, x) stands for log q(z | x)."""

    both: Bent
    features: Tensor
    reverse: nn.Module

    def sample(self, k: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Codes, and log q(z, v | x) − log r(v | z, x), on average no less than log q(z | x)."""
        pair, log_q = self.both.sample(k, generator)
        z, v = pair.chunk(2, -1)
        seen = torch.cat([z, self.features.expand(k, *self.features.shape)], -1)
        back = Diagonal(*self.reverse(seen).chunk(2, -1))
        return z, log_q - back.log_prob(v)
