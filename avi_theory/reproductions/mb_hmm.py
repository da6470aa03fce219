"""Margossian and Blei's counter-example for time series, its matrix, and a valid witness."""

from __future__ import annotations

import numpy as np

from avi_theory import Model, check, measure
from avi_theory.reproductions.base import MB, Experiment, Found, Progress
from avi_theory.results.reproduction import Curve, Line, Panel

PLACE = "appendix A.5 and its figure"
STEPS = {"small": 30, "full": 300}
RATIO = (3 - 5**0.5) / 2
"""Root of ρ + 1/ρ = 3: how a spike decays along the optimum."""
CHAIN = """
index n = 1:N
local z[0] ~ {start}
local z[n] ~ Normal(z[n-1], 1) for n in 1:N
observed x[n] ~ Normal(z[n], 1)
"""


def work(scale: str, seed: int, progress: Progress) -> Found:
    """The numbers at a scale."""
    size = STEPS[scale]
    lines, curves = [], []
    progress("the printed matrix")
    least = float(np.linalg.eigvalsh(_precision(size, -2.0))[0])
    right = float(np.linalg.eigvalsh(_precision(size, -1.0))[0])
    lines += [
        Line(
            "least eigenvalue of the printed precision matrix",
            None,
            PLACE,
            least,
            None,
            "different",
            "negative: with −2 beside the diagonal there is no such distribution",
        ),
        Line(
            "least eigenvalue with −1 beside the diagonal",
            None,
            "",
            right,
            None,
            "new",
            "positive: the posterior of the model as stated",
        ),
    ]
    ones, spike = np.ones(size), np.zeros(size)
    middle = size // 2
    spike[middle - 1] = 1.0
    for words, start, x in (
        ("x ≡ 1, flat z[0]", "Flat()", ones),
        ("x ≡ 1, z[0] ~ N(0, 1)", "Normal(0, 1)", ones),
        ("a spike", "Flat()", spike),
    ):
        progress(words)
        means = _means(start, x, seed)
        curves.append(Curve(words, tuple(range(1, size + 1)), tuple(means.tolist())))
        if words == "a spike":
            around = means[middle : middle + 6] / means[middle - 1 : middle + 5]
            lines.append(
                Line(
                    "ratio of neighbouring optima beside a spike",
                    None,
                    "",
                    float(around.mean()),
                    None,
                    "new",
                    f"theory: {RATIO:.6f}; x is 0 at all of them, the optima differ",
                )
            )
        elif start == "Flat()":
            spread = float(np.ptp(means))
            lines.append(
                Line(
                    "spread of the optimal means, x ≡ 1, flat z[0]",
                    "several values",
                    PLACE,
                    spread,
                    None,
                    "different",
                    "all are 1; only the sd of the last factor differs, an edge",
                )
            )
        else:
            lines.append(
                Line(
                    "first optimal mean, x ≡ 1, z[0] ~ N(0, 1)",
                    None,
                    "",
                    float(means[0]),
                    None,
                    "new",
                    "0.763932 by theory; the start shows in the first few only",
                )
            )
    verdict = check(Model(CHAIN.format(start="Flat()")), witness=False).closes
    lines.append(
        Line(
            "can one f of bounded inputs be ideal?",
            "no",
            PLACE,
            None,
            None,
            "same" if verdict == "no" else "different",
            f"check says {verdict}: the proposition stands, with the spike as its witness",
        )
    )
    panel = Panel("Optimal means of F-VI", "position n", "mean of q(z[n])", tuple(curves))
    return Found(tuple(lines), (panel,), NOTES)


def _precision(size: int, beside: float) -> np.ndarray:
    """Of z[1], …, z[N] with a flat start: 3 on the diagonal, `beside` next to it."""
    matrix = 3 * np.eye(size) + beside * (np.eye(size, k=1) + np.eye(size, k=-1))
    matrix[0, 0] = matrix[-1, -1] = 2.0
    return matrix


def _means(start: str, x: np.ndarray, seed: int) -> np.ndarray:
    found = measure(Model(CHAIN.format(start=start)), {"x": x}, seed=seed).posterior()
    return np.array([found[f"z[{n}]"]["mean"] for n in range(1, len(x) + 1)])


NOTES = (
    "The proposition, that no f of bounded inputs is ideal for a chain, is right. What does not "
    "carry it is the example: with the right matrix and the example's own data all optimal means "
    "are equal (so are all factors but the last, an edge).",
    "A spike carries it: beside it x is zero everywhere, and the optimal means fall geometrically.",
)

MB_HMM = Experiment(
    "mb-hmm",
    "A chain: the counter-example, corrected",
    "z[n] ~ N(z[n-1], 1), x[n] ~ N(z[n], 1), with z[0] unobserved. The paper shows that the "
    "optimal factors differ where the observations are equal, by an example with x ≡ 1.",
    MB,
    work,
)
