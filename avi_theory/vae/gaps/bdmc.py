r"""The sandwich: does annealing reach log p(x) on this decoder at all?

.. math:: \mathrm{E}[\log \hat p_{\text{AIS}}(x)] \le \log p(x) \le
          \mathrm{E}[\log \hat p_{\text{reverse AIS}}(x)]

Images drawn from the model bring an exact posterior draw along, the code that made them, from which
annealing runs backwards (Grosse, Ghahramani and Adams, 2015).  The transitions' metric is that of
`evidence`: the widths of q*_FFG.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from avi_theory.numeric.annealing import Normal, anneal, anneal_back, sigmoidal
from avi_theory.results.gaps import Sandwich
from avi_theory.vae.gaps.evidence import CHAINS, TEMPERATURES
from avi_theory.vae.gaps.optimum import optimum
from avi_theory.vae.gaps.problem import evaluating, problem_of
from avi_theory.vae.likelihoods import Likelihood
from avi_theory.vae.posteriors import Diagonal

IMAGES = 100


def bdmc(
    decoder: Callable[[Tensor], Tensor],
    likelihood: Likelihood,
    latents: int,
    *,
    images: int = IMAGES,
    temperatures: int = TEMPERATURES,
    chains: int = CHAINS,
    seed: int = 0,
    like: Tensor | None = None,
) -> Sandwich:
    """Both bounds on simulated images.

    Args:
        decoder: of codes ``[n, d]``.
        likelihood: of images given its output.
        latents: d.
        images: how many to simulate.
        temperatures: distributions of the annealing.
        chains: per image.
        seed: of the simulation and the annealing.
        like: a tensor with the dtype and device of the decoder; by default the decoder's own.

    Returns:
        Means over the images, and the mean width of the sandwich.
    """
    home: Any = like
    if home is None:
        parameters = getattr(decoder, "parameters", lambda: iter(()))()
        home = next(parameters, torch.zeros(0))
    path = sigmoidal(temperatures)
    generator = torch.Generator(home.device).manual_seed(seed)
    with evaluating(decoder):
        with torch.no_grad():
            z = home.new_empty(images, latents).normal_(generator=generator)
            drawn = likelihood.draw(decoder(z), generator)
        problem = problem_of(decoder, likelihood, drawn, latents)
        prior = Diagonal(torch.zeros_like(z), torch.zeros_like(z))
        widths = (0.5 * optimum(problem, prior, seed=seed).q.log_variance).exp()
        low, high = [], []
        for k, at in enumerate(problem.portions(chains)):
            some, begin = problem.take(at), Normal.standard(len(at), latents, like=z)
            up = anneal(
                some.log_joint, begin, schedule=path, chains=chains, scale=widths[at],
                seed=seed + 1 + k,
            )  # fmt: skip
            down = anneal_back(
                some.log_joint, begin, z[at], schedule=path, chains=chains, scale=widths[at],
                seed=seed + 1 + k,
            )  # fmt: skip
            low.append(up.log_evidence)
            high.append(down.log_evidence)
    lower, upper = torch.cat(low), torch.cat(high)
    width = upper - lower
    return Sandwich(
        lower=float(lower.mean()),
        upper=float(upper.mean()),
        width=float(width.mean()),
        standard_error=float(width.std() / images**0.5) if images > 1 else float("nan"),
        images=images,
        temperatures=temperatures,
        chains=chains,
        seed=seed,
    )
