r"""Distributions of codes given images, drawn with gradients.

.. math:: z^{(s)} = g(\epsilon^{(s)}; x),\qquad \log q(z^{(s)} \mid x)

A posterior holds one distribution for each of B images.  For one with auxiliary variables the
second number is :math:`\log q(z, v \mid x) - \log r(v \mid z, x)`, so that the same bound holds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, final, runtime_checkable

import torch
from torch import Tensor

from avi_theory.errors import InputError
from avi_theory.vae.likelihoods import LOG_2PI

Encoder = Callable[[Tensor], tuple[Tensor, Tensor]]
"""``[B, …]`` to (mean, log variance), both ``[B, d]``."""


@runtime_checkable
class Posterior(Protocol):
    """q(z | x) for each of B images."""

    def sample(self, k: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Reparametrised codes ``[k, B, d]`` and their log densities ``[k, B]`` in nats."""


@final
@dataclass(frozen=True, eq=False)
class Diagonal:
    r"""Independent Normal coordinates.

    .. math:: q(z \mid x) = \prod_j \mathcal N\big(z_j; \mu_j, e^{v_j}\big)

    Attributes:
        mean: µ, ``[B, d]``.
        log_variance: v, ``[B, d]``.
    """

    mean: Tensor
    log_variance: Tensor

    def sample(self, k: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Codes and log densities."""
        noise = torch.randn(
            (k, *self.mean.shape),
            generator=generator,
            dtype=self.mean.dtype,
            device=self.mean.device,
        )
        return self.at(noise), standard(noise) - 0.5 * self.log_variance.sum(-1)

    def at(self, noise: Tensor) -> Tensor:
        """The codes of standard Normal noise ``[k, B, d]``."""
        return self.mean + torch.exp(0.5 * self.log_variance) * noise

    def log_prob(self, z: Tensor) -> Tensor:
        """Of codes ``[..., B, d]``, ``[..., B]`` in nats."""
        noise = (z - self.mean) * torch.exp(-0.5 * self.log_variance)
        return standard(noise) - 0.5 * self.log_variance.sum(-1)

    def divergence(self) -> Tensor:
        r"""From the prior N(0, I), ``[B]`` in nats, in closed form.

        .. math:: \mathrm{KL}(q \,\|\, p) = \tfrac12 \sum_j \mu_j^2 + e^{v_j} - 1 - v_j
        """
        v = self.log_variance
        return 0.5 * (self.mean.square() + v.exp() - 1 - v).sum(-1)


def standard(z: Tensor) -> Tensor:
    r"""The log density of codes ``[..., d]`` under N(0, I), in nats."""
    return -0.5 * (z.square().sum(-1) + z.shape[-1] * LOG_2PI)


def posterior_of(encoder: Any, images: Tensor) -> Posterior:
    """What an encoder says about images.

    Args:
        encoder: a callable that returns (mean, log variance), or an object whose method
            ``posterior`` returns a `Posterior`.
        images: ``[B, …]``.

    Raises:
        InputError: what comes back is not a pair of ``[B, d]``, or holds NaN or infinity.
    """
    if hasattr(encoder, "posterior"):
        found: Posterior = encoder.posterior(images)
        if isinstance(found, Diagonal):
            return checked(found.mean, found.log_variance, images)
        return found
    returned = encoder(images)
    if not isinstance(returned, tuple | list) or len(returned) != 2:
        count = f"{len(returned)} outputs" if isinstance(returned, tuple | list) else "one output"
        raise InputError(
            f"The encoder returned {count}, but should return (mean, log_variance). "
            "Wrap it: lambda x: encoder(x).chunk(2, -1), say."
        )
    return checked(returned[0], returned[1], images)


def checked(mean: Any, log_variance: Any, images: Tensor) -> Diagonal:
    """A pair as a `Diagonal`, if it is one for these images."""
    for name, value in (("mean", mean), ("log_variance", log_variance)):
        if not isinstance(value, Tensor):
            raise InputError(
                f"The encoder's {name} is a {type(value).__name__}. Return torch tensors."
            )
    if mean.dim() != 2 or mean.shape != log_variance.shape or len(mean) != len(images):
        raise InputError(
            f"The encoder returned a mean {list(mean.shape)} and a log variance "
            f"{list(log_variance.shape)} for {len(images)} images. Both should be "
            f"[{len(images)}, d]."
        )
    for name, value in (("mean", mean), ("log variance", log_variance)):
        bad = ~torch.isfinite(value).all(-1)
        if bool(bad.any()):
            where = ", ".join(str(int(k)) for k in bad.nonzero()[:3, 0])
            raise InputError(
                f"The encoder's {name} is NaN or infinite for {int(bad.sum())} of {len(images)} "
                f"images (the first: {where}). Mend the encoder, or leave those images out."
            )
    return Diagonal(mean, log_variance)
