"""Bad input has one clear message; what goes wrong with an image is flagged and counted."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from avi_theory.errors import AviError
from avi_theory.results.gaps import FLAGS, Gaps
from avi_theory.vae import vae_gaps
from avi_theory.vae.gaps import Settings
from avi_theory.vae.gaps.flags import flagged

LIGHT = (torch.rand(5, 8, generator=torch.Generator().manual_seed(0)) > 0.5).float()
CHEAP = Settings(temperatures=4, chains=2, draws=200, most_draws=400, evaluations=20)
LINEAR = nn.Linear(3, 8)
PAIR = nn.Linear(8, 6)


def encoder(x):
    return PAIR(x).chunk(2, -1)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"encoder": PAIR}, r"returned one output.*\(mean, log_variance\)"),
        ({"encoder": lambda x: (*encoder(x), 0)}, "returned 3 outputs"),
        ({"encoder": lambda x: tuple(t + torch.nan for t in encoder(x))}, "NaN or infinite for 5"),
        ({"encoder": lambda x: tuple(t[:2] for t in encoder(x))}, r"\[5, d\]"),
        ({"images": LIGHT[:, :5]}, "cannot take images"),
        ({"images": LIGHT * 255}, "run from 0 to 255"),
        ({"images": LIGHT.where(LIGHT > 0, torch.nan)}, "NaN or infinity"),
        ({"images": [["a"]]}, "no array of numbers"),
        ({"decoder": nn.Linear(4, 8)}, r"cannot take codes \[2, 3\]"),
        ({"decoder": nn.Linear(3, 7)}, "last dimensions differ"),
        ({"decoder": lambda z: (LINEAR(z), z)}, "one tensor"),
        ({"decoder": lambda z: LINEAR(z) + torch.nan}, "z = 0 is NaN"),
        ({"likelihood": "bernouli"}, "Did you mean 'bernoulli'"),
        ({"likelihood": "gaussian"}, "needs its standard deviation"),
        ({"device": "meta"}, "Move them"),
    ],
)
def test_bad_input_says_what_is_wrong(broken, message):
    given = {"encoder": encoder, "decoder": LINEAR, "images": LIGHT, "settings": CHEAP} | broken
    with pytest.raises(AviError, match=message):
        vae_gaps(given.pop("encoder"), given.pop("decoder"), given.pop("images"), **given)


def test_nothing_of_the_modules_changes():
    decoder = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5)).train()
    before = [p.clone() for p in decoder.parameters()]
    state = torch.random.get_rng_state()
    found = vae_gaps(encoder, decoder, LIGHT, settings=CHEAP)
    assert decoder.training and decoder[1].training
    assert all(p.grad is None for p in decoder.parameters())
    assert all(torch.equal(a, b) for a, b in zip(before, decoder.parameters(), strict=True))
    assert torch.equal(state, torch.random.get_rng_state())
    plain = vae_gaps(encoder, decoder[0], LIGHT, settings=CHEAP)
    np.testing.assert_allclose(found.per_image["elbo"], plain.per_image["elbo"])


def test_an_image_whose_numbers_are_nan_is_counted_and_left_out():
    def decoder(z):  # not a number far from where the other images' codes lie
        return LINEAR(z).where(z[..., :1] < 40, torch.nan)

    def far(x):
        mean, v = encoder(x)
        return torch.cat([torch.full_like(mean[:1], 50.0), mean[1:]]), v

    found = vae_gaps(far, decoder, LIGHT, settings=CHEAP)
    flags = found.per_image["flag"]
    assert flags[0] & FLAGS["not_a_number"] and not (flags[1:] & FLAGS["not_a_number"]).any()
    assert found.flags["not_a_number"] == 1
    one = found.summary()["elbo"]
    assert (one.images, one.left_out) == (4, 1) and np.isfinite(one.mean)
    assert np.isfinite(found.per_image["elbo_optimum"]).all()


def test_an_encoder_that_sees_the_wrong_images_costs_amortization_only():
    bright = LIGHT * 8 - 4
    own = vae_gaps(encoder, LINEAR, bright, likelihood="gaussian", scale=0.7)
    other = vae_gaps(
        lambda x: encoder(x.roll(1, 0)), LINEAR, bright, likelihood="gaussian", scale=0.7
    )
    for name in ("elbo_optimum", "log_evidence", "approximation_gap"):
        np.testing.assert_allclose(own.per_image[name], other.per_image[name])
    assert (own.per_image["elbo"] != other.per_image["elbo"]).all()
    order = [3, 1, 4, 0, 2]
    moved = vae_gaps(encoder, LINEAR, bright[order], likelihood="gaussian", scale=0.7)
    for name in ("elbo", "amortization_gap"):
        np.testing.assert_allclose(moved.per_image[name], own.per_image[name][order], rtol=1e-5)


def test_each_flag_is_raised_beyond_noise_only():
    columns = {
        "elbo": np.array([-10.0, -10, -10, -10, np.nan]),
        "elbo_optimum": np.array([-9.0, -10.5, -10.02, -9, -9]),
        "log_evidence": np.array([-8.0, -8, -8, -9.5, -8]),
        "amortization_gap_standard_error": np.full(5, 0.01),
        "log_evidence_standard_error": np.full(5, 0.01),
        "elbo_optimum_standard_error": np.full(5, 0.01),
        "elbo_standard_error": np.full(5, 0.01),
    }
    assert flagged(columns).tolist() == [0, 1, 0, 2, 4]
    other = flagged(columns, diagonal=False).tolist()
    assert other[1] != 1, "a flow encoder may lie above the best Gaussian"
    assert (other[3], other[4]) == (2, 4)


def test_a_flow_below_its_gaussian_or_above_the_evidence_is_flagged():
    columns = {
        "elbo": np.full(5, -10.0),
        "elbo_optimum": np.full(5, -9.0),
        "elbo_flow": np.array([-8.5, -9.5, -9.02, -7.5, np.nan]),
        "log_evidence": np.full(5, -8.0),
    }
    errors = ("elbo", "elbo_optimum", "elbo_flow", "log_evidence", "amortization_gap", "flow_gain")
    columns |= {f"{name}_standard_error": np.full(5, 0.01) for name in errors}
    for diagonal in (True, False):
        assert flagged(columns, diagonal=diagonal).tolist() == [0, 1, 0, 2, 4]
    columns["elbo"] = np.array([-7.5, -10, -10, -10, -10])
    assert flagged(columns, diagonal=False)[0] == FLAGS["evidence_below_optimum"]


def test_a_failing_optimiser_is_flagged_not_averaged_away(monkeypatch):
    from avi_theory.vae.gaps import ladder

    def failing(problem, begin, **_):
        found = real(problem, begin, seed=0)
        found.q.mean[0] += 3.0
        return found

    real = ladder.optimum
    monkeypatch.setattr(ladder, "optimum", failing)
    found = vae_gaps(encoder, LINEAR, LIGHT, settings=CHEAP)
    assert found.per_image["flag"][0] & FLAGS["optimum_below_encoder"]
    assert found.per_image["amortization_gap"][0] < 0
    assert found.flags["optimum_below_encoder"] >= 1


def test_the_table_is_written_whole_or_not_at_all(tmp_path):
    import pandas as pd

    found = vae_gaps(encoder, LINEAR, LIGHT, settings=CHEAP, training_images=LIGHT[:3])
    assert isinstance(found, Gaps) and len(found.training) == 3
    value, error = found.generalization
    here, there = (np.mean(g.per_image["amortization_gap"]) for g in (found, found.training))
    assert value == pytest.approx(here - there) and error > 0
    path = found.to_parquet(tmp_path / "gaps.parquet")
    table = pd.read_parquet(path)
    assert len(table) == 5
    for name, column in found.per_image.items():
        np.testing.assert_array_equal(table[name], column, err_msg=name)
    with pytest.raises(AviError, match="Choose another path"):
        found.to_parquet(tmp_path / "nowhere" / "gaps.parquet")
    assert [p.name for p in tmp_path.iterdir()] == ["gaps.parquet"]
    ladder = found.per_image["approximation_gap"] + found.per_image["amortization_gap"]
    total = found.per_image["log_evidence"] - found.per_image["elbo"]
    np.testing.assert_allclose(ladder, total, atol=1e-9)
    assert found.to_dict()["flags"]["not_a_number"] == 0
