"""Encoders beside their controls: matched, paired, resumable, and right where truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from avi_theory.errors import InputError
from avi_theory.results.trial import Arm
from avi_theory.vae.experiments import arms_of, compare_encoders, contrast, truth_of
from avi_theory.vae.train.settings import EncoderSettings, Settings, TrainingSettings

TINY = Settings(
    encoder=EncoderSettings(hidden=(8,), hyper=(4,)),
    training=TrainingSettings(epochs=3, batch=50, rate=1e-2, every=3),
)


def truth(kind="linear"):
    return truth_of(kind, TINY, train=100, test=20)


def test_controls_are_matched_to_the_adaptive_encoder():
    base = Settings(encoder=EncoderSettings(hidden=(64, 64)))
    arms = {p.name: p for p in arms_of(base, (8, 8), curve=True)}
    film = arms["film"]
    assert film.parameters > 1.5 * arms["plain"].parameters
    assert arms["plain, equal parameters"].parameters == pytest.approx(film.parameters, rel=0.03)
    assert arms["plain, equal FLOPs"].flops == pytest.approx(film.flops, rel=0.03)
    assert arms["plain, frozen decoder"].frozen and not film.frozen
    assert arms["film, half width"].parameters < film.parameters


def test_an_encoder_without_layers_cannot_be_matched():
    bare = replace(TINY, encoder=EncoderSettings(hidden=()))
    with pytest.raises(InputError, match="hidden"):
        arms_of(bare, (12,))


def test_a_linear_truth_has_the_exact_divergence():
    """log p − ELBO from the closed form of the joint Gaussian, beside the trial's own numbers."""
    made = truth()
    found = compare_encoders("t", made.settings, made.images, seeds=(0, 1), gaps=10, truth=made)
    arms = {a.name: a for a in found.arms}
    assert all(a.frozen for a in found.arms)
    assert "plain, frozen decoder" not in arms
    for arm in found.arms:
        assert np.all(np.array(arm.values["divergence"]) >= np.array(arm.values["gap"]) - 1e-5)
        assert np.all(np.array(arm.values["gap"]) > 0)


def test_images_follow_the_fixed_decoder():
    made = truth("curved")
    with torch.no_grad():
        z = torch.randn((4000, 2), generator=torch.Generator().manual_seed(1))
        mean = made.vae.decoder(z).mean(0)
    np.testing.assert_allclose(made.images.train.mean(0), mean, atol=0.5)
    with pytest.raises(InputError, match="curved"):
        truth_of("curvd", TINY)


def test_an_interrupted_comparison_goes_on_to_the_same_numbers(tmp_path):
    made = truth()

    def run(folder=None, stop=None):
        count = 0

        def say(line):
            nonlocal count
            count += 1
            if count == stop:
                raise KeyboardInterrupt

        return compare_encoders(
            "t", made.settings, made.images, seeds=(0, 1), gaps=0,
            checkpoint=folder, progress=say, truth=made,
        )  # fmt: skip

    whole = run()
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "kept", stop=5)
    again = run(tmp_path / "kept")
    assert [a.values for a in again.arms] == [a.values for a in whole.arms]


def test_a_contrast_is_the_paired_test():
    from scipy import stats

    a, b = (1.0, 2.0, 4.0, 3.5), (0.5, 1.0, 3.5, 2.0)
    found = contrast(Arm("a", 1, 1, False, {"elbo": a}), Arm("b", 1, 1, False, {"elbo": b}), "elbo")
    apart = np.subtract(a, b)
    assert found.difference == pytest.approx(apart.mean())
    assert found.effect == pytest.approx(apart.mean() / apart.std(ddof=1))
    assert found.t == pytest.approx(stats.ttest_1samp(apart, 0).pvalue)
    with pytest.raises(InputError, match="seeds"):
        contrast(Arm("a", 1, 1, False, {"elbo": a}), Arm("b", 1, 1, False, {"elbo": b[:2]}), "elbo")
