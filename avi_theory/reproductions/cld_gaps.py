"""Cremer, Li and Duvenaud's first question: which gap dominates?"""

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

SOURCE = "public re-run of the paper's code on Fashion-MNIST, threshold 0.5, 5,000 epochs"
PUBLISHED = {"elbo": "−104.80", "elbo_optimum": "−99.06"}
WORDS = {
    "elbo": "L[q]",
    "elbo_optimum": "L[q*], diagonal Gaussian",
    "elbo_flow": "L[q*], flow",
    "log_evidence": "log p(x)",
}


def work(scale: str, seed: int, progress: Progress) -> Found:
    """The numbers at a scale."""
    lines, curves, gaps = [], [], {}
    for name, posterior in (("Gaussian encoder", "diagonal"), ("flow encoder", "auxiliary")):
        settings, images = basis(scale, seed, **{"encoder.posterior": posterior})
        trained = fitted(settings, images, name, progress)
        found = gaps_of(trained, images, scale, seed, progress, flow=True)
        gaps[name] = found
        for column, words in WORDS.items():
            anchor = PUBLISHED.get(column) if posterior == "diagonal" else None
            lines.append(row(f"{name}: {words}", found, column, anchor, SOURCE if anchor else ""))
        curves.append(
            Curve(name, tuple(map(float, range(len(WORDS)))), tuple(mean(found, c) for c in WORDS))
        )
    first = gaps["Gaussian encoder"]
    amortization, family = mean(first, "amortization_gap"), mean(first, "approximation_gap")
    lines.append(
        claim(
            "amortization gap over approximation gap, Gaussian encoder",
            "above 1",
            CLD,
            amortization > family,
            amortization / family,
            f"means: {amortization:.3f} and {family:.3f} nats per image",
        )
    )
    panel = Panel(
        "Rungs: " + ", ".join(f"{k} {w}" for k, w in enumerate(WORDS.values())),
        "rung",
        "mean over images (nats)",
        tuple(curves),
    )
    return Found(tuple(lines), (panel,), notes(scale, gaps))


CLD_GAPS = Experiment(
    "cld-gaps",
    "Which gap dominates?",
    "VAEs with a diagonal Gaussian and with an auxiliary flow encoder; on training images the "
    "encoder's bound, the best Gaussian's and the best flow's of each image, and log p(x) by "
    "annealing.",
    CLD,
    work,
)
