"""Per-image gaps of an encoder and a decoder, the project's or a user's own."""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from avi_theory.errors import InputError
from avi_theory.results.gaps import Gaps
from avi_theory.vae.gaps.affine import affine_of
from avi_theory.vae.gaps.bdmc import bdmc
from avi_theory.vae.gaps.ladder import Settings, Told, climb
from avi_theory.vae.gaps.problem import evaluating, placed, problem_of
from avi_theory.vae.likelihoods import Likelihood, likelihood_of
from avi_theory.vae.posteriors import Diagonal, Posterior, posterior_of

TOGETHER = 1000
"""Images whose gaps are measured at once; ten times as many on a GPU."""
SHOWN = 12
"""Images with the largest gaps that a result keeps."""
QUIET = 10.0
"""Seconds between two lines of progress."""


def vae_gaps(
    encoder: Any,
    decoder: Callable[[Tensor], Tensor],
    images: Any,
    *,
    likelihood: str | Likelihood = "bernoulli",
    scale: float | None = None,
    levels: int | None = None,
    seed: int = 0,
    device: str | torch.device | None = None,
    training_images: Any = None,
    difficulty: Callable[[Tensor], Tensor] | None = None,
    sandwich: int = 0,
    settings: Settings | None = None,
    progress: Told | None = None,
) -> Gaps:
    r"""The amortization and the approximation gap of every image.

    .. math::
        \log p(x) - \mathcal L[q] = \big(\log p(x) - \mathcal L[q^*]\big)
        + \big(\mathcal L[q^*] - \mathcal L[q]\big)

    with q* the best diagonal Gaussian of this image (Cremer, Li and Duvenaud, 2018), the prior
    N(0, I). Exact where the decoder is affine and the pixels Gaussian. Otherwise q* is optimised
    per image (`optimum`), both ELBOs are re-evaluated on common fresh noise (`fresh`) and log p(x)
    is found by quadrature (d ≤ 2) or as the larger of IWAE and AIS (`evidence`).

    Args:
        encoder: ``[B, …]`` to (mean, log variance), both ``[B, d]``; or an object whose method
            ``posterior(images)`` returns a `Posterior`.
        decoder: codes ``[…, d]`` to logits, or to means of Gaussian pixels.
        images: ``[B, …]``, a tensor or an array.
        likelihood: bernoulli, gaussian (with `scale`), categorical (with `levels`), or an object.
        scale: standard deviation of Gaussian pixels.
        levels: of categorical pixels.
        seed: of everything drawn.
        device: where the images go; by default where the modules are.
        training_images: a subset of the training images, whose gaps are measured beside, for the
            generalization gap.
        difficulty: a score per image ``[B, …] -> [B]``, kept as a column; by default the
            encoder's own, if it has one.
        sandwich: how many images to simulate for bidirectional Monte Carlo; 0 for none.
        settings: how hard to try; its seed is replaced by `seed`.
        progress: called with (what, images done, images); by default a line on stderr now and then.

    Returns:
        A table with a row per image, counts of flags, means, medians and trimmed means.

    Raises:
        InputError: an encoder or a decoder whose output does not fit.
        DataError: images that do not fit the likelihood.
    """
    begin = time.monotonic()
    chosen = likelihood_of(likelihood, scale=scale, levels=levels) if isinstance(
        likelihood, str
    ) else likelihood  # fmt: skip
    settings = replace(settings or Settings(), seed=seed)
    told = progress or _spoken()
    with evaluating(encoder, decoder, chosen):
        tensor = placed(images, (encoder, decoder), device)
        columns, methods, d = _measured(encoder, decoder, chosen, tensor, settings, told)
        score = difficulty or getattr(encoder, "difficulty", None)
        if score is not None:
            with torch.no_grad():
                columns["difficulty"] = score(tensor).detach().cpu().double().numpy()
        check = None
        if sandwich:
            check = bdmc(
                decoder, chosen, d, images=sandwich, seed=seed, like=tensor,
                temperatures=max(settings.temperatures, 2), chains=settings.chains,
            )  # fmt: skip
    training = None
    if training_images is not None:
        training = vae_gaps(
            encoder, decoder, training_images, likelihood=chosen, seed=seed, device=device,
            settings=settings, progress=progress,
        )  # fmt: skip
    gap = np.nan_to_num(columns["amortization_gap"], nan=np.inf)
    worst = np.argsort(-gap)[:SHOWN]
    return Gaps(
        per_image=columns,
        latents=d,
        methods=methods,
        provenance={
            "seed": seed,
            "device": str(tensor.device),
            "dtype": str(tensor.dtype).removeprefix("torch."),
            "likelihood": chosen.name,
            "images": len(tensor),
            "temperatures": settings.temperatures,
            "chains": settings.chains,
            "seconds": time.monotonic() - begin,
            "versions": {"python": platform.python_version(), "torch": torch.__version__},
        },
        training=training,
        sandwich=check,
        pictures=tensor[torch.as_tensor(worst.copy())].cpu().numpy(),
        worst=tuple(int(k) for k in worst),
    )


def _measured(
    encoder: Any,
    decoder: Callable[[Tensor], Tensor],
    likelihood: Likelihood,
    images: Tensor,
    settings: Settings,
    told: Told,
) -> tuple[dict[str, np.ndarray], dict[str, str], int]:
    """Columns, methods and the width of a code."""
    likelihood.check(images)
    tables: list[dict[str, np.ndarray]] = []
    methods: dict[str, str] = {}
    d = 0
    many = 10 * TOGETHER if images.is_cuda else TOGETHER
    for k, some in enumerate(images.split(many)):
        q = _encoded(encoder, some)
        d = _width(q, some)
        problem = problem_of(decoder, likelihood, some, d)
        here = replace(settings, seed=settings.seed + 1009 * k)

        def tell(what: str, done: int, total: int, part: int = k, count: int = len(some)) -> None:
            told(what, part * many + done * count // max(total, 1), len(images))

        table, methods = climb(problem, q, affine_of(problem), here, tell)
        tables.append(table)
    return {n: np.concatenate([t[n] for t in tables]) for n in tables[0]}, methods, d


@torch.no_grad()
def _encoded(encoder: Any, images: Tensor) -> Posterior:
    try:
        return posterior_of(encoder, images)
    except (RuntimeError, ValueError, TypeError) as error:
        raise InputError(
            f"The encoder cannot take images {list(images.shape)}: {error}. Give images of the "
            "shape it was made for."
        ) from error


def _width(q: Posterior, images: Tensor) -> int:
    if isinstance(q, Diagonal):
        return q.mean.shape[1]
    with torch.no_grad():
        z, _ = q.sample(1, torch.Generator(images.device).manual_seed(0))
    return z.shape[-1]


def _spoken() -> Told:
    """A line on stderr every `QUIET` seconds; nothing for short work."""
    begin = spoke = time.monotonic()

    def tell(what: str, done: int, total: int) -> None:
        nonlocal spoke
        now = time.monotonic()
        if now - spoke >= QUIET:
            spoke = now
            sys.stderr.write(f"avi: gaps: {what}, {done} of {total}, {now - begin:.0f} s\n")
            sys.stderr.flush()

    return tell
