r"""A declared VAE measured: trained with A-VI, then frozen, and both sides solved at that decoder.

.. math:: \text{gap} = \sum_n \mathcal L[q^*_n] - \mathcal L[q_n],\qquad
    q^*_n = \arg\max_q \mathcal L[q](x_n)

The decoder's weights are point-estimated, so both sides speak of the decoder that training left:
the encoder is fitted to it once more, by L-BFGS (`gaps.refit`), and every image's own factor is
found.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np
import torch

import avi_theory
from avi_theory.errors import InputError
from avi_theory.results.gaps import Gaps
from avi_theory.results.measurement import AmortizedSolution, Measurement, Solution
from avi_theory.spec.bound import Bound
from avi_theory.vae.data.images import Images
from avi_theory.vae.declared import Declared, declared
from avi_theory.vae.gaps import vae_gaps
from avi_theory.vae.gaps.ladder import Settings as Effort
from avi_theory.vae.gaps.problem import problem_of
from avi_theory.vae.gaps.refit import refit
from avi_theory.vae.train import Trained, train
from avi_theory.vae.train.settings import (
    DecoderSettings,
    EncoderSettings,
    ModelSettings,
    Settings,
    TrainingSettings,
)

EPOCHS, RATE, WARM_UP, BATCH = 400, 2e-3, 20, 100
"""Adam with a cosine schedule, as in the digits' configuration."""
FUNCTIONS = ("mlp", "hyper")
Progress = Callable[[str, int, float, float], None]


def measure_declared(
    bound: Bound,
    *,
    function: str,
    holdout: Bound | None = None,
    seed: int = 0,
    device: str = "cpu",
    checkpoint: Any = None,
    epochs: int = EPOCHS,
    progress: Progress | None = None,
) -> Measurement:
    """Train decoder and encoder, and measure every image's gap at that decoder.

    Args:
        bound: the model with its images.
        function: of the encoder: ``mlp:64x64``, or ``hyper:64x64`` for an instance-adaptive one.
        holdout: images kept from training, for the generalization gap.
        seed: of weights, orders and codes.
        device: cpu or cuda.
        checkpoint: a folder that keeps the training's state.
        epochs: of training.
        progress: called with (run, iteration, NaN, NaN).

    Returns:
        Both sides in nats over all images; the ELBOs are sampled, with their standard errors.

    Raises:
        InputError: a model of another form, or a function that no encoder has.
        DataError: images that the likelihood knows nothing about.
    """
    what = declared(bound.model)
    settings = _settings(what, function, seed, epochs)
    images = _images(bound, what)
    held = _images(holdout, what) if holdout is not None else None
    told = _told(progress, "avi")
    trained = train(
        settings, _split(bound, images, held), device=device, checkpoint=checkpoint,
        progress=lambda line: told(),
    )  # fmt: skip
    begin = time.perf_counter()
    refitted = _refit(trained, images, seed, _told(progress, "avi"))
    more = time.perf_counter() - begin
    begin = time.perf_counter()
    gaps = _gaps(trained, images, seed, _told(progress, "fvi"))
    spent = time.perf_counter() - begin
    there = None if held is None else _gaps(trained, held, seed, _told(progress, "fvi"))
    avi, error = _sum(gaps, "elbo")
    fvi, best_error = _sum(gaps, "elbo_optimum")
    return Measurement(
        model=bound.model.name,
        fvi=_factorized(gaps, fvi, best_error, spent),
        avi=_amortized(trained, what, avi, error, function, refitted, more),
        latents=bound.latents,
        standard_error=_sum(gaps, "amortization_gap")[1],
        methods={k: str(v) for k, v in gaps.methods.items()},
        log_evidence=_evidence(gaps),
        holdout=None if there is None else _held(there),
        provenance={
            "seed": seed,
            "device": device,
            "dtype": gaps.provenance["dtype"],
            "data": bound.source,
            "versions": {"avi_theory": avi_theory.__version__, **gaps.provenance["versions"]},
        },
        traces={"avi": tuple(float(h["train"]) for h in trained.history)},
    )


