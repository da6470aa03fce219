"""Hold units of the data out: whole groups or rows of a plate, the end of a series."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from avi_theory.errors import DataError, InputError
from avi_theory.spec.columns import Columns, indexed
from avi_theory.spec.model import Model
from avi_theory.spec.read import Raw


def split(
    model: Model, raw: Raw, fraction: float, *, unit: Sequence[str], seed: int = 0
) -> tuple[Raw, Raw]:
    """Split data into a fitted and a held-out part along one index.

    Units of a plate are held out at random; without a unit (series) the last points are.

    Args:
        model: the declaration.
        raw: the data's columns.
        fraction: of the units held out, between 0 and 1.
        unit: the unit's index letters (the first is split); empty for a series.
        seed: of the random choice.

    Raises:
        InputError: a fraction outside (0, 1).
        DataError: too few units to hold any out, or data without the index.
    """
    if not 0 < fraction < 1:
        raise InputError(f"The held-out fraction is {fraction:g}; it must lie between 0 and 1.")
    letter = unit[0] if unit else _series_letter(model)
    labels = _labels_along(model, raw, letter)
    units = np.unique(np.concatenate([along for _, along in labels.values()]))
    count = round(fraction * len(units))
    if not 0 < count < len(units):
        raise DataError(
            f"Holding {fraction:g} of {len(units)} units [{letter}] out leaves one part empty. "
            "Choose another --holdout."
        )
    if unit:
        chosen = np.random.default_rng(seed).permutation(units)[:count]
    else:
        chosen = units[-count:]
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
