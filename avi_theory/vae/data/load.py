"""A set of images by name, from a folder of files, or of the user's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from avi_theory.errors import DataError, InputError, nearest
from avi_theory.vae.data import readers
from avi_theory.vae.data.binarize import Binarization
from avi_theory.vae.data.files import FOLDER_VARIABLE, folder_of, found, whole
from avi_theory.vae.data.images import SPLITS, Images
from avi_theory.vae.data.official import IMAGES, OFFICIAL, SMALL, fetch

BYTE = 1 / 255


@dataclass(frozen=True)
class Raw:
    """What a reader found: training and test images, grey values in units of `unit`."""

    train: np.ndarray
    test: np.ndarray | None
    unit: float
    source: str


def load_images(
    name: str = "digits",
    *,
    folder: str | Path | None = None,
    binarize: str = "threshold:0.5",
    seed: int = 0,
    validation: float = 0.1,
    download: bool = False,
) -> Images:
    """A set of images, binarized and split.

    Args:
        name: digits, mnist, fashion-mnist, cifar10, freyfaces or omniglot; or the path of an NPZ
            or NPY file or of a folder of pictures.
        folder: where the files lie, by default ``$AVI_DATA`` or pooch's cache.
        binarize: ``none``, ``threshold:0.5``, ``stochastic``, or ``levels:K`` for a categorical
            likelihood.
        seed: of a stochastic binarization, and of the split where there is no official one.
        validation: the fraction of the training images held back, the last ones.
        download: whether to fetch official files that are not there.

    Raises:
        InputError: an unknown set or option.
        DataError: files that are missing, damaged or of another format.
    """
    how = Binarization.named(binarize, seed)
    if not 0 < validation < 1:
        raise InputError(f"The fraction {validation:g} for validation is not between 0 and 1.")
    if name in SETS:
        raw = SETS[name](folder_of(folder), download)
    else:
        raw = _own(name)
    train, test, split = _parted(raw, seed)
    kept = len(train) - max(1, round(validation * len(train)))
    parts = (train[:kept], train[kept:], test)
    if min(map(len, parts)) < 1:
        raise DataError(f"{name} holds {len(train)} images, too few to train, validate and test.")
    unit = raw.unit
    if how.kind != "none":
        parts = tuple(how.apply(p, unit, k) for k, p in enumerate(parts))  # type: ignore[assignment]
        unit = 1.0
    counts = dict(zip(SPLITS, map(len, parts), strict=True))
    description: dict[str, Any] = {
        "name": name,
        "source": raw.source,
        "shape": list(train.shape[1:]),
        "binarization": str(how),
        "split": f"{split}; the last {validation:g} of the others for validation",
        **counts,
    }
    return Images(Path(name).stem if name not in SETS else name, *parts, unit, description)


def _digits(folder: Path, download: bool) -> Raw:
    from sklearn.datasets import load_digits

    images = load_digits().images.astype(np.uint8)
    return Raw(images, None, 1 / 16, "Alpaydin & Kaynak's digits, scikit-learn's copy")


def _idx(name: str) -> Callable[[Path, bool], Raw]:
    def read(folder: Path, download: bool) -> Raw:
        train, test = _files(name, IMAGES, folder, download)
        return Raw(readers.read_idx(train), readers.read_idx(test), BYTE, f"{name}, IDX files")

    return read


def _cifar(folder: Path, download: bool) -> Raw:
    part = found(folder, "cifar10", "cifar10_train10k_test1k_uint8.npz")
    if part is not None:
        arrays = readers.read_arrays(part)
        train, test = (arrays[k].transpose(0, 3, 1, 2) for k in ("train", "test"))
        return Raw(train, test, BYTE, "CIFAR-10, 10,000 training and 1,000 test images")
    (path,) = _files("cifar10", ("cifar-10-binary.tar.gz",), folder, download)
    return Raw(*readers.read_cifar(path), BYTE, "CIFAR-10, binary version")


def _frey(folder: Path, download: bool) -> Raw:
    names = ("freyfaces.npy", "frey_rawface.mat")
    path = next((p for n in names if (p := found(folder, "freyfaces", n))), None)
    if path is None:
        (path,) = _files("freyfaces", names[:1], folder, download)
    return Raw(readers.read_frey(path), None, BYTE, f"Frey's faces, {path.name}")


def _omniglot(folder: Path, download: bool) -> Raw:
    first, second = _files("omniglot", SMALL, folder, download)
    source = "Omniglot's two small background sets, shrunk to 28 by 28 by averaging, ink light"
    train, test = (readers.read_zip(p, 28) for p in (first, second))
    return Raw(np.concatenate([train, test]), None, BYTE, source)


SETS: dict[str, Callable[[Path, bool], Raw]] = {
    "digits": _digits,
    "mnist": _idx("mnist"),
    "fashion-mnist": _idx("fashion-mnist"),
    "cifar10": _cifar,
    "freyfaces": _frey,
    "omniglot": _omniglot,
}


def _files(name: str, files: tuple[str, ...], folder: Path, download: bool) -> list[Path]:
    if download and any(found(folder, name, f) is None for f in files):
        fetch(name, folder)
    paths = [found(folder, name, f) for f in files]
    missing = [f for f, p in zip(files, paths, strict=True) if p is None]
    if missing:
        fetched = "or add download (--download). " if name in OFFICIAL else ""
        raise DataError(
            f"The set {name!r} needs {', '.join(missing)}, which {folder} does not hold. Name the "
            f"folder of the files (--data-folder, {FOLDER_VARIABLE}), {fetched}".rstrip(" ,")
        )
    return [whole(p) for p in paths if p is not None]


def _own(name: str) -> Raw:
    """A user's file or folder."""
    path = Path(name)
    if path.is_dir():
        halves = [path / s for s in ("train", "test")]
        if all(h.is_dir() for h in halves):
            first, second = map(readers.read_folder, halves)
            return _checked(first, second, path)
        return _checked(readers.read_folder(path), None, path)
    if path.is_file() and path.suffix in {".npz", ".npy"}:
        arrays = readers.read_arrays(path)
        alone = next(iter(arrays.values())) if len(arrays) == 1 else arrays.get("images")
        train = arrays.get("train", alone)
        if train is None:
            raise DataError(
                f"The file {path} holds {', '.join(arrays) or 'nothing'}. Name the arrays train "
                "and test, or a single one images."
            )
        return _checked(train, arrays.get("test"), path)
    hint = nearest(name, SETS) or f"Known: {', '.join(SETS)}; or the path of an NPZ, NPY or folder."
    raise InputError(f"No set of images is called {name!r}. {hint}")


def _checked(train: np.ndarray, test: np.ndarray | None, path: Path) -> Raw:
    for array in (train,) if test is None else (train, test):
        if array.ndim < 2 or array.dtype.kind not in "buif" or array.shape[1:] != train.shape[1:]:
            raise DataError(
                f"The arrays of {path} are {array.dtype}{list(array.shape)}. Give numbers "
                "[N, height, width] or [N, channels, height, width], alike in train and test."
            )
    return Raw(train, test, BYTE if train.dtype == np.uint8 else 1.0, f"the user's {path.name}")


def _parted(raw: Raw, seed: int) -> tuple[np.ndarray, np.ndarray, str]:
    """Training and test images, and which the latter are."""
    images = raw.train
    if raw.test is not None:
        return images, raw.test, "the set's own test images"
    order = np.random.default_rng(seed).permutation(len(images))
    cut = len(images) // 6
    words = f"a sixth of the images, drawn with seed {seed}, for testing"
    return images[np.sort(order[cut:])], images[np.sort(order[:cut])], words
