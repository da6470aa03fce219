"""Figures of the gaps of single images: the ladder, the histogram, the worst, the difficult."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from avi_theory.figures.base import AVI, FVI, GREY, INK, Drawing
from avi_theory.figures.panels import bars
from avi_theory.results.gaps import Gaps, level

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"amortization_gap": AVI, "approximation_gap": FVI}
NAMES = {"amortization_gap": "amortization", "approximation_gap": "approximation"}
BINS = 30
EDGE = 0.005
"""Share of the images at either end whose gaps are put into the outermost bins."""


def _ladder(figure: Figure, found: Gaps) -> None:
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.1))
    _levels(left, found)
    rows = []
    groups = [("these images", found)]
    if found.training is not None:
        groups.append(("training images", found.training))
    for where, gaps in groups:
        for name, colour in COLOURS.items():
            one = level(gaps.per_image[name])
            label = f"{NAMES[name]}\n{where}" if len(groups) > 1 else NAMES[name]
            rows.append((label, _known(one.mean), _known(one.standard_error), "exact", colour))
    bars(right, rows)
    right.set_xlabel("mean gap (nats per image, ±3 s.e. between images)")
    right.set_title("gaps")


def _levels(axes: Axes, found: Gaps) -> None:
    """The rungs from below, medians beside means."""
    rungs = {"elbo": "L[q]", "elbo_optimum": "L[q*]", "elbo_flow": "L[q*]\nflow"}
    rungs["log_evidence"] = "log p(x)"
    shown = [n for n in rungs if n in found.per_image]
    for k, name in enumerate(shown):
        one = level(found.per_image[name])
        axes.errorbar(
            k, one.mean, yerr=3 * one.standard_error, fmt="o", color=INK, capsize=3,
            label="mean ±3 s.e. between images" if not k else None,
        )  # fmt: skip
        axes.plot(k, one.median, "D", color=GREY, label="median" if not k else None)
    axes.set_xticks(range(len(shown)), [rungs[n] for n in shown])
    axes.set_xlim(-0.5, len(shown) - 0.5)
    axes.set_ylabel("nats per image")
    axes.legend(loc="best")
    images = level(found.per_image[shown[0]])
    left_out = f", {images.left_out} left out (NaN)" if images.left_out else ""
    axes.set_title(f"rungs, {images.images} images{left_out}")


def _histogram(figure: Figure, found: Gaps) -> None:
    axes = figure.subplots(1, 2)
    for panel, (name, colour) in zip(axes, COLOURS.items(), strict=True):
        column = found.per_image[name]
        kept = column[np.isfinite(column)]
        panel.set_xlabel(f"{NAMES[name]} gap (nats)")
        panel.set_ylabel("images")
        if not len(kept):
            continue
        low, high = np.quantile(kept, [EDGE, 1 - EDGE])
        low, high = min(low, 0.0), high if high > low else low + 1.0
        inside = np.clip(kept, low, high)
        panel.hist(inside, bins=BINS, range=(low, high), color=colour, edgecolor="white")
        one = level(column)
        panel.axvline(one.median, color=INK, linestyle="--", linewidth=1.2, label="median")
        panel.axvline(one.mean, color=INK, linewidth=1.2, label="mean")
        panel.axvline(0, color=GREY, linewidth=0.8)
        beyond = int((kept != inside).sum())
        cut = f", {beyond} beyond the ends" if beyond else ""
        panel.set_title(f"{NAMES[name]}: {one.median:.3g} median{cut}")
        panel.legend(loc="best")


def _worst(figure: Figure, found: Gaps) -> None:
    assert found.pictures is not None
    count = len(found.worst)
    across = min(6, count)
    grid = figure.subplots(-(-count // across), across, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, place, picture in zip(grid.flat, found.worst, found.pictures, strict=False):
        axes.imshow(_seen(picture), cmap="gray_r", interpolation="nearest")
        gap = found.per_image["amortization_gap"][place]
        mark = " (flag)" if found.per_image["flag"][place] else ""
        number = "NaN" if not np.isfinite(gap) else f"{gap:.2f} nats"
        axes.set_title(f"#{place}: {number}{mark}", fontsize=8, loc="center", fontweight="normal")


def _seen(picture: np.ndarray) -> np.ndarray:
    """An image as rows and columns; colours last; a flat one as a square if it is one."""
    squeezed = np.squeeze(picture)
    if squeezed.ndim == 1:
        side = int(np.sqrt(len(squeezed)))
        return squeezed.reshape(side, side) if side**2 == len(squeezed) else squeezed[None]
    if squeezed.ndim == 3 and squeezed.shape[0] == 3:
        return np.clip(np.moveaxis(squeezed, 0, -1), 0, 1)
    return squeezed if squeezed.ndim < 3 else squeezed[0]


def _difficult(figure: Figure, found: Gaps) -> None:
    axes = figure.subplots()
    score, gap = found.per_image["difficulty"], found.per_image["amortization_gap"]
    both = np.isfinite(score) & np.isfinite(gap)
    flagged = (found.per_image["flag"] != 0) & both
    error = 3 * found.per_image["amortization_gap_standard_error"]
    axes.errorbar(
        score[both], gap[both], yerr=error[both], fmt="o", color=AVI, markersize=4,
        elinewidth=0.6, ecolor=GREY, label="image ±3 s.e.",
    )  # fmt: skip
    if flagged.any():
        axes.plot(score[flagged], gap[flagged], "x", color=INK, label="flagged")
    axes.set_xlabel("difficulty score")
    axes.set_ylabel("amortization gap (nats)")
    axes.set_title(f"rank correlation {_ranks(score[both], gap[both]):.2f}, {both.sum()} images")
    axes.legend(loc="best")


def _ranks(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's correlation."""
    if len(a) < 3:
        return float("nan")
    from scipy.stats import rankdata

    return float(np.corrcoef(rankdata(a), rankdata(b))[0, 1])


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None


IMAGE_LADDER = Drawing(
    "image_ladder",
    "L[q], L[q*] and log p(x) over the images, and the gaps between them.",
    lambda result: isinstance(result, Gaps),
    _ladder,
    (9.6, 3.8),
)
IMAGE_GAPS = Drawing(
    "image_gaps",
    "How the amortization and the approximation gap are spread over the images.",
    lambda result: isinstance(result, Gaps),
    _histogram,
    (9.0, 3.4),
)
WORST_IMAGES = Drawing(
    "worst_images",
    "The images with the largest amortization gaps.",
    lambda result: isinstance(result, Gaps) and result.pictures is not None,
    _worst,
    (8.4, 3.2),
)
DIFFICULTY = Drawing(
    "difficulty",
    "The encoder's own difficulty score against the measured amortization gap.",
    lambda result: isinstance(result, Gaps) and "difficulty" in result.per_image,
    _difficult,
    (5.4, 4.0),
)
