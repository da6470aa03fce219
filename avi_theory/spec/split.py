"""Hold the end of a series out; units of a plate are held out by `Units.split`."""

from __future__ import annotations

import numpy as np

from avi_theory.errors import DataError, InputError
from avi_theory.spec.columns import Columns, indexed
from avi_theory.spec.model import Model
from avi_theory.spec.read import Raw


def split(model: Model, raw: Raw, fraction: float) -> tuple[Raw, Raw]:
    """Split a series into the part that is fitted and its end, which is held out.

    Args:
        model: the declaration.
        raw: the data's columns.
        fraction: of the points held out, between 0 and 1.

    Raises:
        InputError: a fraction outside (0, 1).
        DataError: too few points to hold any out, or data without the index.
    """
    if not 0 < fraction < 1:
        raise InputError(f"The held-out fraction is {fraction:g}; it must lie between 0 and 1.")
    letter = _series_letter(model)
    labels = _labels_along(model, raw, letter)
    points = np.unique(np.concatenate([along for _, along in labels.values()]))
    count = round(fraction * len(points))
    if not 0 < count < len(points):
        raise DataError(
            f"Holding {fraction:g} of {len(points)} points [{letter}] out leaves one part empty. "
            "Choose another --holdout."
        )
    chosen = points[-count:]
    return _part(raw, labels, chosen, keep=False), _part(raw, labels, chosen, keep=True)


def _series_letter(model: Model) -> str:
    for v in model.locals:
        if v.axes:
            return v.axes[-1].letter
    raise InputError(f"{model.name} has no indexed local, so nothing can be held out.")


def _labels_along(model: Model, raw: Raw, letter: str) -> dict[str, tuple[int, np.ndarray]]:
    """For each column that runs along the letter: that axis, and the unit of each of its places."""
    columns = Columns.of(model, raw)
    labels: dict[str, tuple[int, np.ndarray]] = {}
    if raw.is_frame:
        rows = len(next(iter(raw.columns.values())))
        along = columns.index.get(letter, np.arange(1, rows + 1))
        return dict.fromkeys(raw.columns, (0, along))
    for v in indexed(model):
        letters = [a.letter for a in v.axes]
        if v.name in raw.columns and letter in letters:
            axis = letters.index(letter)
            labels[v.name] = (axis, np.arange(raw.columns[v.name].shape[axis]))
    if not labels:
        raise DataError(f"No column of the data runs along [{letter}]; nothing can be held out.")
    return labels


def _part(
    raw: Raw, labels: dict[str, tuple[int, np.ndarray]], chosen: np.ndarray, *, keep: bool
) -> Raw:
    columns = dict(raw.columns)
    for name, (axis, along) in labels.items():
        inside = np.isin(along, chosen) == keep
        columns[name] = np.compress(inside, raw.columns[name], axis)
    what = "held-out part" if keep else "fitted part"
    return Raw(columns, raw.is_frame, f"{raw.source}, {what}")
