"""What a paired difference says of a claim: decided, decided against, or open."""

from __future__ import annotations

import pytest

from avi_theory.reproductions.ia_vae import MARGIN, better, equal
from avi_theory.results.trial import Arm, Trial
from avi_theory.vae.experiments import contrast

SPREAD = (0.0, 0.01, -0.01, 0.02)


def arm(name: str, level: float, spread: tuple[float, ...] = SPREAD) -> Arm:
    return Arm(name, len(name), 1, False, {"elbo": tuple(level + s for s in spread)})


@pytest.mark.parametrize(
    ("apart", "sign", "finding"), [(0.5, 1, "same"), (-0.5, 1, "different"), (-0.5, -1, "same")]
)
def test_a_clear_difference_decides_by_its_sign(apart, sign, finding):
    found = contrast(arm("film", apart), arm("plain", 0.0, SPREAD[::-1]), "elbo")
    assert better("bound", found, sign).finding == finding


def test_a_difference_within_the_noise_decides_nothing():
    line = better("bound", contrast(arm("film", 0.001), arm("plain", 0.0, SPREAD[::-1]), "elbo"), 1)
    assert line.finding == "not comparable"
    assert "not decided" in line.why


@pytest.mark.parametrize(
    ("apart", "noise", "finding"),
    [
        (0.0, 1.0, "same"),
        (-MARGIN / 2, 1.0, "same"),
        (-2 * MARGIN, 1.0, "different"),
        (0.0, 20.0, "not comparable"),
    ],
)
def test_equal_means_that_the_interval_stays_above_the_margin(apart, noise, finding):
    small, large = arm("film", apart), arm("plain", 0.0, tuple(noise * s for s in SPREAD[::-1]))
    line = equal(
        contrast(small, large, "elbo"), Trial("", (small, large), (), {}, {}, {"seeds": []})
    )
    assert line.finding == finding
    assert "4 against 5 parameters" in line.why
