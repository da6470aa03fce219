"""Load what `Measurement.save` wrote: safetensors with a JSON header, never pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from avi_theory.errors import InputError
from avi_theory.numeric.asked import device_named, dtype_named
from avi_theory.numeric.families import families
from avi_theory.numeric.lowering import Where
from avi_theory.numeric.posterior import summarise
from avi_theory.numeric.trained import Trained, without_sizes
from avi_theory.results.measurement import (
    FORMAT,
    AmortizedSolution,
    Measurement,
    Saved,
    Solution,
)
from avi_theory.spec.bound import bind
from avi_theory.spec.model import Model


def load_measurement(path: str | Path, *, device: str = "cpu") -> Measurement:
    """A saved measurement, its inference function ready for new data.

    Args:
        path: what `Measurement.save` wrote.
        device: where the function is to run.

    Raises:
        InputError: no such file, or not a measurement.
    """
    header, arrays = _content(Path(path))
    answer, recipe = json.loads(header["answer"]), json.loads(header["recipe"])
    traces = {k: tuple(v) for k, v in json.loads(header["traces"]).items()}
    where = Where(device_named(device), dtype_named(recipe["dtype"]))
    model = Model(recipe["text"]).replace(name=recipe["name"]).with_values(**recipe["values"])
    covariates = {k.removeprefix("known."): v for k, v in arrays.items() if k.startswith("known.")}
    bound = bind(model.replace(default_sizes=recipe["sizes"]), covariates or None)
    factors = recipe.get("factors", {})
    kinds = families(bound, factors)
    tables = {n: where.tensor(arrays[f"fvi.{n}"]) for n in kinds if f"fvi.{n}" in arrays}
    trained = None
    if "function" in recipe:
        texts = {k: tuple(v) for k, v in recipe["inputs"].items()}
        trained = Trained.restored(
            without_sizes(model), kinds, arrays, texts, recipe["function"], where, recipe["seed"],
            factors,
        )  # fmt: skip
    avi = answer["avi"]
    return Measurement(
        model=answer["model"],
        fvi=Solution(**answer["fvi"]),
        avi=AmortizedSolution(**_tuples(avi)) if avi else None,
        latents=answer["latents"],
        standard_error=answer["standard_error"],
        methods=answer["methods"],
        log_evidence=answer["log_evidence"],
        holdout=answer["holdout"],
        provenance=answer["provenance"],
        traces=traces,
        saved=Saved(arrays, recipe),
        summary=summarise(bound, kinds, tables),
        apply=trained.infer if trained is not None else None,
    )


def _tuples(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}


def _content(path: Path) -> tuple[Mapping[str, str], dict[str, np.ndarray]]:
    if not path.is_file():
        raise InputError(f"The measurement {path} does not exist. Save one with --save PATH.")
    try:
        with safe_open(str(path), framework="numpy") as file:
            header = file.metadata() or {}
            arrays = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as e:
        raise InputError(f"The file {path} is no saved measurement: {e}.") from e
    if header.get("format") != FORMAT:
        raise InputError(f"The file {path} holds tensors, but no measurement of this version.")
    return header, arrays
