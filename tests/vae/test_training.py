"""Training: it climbs, resumes bit by bit, stops when told, and refuses what does not belong."""

import dataclasses
import json
import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from avi_theory.errors import DataError, InputError
from avi_theory.vae import Gaussian, elbo, posterior_of
from avi_theory.vae.data import Images
from avi_theory.vae.train import build, load_settings, load_vae, loop, objective, settings_of, train
from avi_theory.vae.train.schedules import SCHEDULES, cld
from avi_theory.vae.train.settings import POSTERIORS


def settings(**training):
    changes = {
        "data": {"name": "digits"},
        "model": {"latents": 2},
        "encoder": {"hidden": [8], "hyper": [4], "flow": [6]},
        "decoder": {"hidden": [8]},
        "training": {"epochs": 4, "batch": 16, "rate": 0.01, "every": 2, **training},
    }
    return settings_of(changes)


def changed(s, section, **values):
    return dataclasses.replace(s, **{section: dataclasses.replace(getattr(s, section), **values)})


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    pattern = rng.random((3, 4, 4)) < 0.5
    x = (pattern[rng.integers(0, 3, 90)] ^ (rng.random((90, 4, 4)) < 0.05)).astype(np.uint8)
    described = {"name": "toy", "source": "drawn", "shape": [4, 4], "binarization": "none"}
    return Images("toy", x[:60], x[60:75], x[75:], 1.0, described)


def weights(found):
    return found.model.state_dict()


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.values(), b.values(), strict=True))


@pytest.mark.parametrize(
    "encoder",
    [
        {},
        {"adapt": "film"},
        {"posterior": "process"},
        {"posterior": "flow"},
        {"posterior": "auxiliary", "adapt": "low_rank"},
        {"steps": 1},
    ],
    ids=str,
)
def test_every_encoder_learns(encoder, images):
    s = changed(settings(epochs=12, warm_up=2), "encoder", **encoder)
    found = train(s, images)
    assert found.status == "finished"
    before = build(s, images.event).eval()
    x = images.tensor("test")
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        q = posterior_of(before, x)
        start = elbo(before.decoder, before.likelihood, q, x, draws=100, generator=rng)
    assert found.scores["test"].elbo > float(start.value.mean()) + 1


@pytest.mark.parametrize(
    "training",
    [{"objective": "iwae", "draws": 3}, {"precision": "bfloat16"}, {"precision": "float64"}],
    ids=str,
)
def test_other_objectives_and_precisions(training, images):
    history = train(settings(epochs=8, **training), images).history
    assert history[-1]["train"] > history[0]["train"]


def test_iwae_bounds_are_tighter_and_warm_up_weighs(images):
    model = build(settings(), images.event).eval()
    x = images.tensor("train")

    def value(**options):
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            return float(objective(model, x, generator, **options).mean())

    assert value(draws=50, importance=True) > value(draws=50)
    with torch.no_grad():
        divergence = float(model.posterior(x).divergence().mean())
    lighter = value(draws=1, weight=0.25) - value(draws=1)
    assert math.isclose(lighter, 0.75 * divergence, rel_tol=1e-3, abs_tol=1e-5)


class Interrupted(Exception):
    pass


def test_an_interrupted_run_goes_on_bit_by_bit(images, tmp_path):
    s = changed(settings(epochs=6, patience=6), "encoder", adapt="film")
    whole = train(s, images)
    seen = []

    def stop(words):
        seen.append(words)
        if len(seen) == 4:
            raise Interrupted

    with pytest.raises(Interrupted):
        train(s, images, checkpoint=tmp_path / "c", every=0.0, progress=stop)
    again = train(s, images, checkpoint=tmp_path / "c", every=0.0, progress=seen.append)
    assert seen[4].startswith("epoch 4 of 6") and "left" in seen[4]
    assert same(weights(whole), weights(again))
    assert whole.history == again.history
    assert same(weights(whole), weights(train(s, images, checkpoint=tmp_path / "c")))


def test_a_checkpoint_of_something_else_is_refused(images, tmp_path):
    train(settings(epochs=1), images, checkpoint=tmp_path / "c")
    kept = {p.name: p.read_bytes() for p in (tmp_path / "c").iterdir()}
    with pytest.raises(InputError, match="settings differs"):
        train(settings(epochs=2), images, checkpoint=tmp_path / "c")
    other = dataclasses.replace(images, train=1 - images.train)
    with pytest.raises(InputError, match="data was"):
        train(settings(epochs=1), other, checkpoint=tmp_path / "c")
    assert kept == {p.name: p.read_bytes() for p in (tmp_path / "c").iterdir()}


