"""Image files as arrays ``[N, height, width]`` or ``[N, channels, height, width]``; no pickles."""

from __future__ import annotations

import io
import math
import tarfile
import zipfile
import zlib
from pathlib import Path

import numpy as np

from avi_theory.errors import DataError
from avi_theory.spec.mapped import mapped
from avi_theory.vae.data.files import content, whole

PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".pgm", ".ppm", ".tif", ".tiff"}
RECORD = 1 + 3 * 32 * 32
"""Bytes of a CIFAR-10 image with its label before it."""


def read_idx(path: Path) -> np.ndarray:
    """The IDX format of MNIST and Fashion-MNIST, gzipped or not: ``[N, height, width]`` bytes.

    Raises:
        DataError: not such a file, or cut off.
    """
    data = content(path)
    if len(data) < 16 or data[:4] != b"\x00\x00\x08\x03":
        raise DataError(
            f"The file {path} holds no IDX images: it begins with {data[:4].hex() or 'nothing'} "
            "instead of 00000803. Give the file of images, not of labels."
        )
    shape = tuple(int.from_bytes(data[k : k + 4], "big") for k in (4, 8, 12))
    if len(data) != 16 + math.prod(shape):
        raise DataError(
            f"The file {path} is cut off or damaged: it announces {list(shape)} bytes of images "
            f"and holds {len(data) - 16}. Fetch it again."
        )
    return np.frombuffer(data, np.uint8, offset=16).reshape(shape)


def read_cifar(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The binary version of CIFAR-10, ``cifar-10-binary.tar.gz``: train and test, channels first.

    Raises:
        DataError: damaged, or a member is missing.
    """
    parts: dict[str, np.ndarray] = {}
    try:
        with tarfile.open(whole(path)) as archive:
            for member in archive:
                name = Path(member.name).name
                file = archive.extractfile(member) if name.endswith(".bin") else None
                if file is not None:
                    parts[name] = cifar_records(file.read(), f"{path}:{member.name}")
    except (tarfile.TarError, OSError, EOFError) as e:
        raise DataError(f"The file {path} is damaged or cut off: {e}. Fetch it again.") from e
    names = [f"data_batch_{k}.bin" for k in range(1, 6)]
    missing = [n for n in (*names, "test_batch.bin") if n not in parts]
    if missing:
        raise DataError(
            f"The file {path} has no {', '.join(missing)}. Give cifar-10-binary.tar.gz."
        )
    return np.concatenate([parts[n] for n in names]), parts["test_batch.bin"]


def cifar_records(data: bytes, where: str) -> np.ndarray:
    """Records of a label and 3,072 bytes as ``[N, 3, 32, 32]``."""
    if not data or len(data) % RECORD:
        raise DataError(
            f"{where} is cut off or damaged: {len(data)} bytes are no whole number of records of "
            f"{RECORD}. Fetch it again."
        )
    return np.frombuffer(data, np.uint8).reshape(-1, RECORD)[:, 1:].reshape(-1, 3, 32, 32)


def read_frey(path: Path) -> np.ndarray:
    """Frey's faces, ``[1965, 28, 20]`` bytes, from an NPY file or from ``frey_rawface.mat``.

    Raises:
        DataError: damaged, or something else.
    """
    if path.suffix == ".npy":
        (faces,) = read_arrays(path).values()
        return faces
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        columns = np.asarray(loadmat(whole(path))["ff"])
    except (MatReadError, ValueError, OSError, KeyError, TypeError, NotImplementedError) as e:
        raise DataError(f"The file {path} holds no faces 'ff': {e}. Fetch it again.") from e
    return np.ascontiguousarray(columns.T.reshape(-1, 28, 20))


def read_zip(path: Path, size: int | None) -> np.ndarray:
    """All pictures of a ZIP file (Omniglot's), in the order of their names; ink is 255.

    Args:
        path: of the file.
        size: height and width to shrink to, by averaging; None to leave them.

    Raises:
        DataError: damaged, or without pictures.
    """
    try:
        with zipfile.ZipFile(whole(path)) as archive:
            names = sorted(n for n in archive.namelist() if Path(n).suffix.lower() in PICTURES)
            pictures = [_picture(archive.read(n), f"{path}:{n}", size) for n in names]
    except (zipfile.BadZipFile, OSError, EOFError) as e:
        raise DataError(f"The file {path} is damaged or cut off: {e}. Fetch it again.") from e
    return 255 - _stacked(pictures, path)


def read_folder(path: Path) -> np.ndarray:
    """All pictures of a folder and its sub-folders, in the order of their names.

    Raises:
        DataError: none, an unreadable one, or different sizes.
    """
    files = sorted(p for p in path.rglob("*") if p.suffix.lower() in PICTURES)
    return _stacked([_picture(p.read_bytes(), str(p), None) for p in files], path)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an NPZ file, or the one of an NPY file, mapped from the disk.

    Raises:
        DataError: damaged, or pickled.
    """
    try:
        if path.suffix == ".npz":
            with zipfile.ZipFile(whole(path)) as file:
                bad = file.testzip()  # reads all of it
                if bad is not None:
                    raise zipfile.BadZipFile(f"the checksum of {bad} differs.")
        return dict(mapped(whole(path)).columns)
    except (DataError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as e:
        raise DataError(
            f"The file {path} cannot be read as arrays: {e} Write it with numpy.savez(path, "
            "train=…, test=…)."
        ) from e


def _picture(data: bytes, where: str, size: int | None) -> np.ndarray:
    """``[height, width]``, or ``[3, height, width]`` for colours."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data)) as picture:
            grey = picture.mode in {"1", "L", "LA", "I", "I;16"}
            plain = picture.convert("L" if grey else "RGB")
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as e:
        raise DataError(f"The picture {where} cannot be read: {e}. Replace or remove it.") from e
    if size is not None:
        plain = plain.resize((size, size), Image.Resampling.BOX)
    array = np.asarray(plain)
    return array if array.ndim == 2 else array.transpose(2, 0, 1)


def _stacked(pictures: list[np.ndarray], path: Path) -> np.ndarray:
    if not pictures:
        raise DataError(f"{path} holds no pictures. Put PNG or JPEG files there.")
    shapes = sorted({p.shape for p in pictures})
    if len(shapes) > 1:
        raise DataError(
            f"The pictures of {path} have {len(shapes)} shapes, {list(shapes[0])} and "
            f"{list(shapes[1])} among them. Bring them to one size and either grey or colour."
        )
    return np.stack(pictures)
