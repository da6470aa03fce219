"""Whole files or a clear word: checksums, truncation, and where a set's files lie."""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from pathlib import Path

from avi_theory.errors import DataError

CHECKSUMS = "SHA256SUMS"
FOLDER_VARIABLE = "AVI_DATA"


def folder_of(folder: str | Path | None) -> Path:
    """Where image files are looked for: as told, else ``$AVI_DATA``, else pooch's cache."""
    if folder is not None:
        return Path(folder)
    if os.environ.get(FOLDER_VARIABLE):
        return Path(os.environ[FOLDER_VARIABLE])
    import pooch

    return Path(pooch.os_cache("avi_theory"))


def found(folder: Path, name: str, file: str) -> Path | None:
    """A set's file, in the folder of its name or in the folder itself."""
    return next((p for p in (folder / name / file, folder / file) if p.is_file()), None)


def whole(path: Path) -> Path:
    """The path, if the file is the one that ``SHA256SUMS`` in or above its folder names.

    Raises:
        DataError: it is another one.
    """
    for root in (path.parent, path.parent.parent):
        listed = _listed(root / CHECKSUMS, path)
        if listed is None:
            continue
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != listed:
            raise DataError(
                f"The file {path} is not the one that {root / CHECKSUMS} names: its SHA-256 begins "
                f"with {digest[:12]} instead of {listed[:12]}. Fetch it again."
            )
    return path


def _listed(sums: Path, path: Path) -> str | None:
    if not sums.is_file():
        return None
    for line in sums.read_text(encoding="utf-8").splitlines():
        digest, _, name = line.partition(" ")
        if name.strip(" *") and (sums.parent / name.strip(" *")).resolve() == path.resolve():
            return digest
    return None


def content(path: Path) -> bytes:
    """All bytes of a file, unpacked if it is gzipped.

    Raises:
        DataError: it is damaged or cut off.
    """
    data = whole(path).read_bytes()
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as e:
        raise DataError(
            f"The file {path} is damaged or cut off: {e}. Fetch it again, or check its SHA-256."
        ) from e
