"""Cremer, Li and Duvenaud: what wider encoders and deeper decoders change."""

from __future__ import annotations

from avi_theory.reproductions.base import Experiment, Found, Progress
from avi_theory.reproductions.laboratory import (
    CLD,
    basis,
    claim,
    fitted,
    gaps_of,
    mean,
    notes,
    row,
)
from avi_theory.results.reproduction import Curve, Panel

WIDTHS = {"small": (16, 64, 160), "full": (200, 500)}
DEPTHS = (0, 2, 4)


def encoder(scale: str, seed: int, progress: Progress) -> Found:
    """Amortization gaps of encoders of several widths, on training and on test images."""
    gaps, lines = {}, []
    for width in WIDTHS[scale]:
        settings, images = basis(scale, seed, **{"encoder.hidden": [width, width]})
        trained = fitted(settings, images, f"width {width}", progress)
        for split in ("train", "test"):
            found = gaps_of(trained, images, scale, seed, progress, split=split, evidence=False)
            gaps[f"{split} {width}"] = found
            lines.append(row(f"width {width}, {split}: gap", found, "amortization_gap"))
    curves = tuple(
        Curve(
            f"{split} images",
            tuple(map(float, WIDTHS[scale])),
            tuple(mean(gaps[f"{split} {w}"], "amortization_gap") for w in WIDTHS[scale]),
        )
        for split in ("train", "test")
    )
    low, high = WIDTHS[scale][0], WIDTHS[scale][-1]
    falls = curves[0].y[0] - curves[0].y[-1]
    lines.append(
        claim(
            f"fall of the gap on training images from width {low} to {high} (nats per image)",
            "a wider encoder has the smaller gap",
            CLD,
            falls > 0,
            falls,
            f"on test images it changes by {curves[1].y[-1] - curves[1].y[0]:+.3f}",
        )
    )
    panel = Panel("Wider encoders", "width", "amortization gap, mean (nats)", curves)
    return Found(tuple(lines), (panel,), notes(scale, gaps))


def decoder(scale: str, seed: int, progress: Progress) -> Found:
    """Approximation gaps of decoders of several depths."""
    gaps, lines = {}, []
    width = 64 if scale == "small" else 200
    for depth in DEPTHS:
        settings, images = basis(scale, seed, **{"decoder.hidden": [width] * depth})
        trained = fitted(settings, images, f"{depth} hidden layers", progress)
        found = gaps_of(trained, images, scale, seed, progress)
        gaps[str(depth)] = found
        lines.append(row(f"{depth} hidden layers: approximation gap", found, "approximation_gap"))
        lines.append(row(f"{depth} hidden layers: log p(x)", found, "log_evidence"))
    levels = [mean(gaps[str(d)], "approximation_gap") for d in DEPTHS]
    lines.append(
        claim(
            "fall of the approximation gap from 0 to 4 hidden layers (nats per image)",
            "it falls",
            CLD,
            levels[-1] < levels[0],
            levels[0] - levels[-1],
            "log p(x) − best Gaussian of each image, means",
        )
    )
    curve = Curve(
        "digits" if scale == "small" else "Fashion-MNIST", tuple(map(float, DEPTHS)), tuple(levels)
    )
    panel = Panel("Deeper decoders", "hidden layers", "approximation gap, mean (nats)", (curve,))
    return Found(tuple(lines), (panel,), notes(scale, gaps))


CLD_ENCODER = Experiment(
    "cld-encoder",
    "A wider encoder",
    "VAEs with encoders of several widths, gaps on training and on held-out images: a larger "
    "encoder amortizes better where it was trained, and may generalise worse.",
    CLD,
    encoder,
)
CLD_DECODER = Experiment(
    "cld-decoder",
    "A deeper decoder",
    "VAEs with decoders of 0, 2 and 4 hidden layers: the paper finds that the true posterior "
    "comes nearer to a Gaussian as the decoder gains capacity.",
    CLD,
    decoder,
)
