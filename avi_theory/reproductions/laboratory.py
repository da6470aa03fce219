"""What the reproductions of autoencoders share: small on the digits, full as the paper had it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from avi_theory.gallery import configuration_path
from avi_theory.reproductions.base import Progress
from avi_theory.results.gaps import Gaps, level
from avi_theory.results.reproduction import Finding, Line
from avi_theory.vae import Images, Settings, Trained, load_settings, train, vae_gaps
from avi_theory.vae.gaps import Settings as Effort
from avi_theory.vae.model import VAE

CLD = (
    "Cremer, Li & Duvenaud, Inference suboptimality in variational autoencoders (ICML 2018), "
    "arXiv:1801.03558"
)
EPOCHS = 150
"""Of the small runs."""
COUNTS = {"small": 100, "full": 1000}
"""Training images whose gaps are measured, the first ones, as in the paper."""
SMALL = (
    "The small run is on scikit-learn's 1,797 digits of 8 by 8 pixels (threshold 0.5), with 8 "
    "codes and layers of 64: its numbers cannot be compared with the paper's, the order of the "
    "gaps can."
)


def basis(scale: str, seed: int, **changes: Any) -> tuple[Settings, Images]:
    """Settings and images of a scale: the digits, or Fashion-MNIST by the paper's recipe."""
    small = scale == "small"
    told: dict[str, Any] = {"training.seed": seed}
    if small:
        told |= {"training.epochs": EPOCHS, "training.warm_up": 15}
    settings = load_settings(
        configuration_path("digits" if small else "fashion_mnist"), **{**told, **changes}
    )
    return settings, settings.data.images()


def fitted(
    settings: Settings, images: Images, words: str, progress: Progress, decoder: VAE | None = None
) -> Trained:
    """A trained model, told and kept by its words."""
    progress(f"training {words}")
    return train(
        settings, images, decoder=decoder, device=device(), checkpoint=progress.kept(words),
        progress=lambda line: progress.detail(f"training {words}: {line}"),
    )  # fmt: skip


def gaps_of(
    trained: Trained,
    images: Images,
    scale: str,
    seed: int,
    progress: Progress,
    *,
    split: str = "train",
    flow: bool = False,
    evidence: bool = True,
) -> Gaps:
    """The ladder on the first images of a split."""
    progress(f"gaps on {split} images")
    vae = trained.model
    some = images.tensor(split, slice(0, COUNTS[scale]), dtype=next(vae.parameters()).dtype)
    effort = Effort(flow=flow) if evidence else Effort(flow=flow, temperatures=0)
    if scale == "small" and evidence:
        effort = replace(effort, temperatures=200, chains=8)
    return vae_gaps(
        vae,
        vae.decoder,
        some,
        likelihood=vae.likelihood,
        seed=seed,
        device=trained.device,
        settings=effort,
        difficulty=getattr(vae.encoder, "difficulty", None),
        progress=lambda what, done, count: progress.detail(
            f"gaps on {split} images: {what}, {done} of {count}"
        ),
    )


def device() -> str:
    """The accelerator where there is one."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def row(
    quantity: str,
    gaps: Gaps,
    column: str,
    published: str | None = None,
    source: str = "",
    why: str = "",
) -> Line:
    """The median of a column, with the mean's error; medians because outliers ruin means."""
    found = level(gaps.per_image[column])
    words = f"median of {found.images} images; mean {found.mean:.3f}"
    if found.left_out:
        words += f", {found.left_out} without a number"
    finding: Finding = "new" if published is None else "not comparable"
    return Line(
        f"{quantity} (nats per image)",
        published,
        source,
        found.median,
        found.standard_error,
        finding,
        f"{words}{'; ' + why if why else ''}",
    )


def claim(quantity: str, published: str, source: str, holds: bool, ours: float, why: str) -> Line:
    """A statement that is there or not."""
    return Line(quantity, published, source, ours, None, "same" if holds else "different", why)


def notes(scale: str, gaps: Mapping[str, Gaps]) -> tuple[str, ...]:
    """What the small run is, and how many images carry a flag, by model."""
    counts = {name: int((g.per_image["flag"] != 0).sum()) for name, g in gaps.items()}
    flagged = "Flagged images: " + ", ".join(f"{name} {n}" for name, n in counts.items()) + "."
    return (SMALL, flagged) if scale == "small" else (flagged,)


def mean(gaps: Gaps, column: str) -> float:
    """The mean over images with a number."""
    return float(np.nanmean(gaps.per_image[column]))
