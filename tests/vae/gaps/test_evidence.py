"""Which of two lower bounds is taken: the larger, unless its error says nothing of it is sure."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from avi_theory.vae.gaps import evidence


@pytest.mark.parametrize(
    ("iwae", "ais", "taken"),
    [
        ((-10.0, 0.1), (-9.0, 0.1), "ais"),
        ((-9.0, 0.1), (-10.0, 0.1), "iwae"),
        ((-10.0, 0.1), (-9.0, 0.9), "iwae"),
        ((-9.0, 0.9), (-10.0, 0.1), "ais"),
        ((-10.0, 0.9), (-9.0, 0.8), "ais"),
        ((-9.0, 0.9), (-10.0, 0.8), "iwae"),
    ],
)
def test_the_larger_of_two_bounds_that_are_sure(iwae, ais, taken, monkeypatch):
    value, error, zero = *(torch.tensor([v]) for v in iwae), torch.zeros(1)
    found = {"ais": torch.tensor([ais[0]]), "ais_standard_error": torch.tensor([ais[1]])}
    monkeypatch.setattr(evidence, "annealed", lambda *_, **__: found)
    chosen = evidence.estimated(
        SimpleNamespace(d=3), None,
        SimpleNamespace(iwae=value, iwae_error=error, effective_blocks=zero),
        temperatures=9, chains=2, seed=0,
    )  # fmt: skip
    wanted = {"iwae": iwae, "ais": ais}[taken]
    assert float(chosen.value) == wanted[0]
    assert float(chosen.standard_error) == pytest.approx(wanted[1])
    assert chosen.method == "larger of IWAE and AIS" and {"iwae", "ais"} <= set(chosen.columns)
