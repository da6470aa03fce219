"""Find models by name or path.

In a checkout the gallery is the folder ``models/`` at the root of the repository; a wheel carries
the same folder as ``avi_theory/_models/``.
"""

from __future__ import annotations

import os
from pathlib import Path

from avi_theory.errors import DataError, InputError, nearest
from avi_theory.spec.files import load_file
from avi_theory.spec.model import Model

_PACKAGE = Path(__file__).resolve().parent.parent


def _folders() -> list[Path]:
    """Where the gallery may be, the packaged copy first."""
    checkout = _PACKAGE.parent
    folders = [_PACKAGE / "_models"]
    if (checkout / "pyproject.toml").is_file():
        folders.append(checkout / "models")
    return [f for f in folders if f.is_dir()]


def gallery_names() -> tuple[str, ...]:
    """The names of all gallery models, sorted."""
    return tuple(sorted({p.stem for folder in _folders() for p in folder.glob("*.toml")}))


def gallery_path(name: str) -> Path:
    """The file of a gallery model.

    Raises:
        InputError: no model has this name.
    """
    for folder in _folders():
        path = folder / f"{name}.toml"
        if name and path.name == f"{name}.toml" and path.is_file():
            return path
    names = gallery_names()
    hint = nearest(name, names) or f"The gallery holds {', '.join(names) or 'nothing'}."
    raise InputError(f"No model is called {name!r}. {hint} A file is given by its path, ./my.toml.")


def configuration_names() -> tuple[str, ...]:
    """The names of the VAE laboratory's configurations, sorted."""
    return tuple(sorted({p.stem for folder in _folders() for p in folder.glob("vae/*.toml")}))


def configuration_path(name_or_path: str) -> Path:
    """The file of a configuration of the VAE laboratory, by name or by path.

    Raises:
        InputError: there is none.
    """
    if name_or_path.endswith(".toml") or any(s in name_or_path for s in ("/", os.sep)):
        return Path(name_or_path)
    names = configuration_names()
    if name_or_path not in names:
        hint = nearest(name_or_path, names) or f"There are {', '.join(names) or 'none'}."
        raise InputError(
            f"No configuration is called {name_or_path!r}. {hint} "
            "A file is given by its path, ./my.toml."
        )
    paths = (folder / "vae" / f"{name_or_path}.toml" for folder in _folders())
    return next(p for p in paths if p.is_file())


def load(name_or_path: str | Path) -> Model:
    """A model by the name of a gallery model, or by the path of a TOML file.

    Args:
        name_or_path: ``"eight_schools"``, or a path (it ends in ``.toml`` or has a separator).

    Raises:
        InputError: there is no such model or file.
        ModelError: the file cannot be read as a model; carries every problem with its line.

    Example:
        >>> load("eight_schools").name
        'eight_schools'
    """
    text = os.fspath(name_or_path)
    is_path = isinstance(name_or_path, Path) or text.endswith(".toml")
    if is_path or any(s in text for s in ("/", os.sep)):
        return load_file(text)
    return load_file(gallery_path(text))


def data_path(model: Model) -> Path | None:
    """The data file a model names, relative to its own file; None if it names none.

    Raises:
        DataError: the file is missing.
    """
    if model.data_file is None:
        return None
    path = Path(model.folder or ".") / model.data_file
    if not path.is_file():
        raise DataError(
            f"The data file {path} of model {model.name!r} is missing. "
            "Put it there, change 'file' under [data], or pass --data FILE."
        )
    return path
