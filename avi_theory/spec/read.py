"""Read data as users keep them (CSV, Parquet, NPZ, NPY, mappings, frames) into plain columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from avi_theory.errors import DataError, nearest

FORMATS = (".csv", ".parquet", ".npz", ".npy")


@dataclass(frozen=True, eq=False)
class Raw:
    """Columns before they meet a model.

    Attributes:
        columns: name to array; in a frame all have the frame's length.
        is_frame: True for rows of a table, False for separate arrays by shape.
        source: where they come from, for messages and provenance.
        coded: columns of labels that are whole numbers of their index already.
    """

    columns: Mapping[str, np.ndarray]
    is_frame: bool
    source: str
    coded: frozenset[str] = frozenset()


def read(source: Any) -> Raw:
    """Columns from a path (a folder of NPY files, too), a mapping of arrays, or a data frame.

    Raises:
        DataError: the file is absent, unreadable, or of an unknown format.
    """
    if isinstance(source, Raw):
        return source
    if isinstance(source, (str, Path)):
        return _read_path(Path(source))
    if isinstance(source, Mapping):
        columns = {str(k): _array(k, v) for k, v in source.items()}
        return Raw(columns, False, "arrays in memory")
    if hasattr(source, "columns") and hasattr(source, "to_numpy"):
        return Raw(_frame_columns(source), True, "a data frame in memory")
    raise DataError(
        f"Data of type {type(source).__name__} cannot be read. "
        "Give a path (.csv, .parquet, .npz, .npy), a mapping of names to arrays, or a data frame."
    )


def _array(name: str, value: Any) -> np.ndarray:
    try:
        array = np.asarray(value)
    except ValueError as e:
        raise DataError(f"The data for {name!r} are no regular array: {e}.") from e
    if array.dtype == object:
        raise DataError(
            f"The data for {name!r} are no regular array of numbers. "
            "For ragged data give a frame in long format, a column per index."
        )
    return array


def _frame_columns(frame: Any) -> dict[str, np.ndarray]:
    doubles = [c for c in frame.columns if list(frame.columns).count(c) > 1]
    if doubles:
        raise DataError(f"The column {doubles[0]!r} stands twice. Rename one of them.")
    return {str(c).strip(): frame[c].to_numpy() for c in frame.columns}


def _read_path(path: Path) -> Raw:
    files = sorted(path.glob("*.npy")) if path.is_dir() else []
    if files:
        columns = [_read_path(f).columns for f in files]
        return Raw({k: v for c in columns for k, v in c.items()}, False, str(path))
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        siblings = [p.name for p in path.parent.glob("*")] if path.parent.is_dir() else []
        hint = nearest(path.name, siblings)
        raise DataError(f"The data file {path} {what}. {hint}".strip())
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise DataError(
            f"The data file {path} has the unknown ending {suffix!r}. "
            f"Use one of {', '.join(FORMATS)}."
        )
    try:
        if suffix == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                return Raw({k: archive[k] for k in archive.files}, False, str(path))
        if suffix == ".npy":
            return Raw({path.stem: np.load(path, allow_pickle=False)}, False, str(path))
        import pandas as pd

        if suffix == ".csv":
            frame = pd.read_csv(path, comment="#", skipinitialspace=True)
            head = pd.read_csv(
                path, comment="#", skipinitialspace=True, header=None, nrows=1, dtype=str
            )
            names = head.iloc[0].tolist()
            if len(set(names)) < len(names) == frame.shape[1]:
                frame.columns = names  # pandas tells doubles apart by numbers of its own
        else:
            frame = pd.read_parquet(path)
    except Exception as e:
        raise DataError(f"The data file {path} cannot be read as {suffix[1:]}: {e}.") from e
    return Raw(_frame_columns(frame), True, str(path))
