"""Encoders beside their controls: matched, paired, resumable, and right where truth is known."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from avi_theory.errors import InputError
from avi_theory.results.trial import Arm
from avi_theory.vae.experiments import arms_of, compare_encoders, contrast, truth_of
from avi_theory.vae.experiments import run as module
from avi_theory.vae.experiments.synthetic import SCALE
from avi_theory.vae.train.build import build
from avi_theory.vae.train.evaluate import score
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


def test_parameters_and_arithmetic_are_matched_apart():
    base = Settings(encoder=EncoderSettings(hidden=(8,)))
    _, adaptive, first, second, *_ = arms_of(base, (8, 8), modulation="multiplicative")
    assert first.parameters == pytest.approx(adaptive.parameters, rel=0.03)
    assert second.flops == pytest.approx(adaptive.flops, rel=0.03)
    assert second.parameters > 1.05 * first.parameters


def test_an_encoder_without_layers_cannot_be_matched():
    bare = replace(TINY, encoder=EncoderSettings(hidden=()))
    with pytest.raises(InputError, match="hidden"):
        arms_of(bare, (12,))


def test_a_linear_truth_has_the_exact_divergence():
    """KL(q ‖ p(z | x)) and the gap beside the Gaussian posterior, on the first test images."""
    made = truth()
    weight, bias = (w.detach().double().numpy() for w in made.vae.decoder.parameters())
    x, q = made.images.test.astype(float), made.vae.posterior(made.images.tensor("test"))
    mean, log_variance = (t.detach().double().numpy() for t in (q.mean, q.log_variance))
    precision = np.eye(2) + weight.T @ weight / SCALE**2
    off = mean - np.linalg.solve(precision, weight.T @ (x - bias).T / SCALE**2).T
    spread = np.exp(log_variance) @ np.diag(precision) - 2 - log_variance.sum(1)
    far = 0.5 * ((off @ precision * off).sum(1) + spread - np.linalg.slogdet(precision)[1])
    least = 0.5 * (np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1])
    other = np.full_like(made.images.train, 9.0)  # which nothing here should look at
    images = replace(made.images, train=other, validation=other)
    found = module._measured(made.vae, images, 10, 0, "cpu", exact=True)
    assert found["divergence"] == pytest.approx(far[:10].mean(), rel=1e-4)
    assert found["gap"] == pytest.approx(far[:10].mean() - least, rel=1e-4)
    covariance = weight @ weight.T + SCALE**2 * np.eye(len(bias))
    exact = multivariate_normal(bias, covariance).logpdf(x) - far
    noise = score(made.vae, made.images, "test", seed=0).standard_error
    assert found["elbo"] == pytest.approx(exact.mean(), abs=5 * noise)


def test_arms_share_seeds_and_frozen_ones_the_plain_arms_decoder(monkeypatch):
    made, names, given, plain = truth(), [], [], {}

    def training(own, images, *, device, decoder):
        vae, seed = build(own, images.event), own.training.seed
        plain.setdefault(seed, vae)
        given.append((seed, decoder))
        return SimpleNamespace(model=vae)

    monkeypatch.setattr(module, "train", training)
    monkeypatch.setattr(module, "_measured", lambda *_, **__: {"elbo": float(len(given))})
    found = compare_encoders(
        "t", made.settings, made.images, seeds=(3, 5), curve=True, progress=names.append
    )
    assert len(names) == len(given) == 2 * len(found.arms) == 20
    for name, (seed, decoder) in zip(names, given, strict=True):
        assert name.endswith(f", seed {seed}")
        assert ("frozen" in name) == (decoder is not None), name
        if decoder is not None:
            pairs = zip(decoder.decoder.parameters(), plain[seed].decoder.parameters(), strict=True)
            assert all(torch.equal(a, b) for a, b in pairs), name
    assert {(c.arm, c.against) for c in found.contrasts} == {
        ("film", "plain"),
        ("film", "plain, equal parameters"),
        ("film", "plain, equal FLOPs"),
        ("film, frozen decoder", "plain, frozen decoder"),
        ("film, half width", "plain, double width"),
    }


def test_images_follow_the_fixed_decoder():
    made = truth("curved")
    with torch.no_grad():
        z = torch.randn((4000, 2), generator=torch.Generator().manual_seed(1))
        mean = made.vae.decoder(z).mean(0)
    np.testing.assert_allclose(made.images.train.mean(0), mean, atol=0.5)
    x = truth_of("linear", TINY, train=1000, test=1).images.train
    unseen = np.linalg.eigvalsh(np.cov(x.T))[:-2]  # ways that no code moves: noise alone
    assert unseen.mean() == pytest.approx(SCALE**2, rel=0.06)
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
    assert all(a.frozen for a in whole.arms) and len(whole.arms) == 4
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
    assert found.standard_error == pytest.approx(apart.std(ddof=1) / 2)
    assert found.wilcoxon == pytest.approx(stats.wilcoxon(apart).pvalue)
    assert found.t == pytest.approx(stats.ttest_1samp(apart, 0).pvalue)
    with pytest.raises(InputError, match="seeds"):
        contrast(Arm("a", 1, 1, False, {"elbo": a}), Arm("b", 1, 1, False, {"elbo": b[:2]}), "elbo")
