"""`avi vae`: train and measure, and refuse what does not fit with one message."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from avi_theory.errors import InputError
from avi_theory.gallery import configuration_names, configuration_path, gallery_names
from avi_theory.vae import load_vae
from avi_theory.vae.train import load_settings

CONFIG = """
[data]
name = "{data}"
validation = 0.2

[model]
latents = 2

[encoder]
hidden = [6]

[decoder]
hidden = [6]

[training]
epochs = 3
batch = 20
"""


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A configuration with forty images of its own."""
    folder = tmp_path_factory.mktemp("vae")
    x = (np.random.default_rng(0).random((40, 4, 4)) < 0.5).astype(np.uint8) * 255
    np.savez(folder / "x.npz", train=x, test=x[:7])
    path = folder / "toy.toml"
    path.write_text(CONFIG.format(data=folder / "x.npz"))
    return path


@pytest.mark.parametrize("name", configuration_names())
def test_configurations_of_the_package_are_read(name):
    assert load_settings(configuration_path(name)).title
    assert name not in gallery_names()


def test_train_then_gaps(avi, toy, tmp_path):
    kept = tmp_path / "m.safetensors"
    found = avi("vae", "train", toy, "--save", kept, "--out", tmp_path / "o", "--json")
    assert found.code == 0 and found.err == ""
    told = found.json
    assert told["epochs"] == 3 and set(told["scores"]) == {"train", "validation", "test"}
    assert told["data"]["binarization"].startswith("threshold")
    files = {p.name for p in (tmp_path / "o").iterdir()}
    assert {"toy.train.json", "toy.train.html"} <= files
    arguments = ("--images", 3, "--temperatures", 0, "--table", tmp_path / "t.parquet", "--json")
    told = avi("vae", "gaps", kept, *arguments).json
    assert len(told["per_image"]["elbo"]) == 3 and (tmp_path / "t.parquet").is_file()
    assert told["provenance"]["data"]["train"] == 32
    refined = avi("vae", "gaps", kept, "--refine", 8, *arguments).json
    a, b = (np.mean(x["per_image"]["amortization_gap"]) for x in (told, refined))
    assert b < 0.5 * a


def test_encoders_are_compared(avi, toy, tmp_path):
    arguments = ("--seeds", 2, "--gaps", 0, "--out", tmp_path / "o", "--json")
    told = avi("vae", "compare", toy, *arguments).json
    assert {c["quantity"] for c in told["contrasts"]} == {"elbo"}
    assert len(told["arms"]) == 6 and all(len(a["values"]["elbo"]) == 2 for a in told["arms"])
    assert {"x.encoders.json", "x.encoders.md"} <= {p.name for p in (tmp_path / "o").iterdir()}
    known = avi(
        "vae", "compare", toy, "--synthetic", "linear", "--gaps", 5, *arguments[:2], "--json"
    )
    assert {c["quantity"] for c in known.json["contrasts"]} == {"elbo", "gap", "divergence"}


def test_entries_change_the_configuration(avi, toy):
    changes = ("--set", "training.epochs=1", "--set", "encoder.adapt=film", "--seed", 5)
    told = avi("vae", "train", toy, *changes, "--json").json
    assert told["epochs"] == 1 and told["provenance"]["seed"] == 5
    assert told["settings"]["encoder"]["adapt"] == "film"
    assert "sampled ELBO" in avi("vae", "train", toy, *changes).out


def test_an_encoder_for_a_frozen_decoder(avi, toy, tmp_path):
    kept = tmp_path / "m.safetensors"
    avi("vae", "train", toy, "--save", kept)
    other, narrow = tmp_path / "n.safetensors", ("--set", "encoder.hidden=[3]")
    assert avi("vae", "train", toy, "--decoder", kept, *narrow, "--save", other).code == 0
    first, second = (load_vae(p).model for p in (kept, other))
    pairs = zip(first.decoder.parameters(), second.decoder.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def spied(monkeypatch, name):
    """What a function of the laboratory is called with; it refuses, so nothing is run."""
    seen = {}

    def spy(*given, **options):
        seen.update(options, given=given)
        raise InputError("Seen.")

    monkeypatch.setattr(name, spy)
    return seen


def test_every_option_of_gaps_arrives(avi, refused, toy, tmp_path, monkeypatch):
    kept = tmp_path / "m.safetensors"
    avi("vae", "train", toy, "--save", kept)
    seen = spied(monkeypatch, "avi_theory.vae.vae_gaps")
    counts = ("--images", 3, "--training-images", 2, "--sandwich", 5, "--seed", 9)
    refused("vae", "gaps", kept, *counts, "--flow", "--temperatures", 7, "--chains", 4)
    assert (len(seen["given"][2]), len(seen["training_images"])) == (3, 2)
    assert (seen["sandwich"], seen["seed"]) == (5, 9)
    hard = seen["settings"]
    assert (hard.flow, hard.temperatures, hard.chains) == (True, 7, 4)


def test_every_option_of_compare_arrives(refused, monkeypatch):
    seen = spied(monkeypatch, "avi_theory.vae.experiments.compare_encoders")
    counts = ("--seeds", 3, "--gaps", 7, "--images", 120)
    refused("vae", "compare", "digits", *counts, "--adapt", "scale", "--curve")
    assert list(seen["seeds"]) == [0, 1, 2] and seen["gaps"] == 7
    assert (seen["modulation"], seen["curve"], seen["truth"]) == ("scale", True, None)
    assert len(seen["given"][2].train) == 120


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("train", "digts"), "digits"),
        (("train", "absent.toml"), "cannot be read"),
        (("train", "digits", "--set", "training.epoch=3"), "'epochs'"),
        (("train", "digits", "--set", "epochs=3"), "SECTION.KEY=VALUE"),
        (("train", "digits", "--set", "training.epochs=no"), "a whole number"),
        (("train", "fashion_mnist", "--data-folder", "/nowhere"), "--download"),
        (("train", "digits", "--device", "tpu"), "tpu"),
        (("gaps", "absent"), "avi vae train --save"),
        (("compare", "digits", "--adapt", "flim"), "film"),
        (("compare", "digits", "--synthetic", "curvy"), "curved"),
    ],
)
def test_bad_input(refused, arguments, words):
    assert words in refused("vae", *arguments)


def test_a_model_of_other_images_is_refused(avi, refused, toy, tmp_path):
    kept = tmp_path / "m.safetensors"
    avi("vae", "train", toy, "--save", kept)
    good = (toy.parent / "x.npz").read_bytes()
    x = np.zeros((40, 5, 5), np.uint8)
    np.savez(toy.parent / "x.npz", train=x, test=x[:7])
    message = refused("vae", "gaps", kept)
    (toy.parent / "x.npz").write_bytes(good)
    assert "trained on images [4, 4], but these are [5, 5]" in message


def test_a_checkpoint_of_another_model_is_refused(avi, refused, toy, tmp_path):
    folder = tmp_path / "c"
    first = avi("vae", "train", toy, "--checkpoint", folder, "--json").json
    again = avi("vae", "train", toy, "--checkpoint", folder, "--json").json
    assert first["scores"] == again["scores"]
    kept = {p.name: p.read_bytes() for p in folder.iterdir()}
    message = refused("vae", "train", toy, "--checkpoint", folder, "--set", "model.latents=3")
    assert "settings differs" in message
    assert kept == {p.name: p.read_bytes() for p in folder.iterdir()}
    assert json.loads(kept["checkpoint.json"])["identity"]["model"] == "vae"
