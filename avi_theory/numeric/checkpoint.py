"""Checkpoints: what a long measurement leaves behind, so that an interrupted one goes on.

A folder holds ``checkpoint.json`` (what was asked, which runs are done, the state of the one under
way) and safetensors files with the numbers.  The JSON file is renamed into place last, so at every
moment the folder holds one complete state: after Ctrl-C, a kill or a crash, the last good one.

Runs are numbered in the order in which a measurement makes them, which its arguments determine.  A
run that is done is read back; the one that was interrupted starts from its own state (parameters,
trust region or damping, moments of Adam, memory of L-BFGS, iteration), so on a CPU the answer is
bitwise that of a measurement that was never interrupted.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from torch import Tensor

from avi_theory.errors import InputError
from avi_theory.numeric.solve import Run, Status
from avi_theory.spec.bound import Bound
from avi_theory.spec.model import Model

FORMAT = "avi-theory checkpoint 1"
FILE = "checkpoint.json"
LEFTOVERS = ("*.safetensors", ".run-*", ".state-*", f".{FILE}.*")
SECONDS = 5.0
"""States are written at most so often; a finished run always is."""


class Checkpoint:
    """A folder that remembers the runs of one measurement.

    Args:
        folder: made if it does not exist.
        identity: everything that the answer depends on, JSON-able; another one is refused.
        device: where tensors are to live when they come back.
        every: seconds between two writes of a state, `SECONDS` unless told; 0 writes each.

    Raises:
        InputError: the folder cannot be used, or holds the checkpoint of something else.
    """

    def __init__(
        self,
        folder: str | Path,
        identity: Mapping[str, Any],
        *,
        device: torch.device | None = None,
        every: float | None = None,
    ) -> None:
        self._folder, self._every = Path(folder), SECONDS if every is None else every
        self._device = device or torch.device("cpu")
        self._identity = json.loads(json.dumps(dict(identity)))
        self._done: list[dict[str, Any]] = []
        self._live: dict[str, Any] | None = None
        self._next, self._count, self._under_way = 0, 0, False
        self.spent = 0.0
        self._began = self._wrote = time.perf_counter()
        self._open()

    def run(self, solve: Callable[[], Run]) -> Run:
        """The next run of the measurement: read back if it is done, else made or gone on with."""

        def made() -> dict[str, Any]:
            run = solve()
            return {**vars(run), "status": run.status.name}

        found = self.result(made)
        trace = tuple(found["trace"])
        return Run(**{**found, "status": Status[found["status"]], "trace": trace})

    def result(self, make: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """The next result of any kind: read back if it is there, else made and kept."""
        number, self._next = self._next, self._next + 1
        if number < len(self._done):
            entry = self._done[number]
            self.spent += entry["seconds"]
            return dict(self._read(entry))
        self._began = time.perf_counter() - (self._live["seconds"] if self._live else 0.0)
        self.spent += self._live["seconds"] if self._live else 0.0
        self._under_way = True
        try:
            found = dict(make())
        finally:
            self._under_way = False
        entry = self._entry(f"run-{number:04d}", found)
        self._done.append(entry)
        self._live = None
        self._commit()
        return found

    def recall(self) -> Mapping[str, Any] | None:
        """The state that the run under way had when the measurement was interrupted."""
        return self._read(self._live) if self._live and self._under_way else None

    def keep(self, state: Mapping[str, Any]) -> None:
        """Write the state of the run under way, if the last write is long enough ago."""
        if not self._under_way or time.perf_counter() - self._wrote < self._every:
            return
        self._count += 1
        self._live = self._entry(f"state-{self._count:08d}", state)
        self._commit()

    def _entry(self, stem: str, tree: Mapping[str, Any]) -> dict[str, Any]:
        """Write one tree: numbers and words for the JSON, arrays into a file of their own."""
        arrays: dict[str, np.ndarray] = {}
        content = _packed(dict(tree), arrays)
        name = f"{stem}.safetensors"
        handle, temporary = tempfile.mkstemp(dir=self._folder, prefix=f".{stem}.")
        os.close(handle)
        save_file(arrays, temporary)
        _synced(Path(temporary))
        Path(temporary).replace(self._folder / name)
        seconds = time.perf_counter() - self._began
        return {"file": name, "content": content, "seconds": seconds}

    def _read(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        path = self._folder / entry["file"]
        try:
            arrays = load_file(path)
        except (OSError, SafetensorError) as e:
            raise InputError(
                f"The checkpoint {self._folder} is damaged: {path.name} cannot be read ({e}). "
                "Delete the folder and start again."
            ) from e
        found: dict[str, Any] = _unpacked(entry["content"], arrays, self._device)
        return found

    def _commit(self) -> None:
        """Rename a new JSON file into place, then drop the files that it no longer names."""
        content = {
            "format": FORMAT,
            "identity": self._identity,
            "done": self._done,
            "live": self._live,
            "count": self._count,
        }
        handle, temporary = tempfile.mkstemp(dir=self._folder, prefix=f".{FILE}.")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(content, file, ensure_ascii=False)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(self._folder / FILE)
        _synced(self._folder)
        named = {e["file"] for e in (*self._done, *([self._live] if self._live else []))}
        left = [p for pattern in LEFTOVERS for p in self._folder.glob(pattern)]
        for path in left:
            if path.name not in named:
                path.unlink(missing_ok=True)
        self._wrote = time.perf_counter()

    def _open(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._folder / FILE
            if not path.exists():
                if any(not p.name.startswith(".") for p in self._folder.iterdir()):
                    raise InputError(
                        f"The folder {self._folder} is not empty and holds no checkpoint. "
                        "Name a new or an empty folder."
                    )
                self._commit()
                return
            content = json.loads(path.read_text(encoding="utf-8"))
        except OSError as e:
            raise InputError(
                f"The checkpoint {self._folder} cannot be used: {e.strerror}. Name another folder."
            ) from e
        except ValueError as e:
            raise InputError(f"The file {path} is no checkpoint: {e}. Name another folder.") from e
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise InputError(
                f"The file {path} is no checkpoint of this version. Name another folder."
            )
        self._compare(content["identity"])
        self._done, self._live = content["done"], content["live"]
        self._count = content["count"]

    def _compare(self, there: Mapping[str, Any]) -> None:
        keys = dict.fromkeys([*self._identity, *there])
        other = [k for k in keys if self._identity.get(k) != there.get(k)]
        if not other:
            return
        words = [
            f"{k} was {there.get(k)!r:.60} and is {self._identity.get(k)!r:.60}"
            if len(f"{there.get(k)!r}") < 60 else f"the {k} differs"
            for k in other
        ]  # fmt: skip
        raise InputError(
            f"The checkpoint {self._folder} belongs to another measurement: {'; '.join(words)}. "
            "Repeat the command it was made with, or name another folder."
        )


def identity(bound: Bound, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What an answer depends on: the model, its data, the settings, and the versions at work."""
    arrays = {**bound.known, **{f"present.{k}": v for k, v in bound.present.items()}}
    return identity_of(bound.model, bound.sizes, arrays, settings)


