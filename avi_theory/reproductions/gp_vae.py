"""Gaussian-process encoders: does their uncertainty tell which images are hard?"""

from __future__ import annotations

import numpy as np

from avi_theory.reproductions.base import Experiment, Found, Progress
from avi_theory.reproductions.laboratory import basis, fitted, gaps_of, notes, row
from avi_theory.results.reproduction import Curve, Finding, Line, Panel

PAPER = (
    "Kim & Pavlovic, Reducing the amortization gap in variational autoencoders: a Bayesian random "
    "function approach (2021), arXiv:2102.03151; of this paper only the abstract is used, and "
    "the form of the encoder is this project's choice"
)


def work(scale: str, seed: int, progress: Progress) -> Found:
    """The numbers at a scale."""
    from scipy import stats

    gaps, scores = {}, {}
    for name, posterior in (("plain", "diagonal"), ("process", "process")):
        settings, images = basis(scale, seed, **{"encoder.posterior": posterior})
        trained = fitted(settings, images, name, progress)
        scores[name] = trained.scores["test"]
        gaps[name] = gaps_of(trained, images, scale, seed, progress, split="test", evidence=False)
    table = gaps["process"].per_image
    kept = np.isfinite(table["amortization_gap"])
    score, gap = table["difficulty"][kept], table["amortization_gap"][kept]
    rank = stats.spearmanr(score, gap)
    gain = scores["process"].elbo - scores["plain"].elbo
    error = float(np.hypot(scores["process"].standard_error, scores["plain"].standard_error))
    better: Finding = (
        "same" if gain > 3 * error else "different" if gain < -3 * error else "not comparable"
    )
    related: Finding = "same" if rank.statistic > 0 and rank.pvalue < 0.05 else "different"
    lines = (
        Line(
            "test L[q], process − plain (nats per image)",
            "higher test likelihood",
            "abstract",
            gain,
            error,
            better,
            "one seed; the error is that of the draws alone",
        ),
        Line(
            "rank correlation of S(x) with the amortization gap",
            "positive",
            "abstract",
            float(rank.statistic),
            None,
            related,
            f"Spearman over {len(gap)} test images, p = {rank.pvalue:.2g}",
        ),
        row("plain: amortization gap", gaps["plain"], "amortization_gap"),
        row("process: amortization gap", gaps["process"], "amortization_gap"),
    )
    panel = Panel(
        "One point for each test image",
        "difficulty S(x)",
        "amortization gap (nats)",
        (Curve("images", tuple(score.tolist()), tuple(gap.tolist())),),
        points=True,
    )
    return Found(lines, (panel,), notes(scale, gaps))


GP_VAE = Experiment(
    "gp-vae",
    "Gaussian-process encoders: is S(x) the difficulty of an image?",
    "Mean and log standard deviation of q are random functions. The abstract claims a higher test "
    "likelihood, and that the randomness quantifies how hard a Gaussian posterior is for each "
    "input.",
    PAPER,
    work,
)
