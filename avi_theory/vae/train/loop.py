"""The training loop: epochs of Adam, resumable between any two of them, bit by bit."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from avi_theory.errors import InputError
from avi_theory.numeric.asked import device_named
from avi_theory.numeric.checkpoint import Checkpoint, fingerprint
from avi_theory.vae.data.images import Images
from avi_theory.vae.model import VAE
from avi_theory.vae.train.build import build
from avi_theory.vae.train.evaluate import Score, score
from avi_theory.vae.train.objective import objective
from avi_theory.vae.train.schedules import SCHEDULES
from avi_theory.vae.train.settings import Settings
from avi_theory.vae.train.trained import Trained

RESIDENT = 1 << 32
"""Bytes of training images that are kept on the device; more stay where they are, mapped."""
VALIDATION_DRAWS = 10
ALONE = 10_000_000
"""Multiplications of a step (images times weights) under which one thread does it."""
Telling = Callable[[str], None]


def train(
    settings: Settings,
    images: Images,
    *,
    device: str = "cpu",
    decoder: VAE | None = None,
    checkpoint: str | Path | None = None,
    every: float | None = None,
    progress: Telling | None = None,
) -> Trained:
    """Train a model.

    Args:
        settings: all of them.
        images: training, validation and test images; the test ones are only scored at the end.
        device: cpu or cuda.
        decoder: a trained model whose decoder and likelihood are taken over and kept as they are.
        checkpoint: a folder that keeps the state, so that an interrupted run goes on.
        every: seconds between two writes of it.
        progress: called with a line of words after each epoch.

    Raises:
        InputError: a decoder of other codes or images, or a checkpoint of something else.
        DataError: images that the likelihood knows nothing about.
    """
    where = device_named(device)
    dtype = torch.float64 if settings.training.precision == "float64" else torch.float32
    model = build(settings, images.event)
    if decoder is not None:
        _take_over(model, decoder)
    model.to(where, dtype)
    model.likelihood.check(images.tensor("validation"))
    model.likelihood.check(images.tensor("train", slice(0, 10_000)))
    run = _Run(model, settings, images, where, dtype, progress)
    began = time.perf_counter()
    with _threads(model, settings.training.batch):
        if checkpoint is None:
            found = run.all(None)
        else:
            keeper = Checkpoint(
                checkpoint, _identity(settings, images, decoder), device=where, every=every
            )
            found = keeper.result(lambda: run.all(keeper))
        run.restore(found["parameters"])
        model.eval()
        run.tell("drawing codes for the bounds of each split")
        scores: dict[str, Score] = {
            split: score(model, images, split, seed=settings.training.seed)
            for split in ("train", "validation", "test")
        }
    seconds = float(found["seconds"])
    return Trained(
        model, settings, images.description, tuple(found["history"]), scores, found["status"],
        seconds, time.perf_counter() - began, str(where),
    )  # fmt: skip


class _Run:
    """Model, optimiser and images of one training run."""

    def __init__(
        self,
        model: VAE,
        settings: Settings,
        images: Images,
        device: torch.device,
        dtype: torch.dtype,
        progress: Telling | None,
    ) -> None:
        self.model, self.settings, self.images = model, settings, images
        self.device, self.dtype, self.tell = device, dtype, progress or (lambda _: None)
        self.free = [p for p in model.parameters() if p.requires_grad]
        s = settings.training
        self.adam = torch.optim.Adam(self.free, s.rate, eps=s.epsilon)
        small = images.train.nbytes <= RESIDENT
        self.resident = torch.from_numpy(np.array(images.train)).to(device) if small else None
        if s.compile:
            for part in model.modules():
                if isinstance(part, nn.Sequential):
                    part.compile()

    def all(self, keeper: Checkpoint | None) -> dict[str, Any]:
        """Every epoch that is left."""
        s = self.settings.training
        state = (keeper.recall() if keeper else None) or {}
        epoch, history = int(state.get("epoch", 0)), list(state.get("history", []))
        best, spent = dict(state.get("best", {})), float(state.get("spent", 0.0))
        if state:
            self.restore(state["parameters"])
            self._restore_adam(state["adam"])
        began, first = time.perf_counter(), epoch
        status = "finished"
        while epoch < s.epochs:
            value = self._epoch(epoch)
            epoch += 1
            entry: dict[str, Any] = {"epoch": epoch, "train": value}
            if not math.isfinite(value):
                status = "diverged"
                history.append(entry)
                break
            if epoch % s.every == 0 or epoch == s.epochs:
                entry["validation"] = self._validate()
                if s.patience and entry["validation"] > best.get("value", -math.inf):
                    best = {
                        "value": entry["validation"],
                        "epoch": epoch,
                        "parameters": self.parameters(),
                    }
            history.append(entry)
            self._speak(entry, time.perf_counter() - began, epoch - first)
            if s.patience and epoch - best.get("epoch", epoch) >= s.patience:
                status = "stopped early"
                break
            if keeper is not None:
                keeper.keep(
                    {
                        "epoch": epoch, "history": history, "best": best,
                        "parameters": self.parameters(), "adam": self.adam.state_dict(),
                        "spent": spent + time.perf_counter() - began,
                    }
                )  # fmt: skip
        last = self.parameters() if status != "diverged" else {}
        return {
            "status": status,
            "history": history,
            "parameters": best.get("parameters", last),
            "seconds": spent + time.perf_counter() - began,
        }

    def parameters(self) -> dict[str, Tensor]:
        """Copies of all parameters and buffers."""
        return {k: v.detach().clone() for k, v in self.model.state_dict().items()}

    def restore(self, parameters: Mapping[str, Tensor]) -> None:
        """Take them over, if there are any."""
        if parameters:
            self.model.load_state_dict(dict(parameters))

    def _restore_adam(self, state: Mapping[str, Any]) -> None:
        moments = {int(k): v for k, v in state["state"].items()}
        self.adam.load_state_dict({**state, "state": moments})

    def _epoch(self, epoch: int) -> float:
        """One pass; the mean objective of its steps, in nats per image."""
        s = self.settings.training
        for group in self.adam.param_groups:
            group["lr"] = s.rate * SCHEDULES[s.schedule](epoch, s.epochs)
        count = len(self.images.train)
        orders = torch.Generator().manual_seed(_mixed(s.seed, epoch, 0))
        codes = torch.Generator(self.device).manual_seed(_mixed(s.seed, epoch, 1))
        order = torch.randperm(count, generator=orders)
        weight = min(1.0, (epoch + 1) / s.warm_up) if s.warm_up else 1.0
        total = torch.zeros((), device=self.device, dtype=self.dtype)
        self.model.train()
        for rows in order.split(s.batch):
            self.adam.zero_grad(set_to_none=True)
            each = objective(
                self.model, self._batch(rows), codes,
                draws=s.draws, weight=weight, importance=s.objective == "iwae",
                half=s.precision == "bfloat16",
            )  # fmt: skip
            (self.model.penalty() / count - each.mean()).backward()
            self.adam.step()
            total += each.detach().sum()
        return float(total) / count

    def _batch(self, rows: Tensor) -> Tensor:
        if self.resident is not None:
            stored = self.resident.index_select(0, rows.to(self.device))
            return self.images.ready(stored, self.dtype)
        return self.images.tensor("train", rows.numpy(), device=self.device, dtype=self.dtype)

    @torch.no_grad()
    def _validate(self) -> float:
        s = self.settings.training
        codes = torch.Generator(self.device).manual_seed(_mixed(s.seed, 0, 2))
        self.model.eval()
        count, total = len(self.images.validation), 0.0
        for k in range(0, count, 500):
            x = self.images.tensor(
                "validation", slice(k, k + 500), device=self.device, dtype=self.dtype
            )
            draws = max(VALIDATION_DRAWS, s.draws)
            each = objective(self.model, x, codes, draws=draws, importance=s.objective == "iwae")
            total += float(each.sum())
        return total / count

    def _speak(self, entry: Mapping[str, Any], seconds: float, done: int) -> None:
        epochs = self.settings.training.epochs
        left = seconds / done * (epochs - entry["epoch"])
        seen = f", validation {entry['validation']:.3f}" if "validation" in entry else ""
        name = self.settings.training.objective.upper()
        self.tell(
            f"epoch {entry['epoch']} of {epochs}, {name} {entry['train']:.3f}{seen} nats, "
            f"about {_duration(left)} left"
        )


@contextmanager
def _threads(model: VAE, batch: int) -> Iterator[None]:
    """One thread for small networks, which several only slow down; then as many as before."""
    before = torch.get_num_threads()
    small = batch * sum(p.numel() for p in model.parameters()) < ALONE
    torch.set_num_threads(1 if small else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _duration(seconds: float) -> str:
    """Hours, minutes and seconds, as 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _mixed(seed: int, epoch: int, stream: int) -> int:
    state = np.random.SeedSequence((seed, epoch, stream)).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))


def _take_over(model: VAE, other: VAE) -> None:
    """Another model's decoder and likelihood, frozen."""
    for name in ("decoder", "likelihood"):
        own, given = getattr(model, name), getattr(other, name)
        theirs = {k: tuple(v.shape) for k, v in given.state_dict().items()}
        if {k: tuple(v.shape) for k, v in own.state_dict().items()} != theirs:
            raise InputError(
                f"The {name} of the other model has another shape than these settings say. Use "
                "the [model] and [decoder] sections that it was trained with."
            )
        own.load_state_dict(given.state_dict())
        own.requires_grad_(False)


def _identity(settings: Settings, images: Images, decoder: VAE | None) -> dict[str, Any]:
    """What the answer depends on."""
    taken = decoder.state_dict() if decoder else {}
    stored = {"train": images.train, "validation": images.validation}
    return {
        "model": "vae",
        "settings": settings.to_dict(),
        "data": fingerprint(stored),
        "decoder": fingerprint({k: v.cpu().numpy() for k, v in taken.items()}) if taken else None,
        "torch": torch.__version__,
    }
