"""Files that verbs write: made sure of before the work, complete or absent after it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from avi_theory.errors import InputError


def folder_ready(path: Path | None) -> Path | None:
    """Make sure that files can be written into a folder, leaving nothing behind.

    Raises:
        InputError: it is a file, or nothing can be made there.
    """
    if path is None:
        return None
    if path.exists() and not path.is_dir():
        raise InputError(f"--out {path} is a file. Name a folder, an existing or a new one.")
    made = _missing_parents(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path)
        os.close(handle)
        Path(name).unlink()
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"--out {path} cannot be written: {reason}. Name a folder that you may write."
        ) from None
    finally:
        for folder in made:
            with suppress(OSError):
                folder.rmdir()
    return path


def file_ready(path: Path | None, option: str = "--save") -> Path | None:
    """Make sure that a file can be written.

    Raises:
        InputError: it is a folder, or its folder cannot be written.
    """
    if path is None:
        return None
    if path.is_dir():
        raise InputError(f"{option} {path} is a folder. Name a file in it.")
    try:
        folder_ready(path.parent)
    except InputError as error:
        message = str(error).replace(f"--out {path.parent}", f"The folder of {option} {path}", 1)
        raise InputError(message) from None
    return path


def write(folder: Path, contents: Mapping[str, bytes]) -> list[Path]:
    """Write files into a folder, all or none: under other names first, then renamed.

    Args:
        folder: made if it does not exist.
        contents: by file name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    waiting: list[tuple[Path, Path]] = []
    try:
        for name, content in contents.items():
            handle, temporary = tempfile.mkstemp(dir=folder, prefix=f".{name}.")
            waiting.append((Path(temporary), folder / name))
            with os.fdopen(handle, "wb") as out:
                out.write(content)
            Path(temporary).chmod(0o666 & ~_umask())  # mkstemp makes private files
        for _, target in waiting:
            if target.is_dir():
                raise IsADirectoryError(f"{target} is a folder")
        for temporary_path, target in waiting:
            temporary_path.replace(target)
    except BaseException:
        for temporary_path, _ in waiting:
            temporary_path.unlink(missing_ok=True)
        raise
    return [target for _, target in waiting]


def _missing_parents(path: Path) -> list[Path]:
    """The folders that do not exist yet, the innermost first."""
    return [p for p in (path, *path.parents) if not p.exists()]


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
