"""Data files larger than memory: columns that stay on the disk until their rows are asked for.

An uncompressed NPZ or NPY file is mapped as it is.  A compressed NPZ and a Parquet file are
unpacked once, a piece at a time, into unnamed temporary files, which vanish with the process.
"""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np

from avi_theory.errors import DataError
from avi_theory.spec.read import Raw, read

PIECE = 1 << 22
"""Bytes, or Parquet rows / 8, that are unpacked at a time."""


def mapped(source: Any) -> Raw:
    """Columns from a path, on the disk where the format allows it; anything else as `read` does.

    A folder of NPY files is a data set, a file a column.

    Raises:
        DataError: the file is absent, unreadable, or of an unknown format.
    """
    if not isinstance(source, (str, Path)):
        return read(source)
    path = Path(source)
    if path.is_dir():
        files = sorted(path.glob("*.npy"))
        if files:
            return Raw({f.stem: _opened(f) for f in files}, False, str(path))
    if not path.is_file() or path.suffix.lower() not in READERS:
        return read(path)
    try:
        return READERS[path.suffix.lower()](path)
    except DataError:
        raise
    except Exception as e:
        raise DataError(f"The data file {path} cannot be read as {path.suffix[1:]}: {e}.") from e


def _opened(path: Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as e:
        raise DataError(f"The data file {path} cannot be read as npy: {e}.") from e


def _npy(path: Path) -> Raw:
    return Raw({path.stem: _opened(path)}, False, str(path))


def _npz(path: Path) -> Raw:
    columns = {}
    with zipfile.ZipFile(path) as archive, path.open("rb") as file:
        for member in archive.infolist():
            name = member.filename.removesuffix(".npy")
            if member.compress_type == zipfile.ZIP_STORED:
                columns[name] = _at(file, _start(file, member), path)
            else:
                with archive.open(member) as stream:
                    columns[name] = _unpacked(stream)
    return Raw(columns, False, str(path))


def _start(file: IO[bytes], member: zipfile.ZipInfo) -> int:
    """Where a stored member's bytes begin: behind its local header, whose lengths are its own."""
    file.seek(member.header_offset)
    header = file.read(30)
    return (
        member.header_offset
        + 30
        + int.from_bytes(header[26:28], "little")
        + int.from_bytes(header[28:30], "little")
    )


def _at(file: IO[bytes], start: int, path: Path) -> np.ndarray:
    """The array whose NPY header begins at a byte of a file, mapped."""
    file.seek(start)
    shape, fortran, dtype = _header(file)
    if dtype.hasobject:
        raise DataError(f"The data file {path} holds Python objects. Save plain numbers.")
    if not shape or 0 in shape:
        return np.fromfile(file, dtype, int(np.prod(shape))).reshape(shape)
    order: Literal["C", "F"] = "F" if fortran else "C"
    return np.memmap(path, dtype, "r", file.tell(), shape, order)


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    reader = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if reader is None:
        raise DataError(f"The NPY format {version} is unknown. Save with numpy.savez.")
    return reader(file)


def _unpacked(stream: IO[bytes]) -> np.ndarray:
    """A compressed member, copied a piece at a time into an unnamed file and mapped."""
    with tempfile.TemporaryFile() as file:
        while piece := stream.read(PIECE):
            file.write(piece)
        file.seek(0)
        shape, fortran, dtype = _header(file)
        order: Literal["C", "F"] = "F" if fortran else "C"
        if not shape or 0 in shape:
            return np.fromfile(file, dtype, int(np.prod(shape))).reshape(shape)
        return np.memmap(file, dtype, "r", file.tell(), shape, order)


def _parquet(path: Path) -> Raw:
    from pyarrow import parquet

    with parquet.ParquetFile(path) as table:
        rows = table.metadata.num_rows
        columns: dict[str, Any] = {}
        done = 0
        for batch in table.iter_batches(batch_size=PIECE // 8):
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                values = column.to_numpy(zero_copy_only=False)
                if name not in columns:
                    columns[name] = _room(rows, values.dtype)
                columns[name][done : done + len(values)] = values
            done += batch.num_rows
    return Raw({str(k).strip(): v for k, v in columns.items()}, True, str(path))


def _room(rows: int, dtype: np.dtype[Any]) -> np.ndarray:
    """Space for a column: on the disk for numbers, in memory for texts."""
    if dtype.hasobject:
        return np.empty(rows, object)
    wide = np.dtype(float) if dtype.kind in "iufb" else dtype  # empty cells make floats of integers
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, wide, "w+", 0, (rows,))


READERS = {".npz": _npz, ".npy": _npy, ".parquet": _parquet}
