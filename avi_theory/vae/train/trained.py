"""A trained model, kept as safetensors with a JSON header, never pickled."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from avi_theory.errors import InputError
from avi_theory.numeric.asked import device_named
from avi_theory.results.training import Training
from avi_theory.vae.counts import flop_count, parameter_count
from avi_theory.vae.model import VAE
from avi_theory.vae.train.build import build
from avi_theory.vae.train.evaluate import Score
from avi_theory.vae.train.settings import Settings, settings_of

FORMAT = "avi-theory vae 1"


@final
@dataclass(frozen=True, eq=False)
class Trained:
    """What training leaves.

    Attributes:
        model: with the best or the last parameters, in evaluation mode.
        settings: that it was trained with.
        data: the description of the images.
        history: objective and validation bound by epoch, in nats per image.
        scores: by split.
        status: finished, stopped early, or diverged.
        seconds: of training, over all resumptions.
        seconds_here: of this call, with scoring.
        device: that it ran on.
    """

    model: VAE
    settings: Settings
    data: Mapping[str, Any]
    history: tuple[Mapping[str, Any], ...]
    scores: Mapping[str, Score]
    status: str
    seconds: float
    seconds_here: float
    device: str

    def result(self, name: str) -> Training:
        """As plain numbers."""
        event = tuple(self.data["shape"])
        parameter = next(self.model.parameters())
        blank = torch.zeros((1, *event), dtype=parameter.dtype, device=parameter.device)
        return Training(
            name=name,
            status=self.status,
            epochs=len(self.history),
            seconds=self.seconds,
            parameters={
                "encoder": parameter_count(self.model.encoder),
                "decoder": sum(p.numel() for p in self.model.decoder.parameters()),
            },
            encoder_flops=flop_count(self.model.encoder, blank),
            latents=self.settings.model.latents,
            scores={k: s.to_dict() for k, s in self.scores.items()},
            history=tuple(dict(h) for h in self.history),
            data=dict(self.data),
            settings=self.settings.to_dict(),
            provenance={
                "seed": self.settings.training.seed,
                "device": self.device,
                "dtype": str(parameter.dtype).removeprefix("torch."),
                "versions": {"torch": torch.__version__},
            },
        )

    def save(self, path: str | Path) -> None:
        """Write the model, complete or not at all."""
        path = Path(path)
        header = {
            "format": FORMAT,
            "settings": json.dumps(self.settings.to_dict()),
            "data": json.dumps(dict(self.data)),
        }
        # Copies: safetensors refuses tensors that share memory.
        tensors = {k: v.detach().cpu().clone() for k, v in self.model.state_dict().items()}
        tensors = {k: v.contiguous() for k, v in tensors.items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        try:
            save_file(tensors, temporary, header)
            Path(temporary).replace(path)
        finally:
            Path(temporary).unlink(missing_ok=True)


@final
@dataclass(frozen=True, eq=False)
class Loaded:
    """A model that was saved.

    Attributes:
        model: in evaluation mode.
        settings: that it was trained with.
        data: the description of its images.
    """

    model: VAE
    settings: Settings
    data: Mapping[str, Any]


def load_vae(path: str | Path, *, device: str = "cpu") -> Loaded:
    """A model that `Trained.save` wrote.

    Raises:
        InputError: no such file, another kind of file, or one of another version.
    """
    path, where = Path(path), device_named(device)
    if not path.is_file():
        raise InputError(f"The model {path} does not exist. Train one: avi vae train --save PATH.")
    try:
        with safe_open(str(path), framework="pt", device=str(where)) as file:
            header = file.metadata() or {}
            tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as e:
        raise InputError(f"The file {path} is no saved model: {e}. Train it again.") from e
    if header.get("format") != FORMAT:
        raise InputError(
            f"The file {path} holds tensors, but no model of this version. Train one: "
            "avi vae train --save PATH."
        )
    data = json.loads(header["data"])
    settings = settings_of(json.loads(header["settings"]), str(path))
    model = build(settings, tuple(data["shape"]))
    try:
        model.load_state_dict(tensors)
    except RuntimeError as e:
        raise InputError(
            f"The file {path} holds another model than its own settings say: "
            f"{str(e).splitlines()[-1].strip()} Train it again."
        ) from e
    dtype = next(t.dtype for t in tensors.values() if t.is_floating_point())
    return Loaded(model.to(where, dtype).eval(), settings, data)


def compare_shapes(data: Mapping[str, Any], event: tuple[int, ...], path: str | Path) -> None:
    """Refuse images of another shape than a model was trained on.

    Raises:
        InputError: they are.
    """
    if math.prod(data["shape"]) != math.prod(event):
        raise InputError(
            f"The model {path} was trained on images {data['shape']}, but these are {list(event)}. "
            "Give the images that it was trained on."
        )
