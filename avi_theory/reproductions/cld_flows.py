"""Cremer, Li and Duvenaud: do a flow's parameters help amortize?"""

from __future__ import annotations

from dataclasses import replace

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
    settings, images = basis(scale, seed)
    whole = fitted(settings, images, "the decoder", progress)
    gaps, lines = {}, []
    for name, posterior in (("Gaussian", "diagonal"), ("flow", "flow")):
        tiny = replace(settings.encoder, hidden=(4,), posterior=posterior)
        trained = fitted(
            replace(settings, encoder=tiny), images, f"a tiny {name} encoder", progress, whole.model
        )
        gaps[name] = gaps_of(trained, images, scale, seed, progress, evidence=False)
        lines.append(row(f"tiny {name} encoder: L[q]", gaps[name], "elbo"))
    gain = mean(gaps["flow"], "elbo") - mean(gaps["Gaussian"], "elbo")
    room = mean(gaps["Gaussian"], "approximation_gap")
    lines.append(
        claim(
            "what the flow gains for the tiny encoder (nats per image)",
            "flow parameters help amortize",
            CLD,
            gain > room,
            gain,
            f"the best Gaussian of each image leaves {room:.3f} nats to log p(x); a gain above "
            "that came from amortizing better",
        )
    )
    curve = Curve("tiny encoders", (0.0, 1.0), tuple(mean(g, "elbo") for g in gaps.values()))
    best = {"best Gaussian of each image": mean(gaps["Gaussian"], "elbo_optimum")}
    panel = Panel(
        "0: Gaussian, 1: flow",
        "family",
        "L[q], mean over images (nats)",
        (curve,),
        levels=best,
        points=True,
    )
    return Found(tuple(lines), (panel,), notes(scale, gaps))


CLD_FLOWS = Experiment(
    "cld-flows",
    "Do a flow's parameters help amortize?",
    "The decoder is frozen, and a very small encoder is trained anew, once with a diagonal "
    "Gaussian and once with a flow. The paper finds that the flow's parameters lessen the "
    "amortization gap as well.",
    CLD,
    work,
)