def test_a_mapped_file_gives_the_same(images, tmp_path, monkeypatch):
    np.save(tmp_path / "x.npy", images.train)
    mapped = dataclasses.replace(images, train=np.load(tmp_path / "x.npy", mmap_mode="r"))
    resident = train(settings(), images)
    monkeypatch.setattr(loop, "RESIDENT", 0)
    assert same(weights(resident), weights(train(settings(), mapped)))


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # torch's compiler's own
def test_compiled_networks_train_alike(images):
    found, compiled = (train(settings(compile=c), images).history for c in (False, True))
    for a, b in zip(found, compiled, strict=True):
        assert math.isclose(a["train"], b["train"], rel_tol=1e-4)


def test_early_stopping_keeps_the_best(images):
    found = train(settings(epochs=400, rate=0.05, patience=6), images)
    assert found.status == "stopped early"
    seen = {h["epoch"]: h["validation"] for h in found.history if "validation" in h}
    best = max(seen, key=seen.get)
    assert len(found.history) - best >= 6
    repeated = train(settings(epochs=best, rate=0.05), images)
    assert same(weights(found), weights(repeated))


def test_divergence_is_a_status(images):
    found = train(settings(rate=1e30), images)
    assert found.status == "diverged"


@pytest.mark.parametrize("posterior", POSTERIORS)
def test_saved_models_come_back(images, tmp_path, posterior):
    s = changed(settings(epochs=1), "encoder", adapt="film", posterior=posterior)
    found = train(s, images)
    found.save(tmp_path / "m.safetensors")
    loaded = load_vae(tmp_path / "m.safetensors")
    assert loaded.settings == s and loaded.data["shape"] == [4, 4]
    assert same(weights(found), loaded.model.state_dict())
    assert json.loads(found.result("toy").to_json())["parameters"]["decoder"] == 8 * 3 + 16 * 9
    (tmp_path / "no.safetensors").write_bytes(b"x" * 99)
    save_file(load_file(tmp_path / "m.safetensors"), tmp_path / "bare.safetensors")
    for name, words in (
        ("no", "no saved model"),
        ("bare", "no model of this version"),
        ("?", "ex"),
    ):
        with pytest.raises(InputError, match=words):
            load_vae(tmp_path / f"{name}.safetensors")
    assert not list(tmp_path.glob(".*"))


def test_a_frozen_decoder_stays(images):
    first = train(settings(epochs=2), images).model
    kept = {k: v.clone() for k, v in first.decoder.state_dict().items()}
    second = train(changed(settings(epochs=2), "encoder", hidden=()), images, decoder=first).model
    assert same(kept, second.decoder.state_dict()) and same(kept, first.decoder.state_dict())
    with pytest.raises(InputError, match="decoder of the other model"):
        train(changed(settings(), "model", latents=3), images, decoder=first)


def test_a_learned_scale_moves(images):
    s = changed(settings(rate=0.05), "model", likelihood="gaussian", scale=1.0, learned=True)
    likelihood = train(s, images).model.likelihood
    assert isinstance(likelihood, Gaussian) and float(likelihood.scale.detach()) < 0.95


def test_levels_are_learned(images):
    s = changed(settings(epochs=10), "model", likelihood="categorical", levels=3)
    found = train(s, dataclasses.replace(images, train=2 * images.train))
    assert found.history[-1]["train"] > -16 * math.log(3)  # better than level by level at random
    assert found.model.encoder.scale == 0.5


def test_images_out_of_range_are_refused(images):
    with pytest.raises(DataError, match="from 0 to 7"):
        train(settings(), dataclasses.replace(images, unit=7.0))


def test_the_staircase_takes_3280_epochs():
    rates = [cld(k, 3280) for k in range(3281)]
    assert [rates.count(r) for r in sorted(set(rates), reverse=True)] == [
        *(3**i for i in range(8)),
        1,
    ]
    assert all(SCHEDULES[n](0, 10) == 1 for n in SCHEDULES)


def test_settings_tell_all_problems_at_once(tmp_path):
    content = {
        "data": {"nme": "x", "validation": "a"},
        "encodr": {},
        "encoder": {"hidden": [0]},
        "training": {"epochs": True},
    }
    with pytest.raises(InputError) as caught:
        settings_of(content)
    for words in ("5 problems", "'name'", "data.validation", "'encoder'", "[200, 200]", "whole"):
        assert words in str(caught.value)
    wrong = {
        "encoder": {"adapt": "flim", "steps": 1, "posterior": "flow"},
        "training": {"draws": 0},
    }
    with pytest.raises(InputError) as caught:
        settings_of(wrong)
    for words in ("3 problems", "'film'", "training.draws = 0", "diagonal"):
        assert words in str(caught.value)
    path = tmp_path / "x.toml"
    path.write_text("[training]\nepochs = 3\n")
    assert load_settings(path).training.epochs == 3
    path.write_text("[training")
    with pytest.raises(InputError, match="no TOML"):
        load_settings(path)
    with pytest.raises(InputError, match="cannot be read"):
        load_settings(tmp_path / "absent.toml")
