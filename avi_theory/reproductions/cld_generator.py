"""Cremer, Li and Duvenaud: does the generator adapt to the family it was trained with?"""

from __future__ import annotations

from avi_theory.reproductions.base import Experiment, Found, Progress
from avi_theory.reproductions.laboratory import (
    CLD,
    basis,
    claim,
    fitted,
    gaps_of,
    mean,
    notes,
    row,
)
from avi_theory.results.reproduction import Curve, Panel


def work(scale: str, seed: int, progress: Progress) -> Found:
    """The numbers at a scale."""
    gaps, lines = {}, []
    for name, posterior in (("Gaussian", "diagonal"), ("flow", "auxiliary")):
        settings, images = basis(scale, seed, **{"encoder.posterior": posterior})
        trained = fitted(settings, images, f"with a {name} encoder", progress)
        gaps[name] = gaps_of(trained, images, scale, seed, progress)
        lines += [
            row(f"decoder trained with {name}: best Gaussian L[q*]", gaps[name], "elbo_optimum"),
            row(f"decoder trained with {name}: log p(x)", gaps[name], "log_evidence"),
        ]
    falls = mean(gaps["flow"], "approximation_gap") - mean(gaps["Gaussian"], "approximation_gap")
    lines.append(
        claim(
            "how much more a Gaussian loses on the flow's decoder (nats per image)",
            "more than 10, Fashion-MNIST",
            CLD,
            falls > 0,
            falls,
            "log p(x) − best Gaussian, means, one decoder less the other; the sign compares",
        )
    )
    curves = tuple(
        Curve(
            f"trained with {name}", (0.0, 1.0), (mean(g, "elbo_optimum"), mean(g, "log_evidence"))
        )
        for name, g in gaps.items()
    )
    panel = Panel("0: best Gaussian, 1: log p(x)", "rung", "mean over images (nats)", curves)
    return Found(tuple(lines), (panel,), notes(scale, gaps))


CLD_GENERATOR = Experiment(
    "cld-generator",
    "Does the generator adapt to the encoder's family?",
    "Two decoders, trained with a diagonal Gaussian and with an auxiliary flow; what the best "
    "Gaussian of each image reaches on either. If the true posterior has bent towards the family, "
    "a Gaussian loses more on the flow's decoder.",
    CLD,
    work,
)
