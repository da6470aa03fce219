r"""What training climbs: the mean over images of a bound whose divergence may be warmed up.

.. math::
    \mathbb E_q\big[\log p(x \mid z)\big] - \beta\,\mathrm{KL}(q \,\|\, p),\qquad
    \mathbb E\log \tfrac1K \textstyle\sum_k p(x \mid z_k)
        \Big(\frac{p(z_k)}{q(z_k \mid x)}\Big)^{\beta}

β rises linearly from 1/E to 1 over the first E epochs (Sønderby et al., NeurIPS 2016; that it
scales log p(z) − log q(z | x) is Cremer, Li & Duvenaud's choice).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from avi_theory.vae.model import VAE
from avi_theory.vae.posteriors import Diagonal, standard


def objective(
    model: VAE,
    images: Tensor,
    generator: torch.Generator,
    *,
    draws: int,
    weight: float = 1.0,
    importance: bool = False,
    half: bool = False,
) -> Tensor:
    """The bound of each image, ``[B]`` in nats.

    Args:
        model: in training or not.
        images: ``[B, *event]``.
        generator: of the codes.
        draws: codes per image.
        weight: β.
        importance: the second form.
        half: networks in bfloat16, everything else as it is.
    """
    with torch.autocast(images.device.type, torch.bfloat16, enabled=half):
        q = model.posterior(images)
        z, log_q = q.sample(draws, generator)
        output = model.decoder(z)
    fit = model.likelihood.log_prob(output.float() if half else output, images)
    if isinstance(q, Diagonal) and not importance:
        return fit.mean(0) - weight * q.divergence()
    logs = fit + weight * (standard(z) - log_q)
    return torch.logsumexp(logs, 0) - math.log(draws) if importance else logs.mean(0)
