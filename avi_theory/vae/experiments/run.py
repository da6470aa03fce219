"""The comparison itself: every arm with every seed, each run kept as soon as it is done."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from avi_theory.numeric.checkpoint import Checkpoint, fingerprint
from avi_theory.results.trial import Arm, Contrast, Trial
from avi_theory.vae.data.images import Images
from avi_theory.vae.experiments.arms import Plan, arms_of
from avi_theory.vae.experiments.contrasts import contrast
from avi_theory.vae.experiments.synthetic import Truth
from avi_theory.vae.gaps import vae_gaps
from avi_theory.vae.gaps.ladder import Settings as Effort
from avi_theory.vae.model import VAE
from avi_theory.vae.train import Settings, train
from avi_theory.vae.train.build import build
from avi_theory.vae.train.evaluate import score

Say = Callable[[str], None]


def compare_encoders(
    name: str,
    settings: Settings,
    images: Images,
    *,
    seeds: Sequence[int] = tuple(range(10)),
    modulation: str = "film",
    curve: bool = False,
    gaps: int = 100,
    truth: Truth | None = None,
    device: str = "cpu",
    checkpoint: str | Path | None = None,
    progress: Say | None = None,
) -> Trial:
    """Train an adaptive encoder and its controls with the same seeds, and test the differences.

    Args:
        name: of the comparison.
        settings: of the plain arm.
        images: training, validation and test images.
        seeds: of weights, orders and codes; the same for all arms.
        modulation: of the adaptive arms.
        curve: whether to add arms of half and twice the width.
        gaps: test images whose amortization gap is measured; 0 for none.
        truth: the decoder that made synthetic images; all arms then train on it, frozen.
        device: cpu or cuda.
        checkpoint: a folder that keeps every finished run, so that an interrupted comparison
            goes on.
        progress: called with a line of words.

    Returns:
        Values by arm and seed, and contrasts with paired tests.

    Raises:
        InputError: settings that cannot be matched, or a checkpoint of another comparison.
    """
    begin = time.perf_counter()
    say = progress or (lambda line: None)
    plans = arms_of(settings, images.event, modulation=modulation, curve=curve)
    if truth is not None:
        plans = tuple(replace(p, frozen=True) for p in plans if not p.frozen)
    memory = None
    if checkpoint is not None:
        memory = Checkpoint(checkpoint, _identity(plans, settings, images, gaps, truth))
    found: dict[str, list[dict[str, float]]] = {p.name: [] for p in plans}
    for seed in seeds:
        taken = truth.vae if truth is not None else None
        for plan in plans:
            say(f"{plan.name}, seed {seed}")

            def work(p: Plan = plan, s: int = seed, decoder: VAE | None = taken) -> dict[str, Any]:
                vae = _trained(p, settings, images, s, decoder if p.frozen else None, device)
                values = _measured(vae, images, gaps, s, device, exact=truth is not None)
                return {"values": values, "state": _shared(vae) if p is plans[0] else {}}

            result = memory.result(work) if memory is not None else work()
            if plan is plans[0] and truth is None:
                taken = _with_decoder(settings, images, result["state"])
            found[plan.name].append(result["values"])
    arms = tuple(
        Arm(
            p.name, p.parameters, p.flops, p.frozen,
            {q: tuple(r[q] for r in found[p.name]) for q in found[p.name][0]},
        )
        for p in plans
    )  # fmt: skip
    return Trial(
        name, arms, _contrasts(arms, modulation), dict(images.description), settings.to_dict(),
        {
            "seeds": list(seeds),
            "device": device,
            "gap images": gaps,
            "seconds of this call": round(time.perf_counter() - begin, 1),
            "versions": {"python": platform.python_version(), "torch": torch.__version__},
        },
    )  # fmt: skip


def _trained(
    plan: Plan, settings: Settings, images: Images, seed: int, decoder: VAE | None, device: str
) -> VAE:
    own = replace(settings, encoder=plan.encoder, training=replace(settings.training, seed=seed))
    return train(own, images, device=device, decoder=decoder).model


def _shared(vae: VAE) -> dict[str, Tensor]:
    """Decoder and likelihood, what frozen arms take over."""
    state = vae.state_dict()
    return {k: v.detach().cpu() for k, v in state.items() if not k.startswith("encoder.")}


def _with_decoder(settings: Settings, images: Images, state: dict[str, Tensor]) -> VAE:
    vae = build(settings, images.event)
    vae.load_state_dict({**vae.state_dict(), **state})
    return vae.eval()


def _measured(
    vae: VAE, images: Images, gaps: int, seed: int, device: str, *, exact: bool
) -> dict[str, float]:
    """Quantities of one trained model on test images."""
    found = {"elbo": score(vae, images, "test", seed=seed).elbo}
    if gaps:
        some = images.tensor("test", slice(0, gaps), dtype=next(vae.parameters()).dtype)
        ladder = vae_gaps(
            vae, vae.decoder, some, likelihood=vae.likelihood, seed=seed, device=device,
            settings=Effort(temperatures=0), progress=lambda *_: None,
        ).summary()  # fmt: skip
        found["gap"] = ladder["amortization_gap"].mean
        if exact:
            found["divergence"] = ladder["log_evidence"].mean - ladder["elbo"].mean
    return found


def _contrasts(arms: Sequence[Arm], modulation: str) -> tuple[Contrast, ...]:
    """The adaptive arm against each control that shares its decoder's fate."""
    by_name = {a.name: a for a in arms}
    pairs = [
        (modulation, "plain"),
        (modulation, "plain, equal parameters"),
        (modulation, "plain, equal FLOPs"),
        (f"{modulation}, frozen decoder", "plain, frozen decoder"),
        (f"{modulation}, half width", "plain, double width"),
    ]
    return tuple(
        contrast(by_name[a], by_name[b], quantity)
        for a, b in pairs
        if a in by_name and b in by_name
        for quantity in by_name[a].values
        if len(by_name[a].values[quantity]) > 1
    )


def _identity(
    plans: Sequence[Plan], settings: Settings, images: Images, gaps: int, truth: Truth | None
) -> dict[str, Any]:
    """What every kept run depends on."""
    return {
        "arms": [[p.name, asdict(p.encoder)] for p in plans],
        "settings": settings.to_dict(),
        "data": fingerprint({"train": images.train, "test": images.test}),
        "gaps": gaps,
        "truth": truth is not None,
        "torch": torch.__version__,
    }
