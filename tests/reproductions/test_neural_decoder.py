"""The Bayesian neural decoder: its expectations by brute force, and what a restart starts from."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from avi_theory.errors import InputError
from avi_theory.reproductions.base import Progress
from avi_theory.reproductions.neural_decoder import CODED, PRINTED, SLOPE, Weights
from avi_theory.reproductions.neural_runs import Size, families

IMAGES, DRAWS = 3, 20_000


def weights(widths: tuple[int, ...]) -> Weights:
    """Of one seed, with means and spreads that matter."""
    found = Weights(widths, 1, torch.Generator().manual_seed(1), 1.0)
    for log_sd in found.log_sds:
        log_sd.data.fill_(math.log(0.4))
    return found


@torch.no_grad()
@pytest.mark.parametrize("widths", [(2, 3), (2, 4, 4, 3)], ids=["linear", "deep"])
def test_errors_agree_with_drawn_weights(widths):
    """E‖x − f(z)‖² from drawn units and an integrated last layer, against whole networks."""
    q, draw = weights(widths), torch.Generator().manual_seed(2)
    z, x = torch.randn((1, IMAGES, 2), generator=draw), torch.randn((IMAGES, 3), generator=draw)
    ours = torch.cat([q.errors(z, x, draw) for _ in range(DRAWS // 10)])
    h = z.expand(DRAWS, -1, -1)
    for k, (m, s) in enumerate(zip(q.means, q.log_sds, strict=True)):
        w = m + s.exp() * torch.randn((DRAWS, *m.shape[1:]), generator=draw)
        h = torch.nn.functional.leaky_relu(h, SLOPE) if k else h
        h = h @ w[:, :-1] + w[:, -1:]
    brute = (x - h).square().sum(-1)
    error = torch.hypot(brute.std(0) / DRAWS**0.5, ours.std(0) / len(ours) ** 0.5)
    assert ((ours.mean(0) - brute.mean(0)).abs() < 5 * error).all(), (ours.mean(0), brute.mean(0))


def test_entropies_lead_to_the_known_spreads():
    """The least of P s²/2 − H: s = P^-½ as printed, (1 + √(1 + 8P)) / 4P as coded."""
    precision = 5.0
    at = torch.linspace(-3, 1, 40_001, dtype=torch.float64)
    for objective, known in ((PRINTED, precision**-0.5), (CODED, (1 + math.sqrt(41)) / 20)):
        value = 0.5 * precision * (2 * at).exp() - objective.entropy(at)
        assert float(at[value.argmin()].exp()) == pytest.approx(known, abs=1e-3)


def test_a_restart_goes_on_where_the_network_was(tmp_path):
    """Without a step F-VI has A-VI's loss; steps of F-VI lower it; and what is kept is the same."""
    x = torch.randn((12, 6), generator=torch.Generator().manual_seed(3))
    size = Size("", 12, 1.0, 2, 4, (1, 3), 2, 0, 12, 1e-2, 1.0)
    quiet, keeping = Progress(lambda words: None), Progress(lambda words: None, tmp_path)
    told = families(x, size, PRINTED, 0, "printed", quiet)
    for width in size.widths:
        np.testing.assert_allclose(told[f"warm {width}"], told[width], rtol=1e-6)
    longer = replace(size, widths=(3,), steps=15)
    moved, again = (families(x, longer, PRINTED, 0, "printed", keeping) for _ in range(2))
    assert (moved["warm 3"] < told["warm 3"]).all()
    assert all((moved[key] == again[key]).all() for key in ("F-VI", "constant", 3, "warm 3"))
    with pytest.raises(InputError):
        families(x, longer, CODED, 0, "printed", keeping)