def identity_of(
    model: Model,
    sizes: Mapping[str, int],
    data: Mapping[str, np.ndarray],
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    """The same for data that are not bound as a whole."""
    return {
        "model": model.text,
        "values": {k: np.asarray(v).tolist() for k, v in model.values.items()},
        "sizes": dict(sizes),
        "data": fingerprint(data),
        **settings,
        "torch": torch.__version__,
    }


def fingerprint(arrays: Mapping[str, np.ndarray]) -> str:
    """A digest of named arrays: names, shapes, types and every byte, a megabyte at a time."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name}{array.shape}{array.dtype.str}".encode())
        flat = array.reshape(-1)
        for k in range(0, len(flat), 1 << 17):
            part = np.ascontiguousarray(flat[k : k + (1 << 17)])
            digest.update(part.astype(str).tobytes() if part.dtype == object else part.tobytes())
    return digest.hexdigest()[:16]


def _packed(tree: Any, arrays: dict[str, np.ndarray]) -> Any:
    """A tree as JSON, its arrays taken out under numbers."""
    if isinstance(tree, Tensor | np.ndarray):
        array = tree.detach().cpu().numpy() if isinstance(tree, Tensor) else tree
        name = str(len(arrays))
        arrays[name] = np.array(array, order="C")
        return {"$array": name, "numpy": isinstance(tree, np.ndarray)}
    if isinstance(tree, Mapping):
        return {str(k): _packed(v, arrays) for k, v in tree.items()}
    if isinstance(tree, list | tuple):
        return [_packed(v, arrays) for v in tree]
    return tree


def _unpacked(tree: Any, arrays: Mapping[str, np.ndarray], device: torch.device) -> Any:
    if isinstance(tree, dict):
        if "$array" in tree:
            array = arrays[tree["$array"]]
            return array if tree["numpy"] else torch.from_numpy(array.copy()).to(device)
        return {k: _unpacked(v, arrays, device) for k, v in tree.items()}
    if isinstance(tree, list):
        return [_unpacked(v, arrays, device) for v in tree]
    return tree


def _synced(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
