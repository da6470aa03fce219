r"""Bounds of the log evidence, per image, in nats, by drawing codes.

.. math::
    \mathcal L[q] = \mathbb E_{q(z \mid x)}\big[\log p(x, z) - \log q(z \mid x)\big],\qquad
    \mathcal L_K[q] = \mathbb E\Big[\log \tfrac1K \textstyle\sum_k
        \frac{p(x, z_k)}{q(z_k \mid x)}\Big]

The prior is N(0, I).  Where q is diagonal its divergence from the prior is exact and only
log p(x | z) is drawn.  The value at z = µ alone is `plug_in`; it is not a bound and flatters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from avi_theory.errors import InputError
from avi_theory.vae.likelihoods import Likelihood
from avi_theory.vae.posteriors import Diagonal, Posterior, standard

Decoder = Callable[[Tensor], Tensor]
"""``[..., d]`` to ``[..., *event]``."""
ROWS = 1 << 15
"""Codes that a decoder is given at a time, unless told."""


@dataclass(frozen=True, eq=False)
class Estimate:
    """A number per image with its Monte-Carlo error.

    Attributes:
        value: ``[B]``, in nats.
        standard_error: ``[B]``; NaN where a single draw cannot tell.
        draws: per image.
    """

    value: Tensor
    standard_error: Tensor
    draws: int


def log_joint(decoder: Decoder, likelihood: Likelihood, z: Tensor, images: Tensor) -> Tensor:
    """log p(x, z) of codes ``[..., B, d]``, ``[..., B]`` in nats."""
    return likelihood.log_prob(decoder(z), images) + standard(z)


def elbo(
    decoder: Decoder,
    likelihood: Likelihood,
    posterior: Posterior,
    images: Tensor,
    *,
    draws: int,
    generator: torch.Generator,
    rows: int = ROWS,
) -> Estimate:
    """The sampled ELBO; with gradients where they are on.

    Args:
        decoder: of codes ``[..., d]``.
        likelihood: of images given its output.
        posterior: q, for these images.
        images: ``[B, …]``.
        draws: codes per image.
        generator: of the codes.
        rows: codes to decode at a time, which bounds the memory.

    Raises:
        InputError: no draws, or an output that does not fit the images.
    """
    parts, exact = [], isinstance(posterior, Diagonal)
    for k in _portions(draws, len(images), rows):
        z, log_q = posterior.sample(k, generator)
        value = likelihood.log_prob(decoder(z), images)
        parts.append(value if exact else value + standard(z) - log_q)
    each = torch.cat(parts)
    known = posterior.divergence() if isinstance(posterior, Diagonal) else 0.0
    return Estimate(each.mean(0) - known, _error(each), draws)


def iwae(
    decoder: Decoder,
    likelihood: Likelihood,
    posterior: Posterior,
    images: Tensor,
    *,
    draws: int,
    generator: torch.Generator,
    rows: int = ROWS,
) -> Estimate:
    r"""The importance-weighted bound of `draws` codes (Burda, Grosse & Salakhutdinov, ICLR 2016).

    The arguments are those of `elbo`.  The standard error is that of log of a mean,
    :math:`\mathrm{sd}(w) / (\bar w \sqrt K)`; where the weights are heavy-tailed it is too small.
    """
    parts = []
    for k in _portions(draws, len(images), rows):
        z, log_q = posterior.sample(k, generator)
        parts.append(log_joint(decoder, likelihood, z, images) - log_q)
    logs = torch.cat(parts)
    value = torch.logsumexp(logs, 0) - torch.tensor(float(draws)).log().to(logs)
    with torch.no_grad():
        error = _error(torch.exp(logs - value))
    return Estimate(value, error, draws)


def plug_in(
    decoder: Decoder, likelihood: Likelihood, posterior: Diagonal, images: Tensor
) -> Tensor:
    r"""The plug-in value, ``[B]`` in nats: the likelihood at the mean, less the divergence.

    .. math:: \log p(x \mid z = \mu) - \mathrm{KL}(q \,\|\, p)

    No bound: by Jensen's inequality it is usually too high, for MNIST by about 8 nats.
    """
    return likelihood.log_prob(decoder(posterior.mean), images) - posterior.divergence()


def _error(each: Tensor) -> Tensor:
    """Of the mean over the first dimension."""
    with torch.no_grad():
        if len(each) < 2:
            return torch.full_like(each[0], torch.nan)
        return each.std(0) / len(each) ** 0.5


def _portions(draws: int, images: int, rows: int) -> Iterator[int]:
    if draws < 1:
        raise InputError(f"{draws} draws tell nothing. Give draws=100, say.")
    most = max(1, rows // images)
    for done in range(0, draws, most):
        yield min(most, draws - done)