def _settings(what: Declared, function: str, seed: int, epochs: int) -> Settings:
    kind, _, shape = function.partition(":")
    if kind not in FUNCTIONS:
        raise InputError(
            f"--function {function} is no encoder of images. Give mlp:64x64, or hyper:64x64 for "
            "one that a second network adapts to each image."
        )
    try:
        hidden = tuple(int(h) for h in shape.split("x"))
    except ValueError:
        raise InputError(f"--function {function} has no widths. Give mlp:64x64, say.") from None
    return Settings(
        title=function,
        model=ModelSettings(latents=what.codes, likelihood=what.likelihood, scale=what.scale),
        encoder=EncoderSettings(hidden=hidden, adapt="film" if kind == "hyper" else "none"),
        decoder=DecoderSettings(hidden=what.hidden, activation=what.activation),
        training=TrainingSettings(
            epochs=epochs, rate=RATE, schedule="cosine", warm_up=min(WARM_UP, epochs // 4),
            batch=BATCH, seed=seed, every=max(1, epochs),
        ),
    )  # fmt: skip


def _images(bound: Bound, what: Declared) -> np.ndarray:
    """``[N, k]`` single-precision numbers."""
    return np.asarray(bound.known[what.observed], np.float32).reshape(-1, what.pixels)


def _split(bound: Bound, fitted: np.ndarray, held: np.ndarray | None) -> Images:
    """All images are trained on; nothing is chosen by the other splits, which are only scored."""
    some = fitted[: min(len(fitted), BATCH)]
    description = {"source": bound.source, "binarization": "none", "shape": list(fitted.shape[1:])}
    return Images(
        bound.model.name, fitted, some, some if held is None else held, 1.0, description
    )  # fmt: skip


def _refit(
    trained: Trained, images: np.ndarray, seed: int, told: Callable[[], None]
) -> tuple[float, int]:
    vae = trained.model
    pictures = torch.as_tensor(images, device=trained.device)
    problem = problem_of(vae.decoder, vae.likelihood, pictures, trained.settings.model.latents)
    return refit(vae.encoder, vae.posterior, problem, seed=seed, told=told)  # type: ignore[arg-type]


def _gaps(trained: Trained, images: np.ndarray, seed: int, told: Callable[[], None]) -> Gaps:
    vae = trained.model
    return vae_gaps(
        vae, vae.decoder, images, likelihood=vae.likelihood, seed=seed, device=trained.device,
        settings=Effort(temperatures=0), progress=lambda *_: told(),
    )  # fmt: skip


def _told(progress: Progress | None, run: str) -> Callable[[], None]:
    numbers = count(1)

    def tell() -> None:
        if progress is not None:
            progress(run, next(numbers), math.nan, math.nan)

    return tell


def _sum(gaps: Gaps, column: str) -> tuple[float, float]:
    """A total and its standard error; NaN counts, never hides."""
    errors = gaps.per_image[f"{column}_standard_error"]
    return float(gaps.per_image[column].sum()), float(np.sqrt(np.square(errors).sum()))


def _factorized(gaps: Gaps, elbo: float, error: float, seconds: float) -> Solution:
    open_, flags = gaps.unconverged, gaps.flags
    wrong = flags["optimum_below_encoder"] + flags["not_a_number"]
    message = f"{len(gaps) - open_} of {len(gaps)} images at an optimum of their own"
    if wrong:
        message += f"; {wrong} flagged: their optimum lies below the encoder, or is no number"
    return Solution(
        elbo=elbo if math.isfinite(elbo) else None,
        status="converged" if not open_ and not wrong else "stopped_early",
        gradient_norm=float(np.max(gaps.per_image.get("gradient_norm", np.zeros(1)))),
        iterations=int(np.max(gaps.per_image.get("evaluations", np.zeros(1)))),
        seconds=seconds,
        message=message,
        standard_error=error,
        starts=2,
    )


def _amortized(
    trained: Trained,
    what: Declared,
    elbo: float,
    error: float,
    function: str,
    refitted: tuple[float, int],
    more: float,
) -> AmortizedSolution:
    inputs = (what.written,)
    gain, evaluations = refitted
    return AmortizedSolution(
        elbo=elbo if math.isfinite(elbo) else None,
        status="diverged" if trained.status == "diverged" else "stopped_early",
        gradient_norm=None,
        iterations=len(trained.history),
        seconds=trained.seconds + more,
        message=f"trained for {len(trained.history)} epochs with the decoder: {trained.status}; "
        f"then fitted to it as it stands in {evaluations} evaluations, {gain:.4g} nats gained",
        standard_error=error,
        function=function,
        inputs=inputs,
        inputs_by_local={what.latent: inputs},
    )


def _evidence(gaps: Gaps) -> dict[str, Any]:
    value, error = _sum(gaps, "log_evidence")
    method = gaps.methods.get("log_evidence", "sampled")
    if not math.isfinite(value):
        return {"value": None, "method": f"{method}: no number", "standard_error": None}
    return {"value": value, "method": method, "standard_error": error}


def _held(gaps: Gaps) -> dict[str, Any]:
    gap, error = _sum(gaps, "amortization_gap")
    return {"gap": gap, "latents": len(gaps) * gaps.latents, "standard_error": error}
