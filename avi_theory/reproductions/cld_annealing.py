"""Cremer, Li and Duvenaud: what annealing the entropy changes."""

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
from avi_theory.results.reproduction import Curve, Line, Panel

SOURCE = "public re-run of the paper's code on Fashion-MNIST, threshold 0.5"
PUBLISHED = {True: "−111.72 (5,000 epochs)", False: "−132.96"}


def work(scale: str, seed: int, progress: Progress) -> Found:
    """The numbers at a scale."""
    gaps, lines, tests, active = {}, [], [], []
    for annealed, words in ((True, "annealed"), (False, "not annealed")):
        changes = {} if annealed else {"training.warm_up": 0}
        settings, images = basis(scale, seed, **changes)
        trained = fitted(settings, images, words, progress)
        score = trained.scores["test"]
        gaps[words] = gaps_of(trained, images, scale, seed, progress)
        tests.append(score.elbo)
        active.append(float(score.active or 0))
        lines += [
            Line(
                f"{words}: test L[q] (nats per image)",
                PUBLISHED[annealed],
                SOURCE,
                score.elbo,
                score.standard_error,
                "not comparable" if scale == "small" else "new",
                f"sampled with {score.draws} draws, {score.images} images",
            ),
            Line(
                f"{words}: active coordinates",
                None,
                "",
                active[-1],
                None,
                "new",
                "posterior mean varies by more than 0.01 over images",
            ),
            row(f"{words}: amortization gap", gaps[words], "amortization_gap"),
            row(f"{words}: approximation gap", gaps[words], "approximation_gap"),
        ]
    lines.append(
        claim(
            "gain of annealing on test images (nats per image)",
            "positive, with more active coordinates",
            SOURCE,
            tests[0] > tests[1] and active[0] >= active[1],
            tests[0] - tests[1],
            f"active coordinates: {active[0]:.0f} with, {active[1]:.0f} without",
        )
    )
    names = tuple(gaps)
    curves = tuple(
        Curve(label, (0.0, 1.0), tuple(mean(gaps[n], column) for n in names))
        for label, column in (
            ("amortization", "amortization_gap"),
            ("approximation", "approximation_gap"),
        )
    )
    panel = Panel("0: annealed, 1: not annealed", "training", "gap, mean (nats)", curves)
    return Found(tuple(lines), (panel,), notes(scale, gaps))


CLD_ANNEALING = Experiment(
    "cld-annealing",
    "Annealing the entropy",
    "The same VAE trained with the weight of KL raised from 0 to 1 at the start, and without: "
    "bounds, active coordinates and gaps.",
    CLD,
    work,
)
