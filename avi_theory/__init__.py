"""Can amortized variational inference be as good as factorized variational inference here?

Declare a latent-variable model, check it, predict the gap, measure it, compare the two.  Names
load on first use, so that ``import avi_theory`` stays free of torch and matplotlib.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from avi_theory.errors import (
        AviError,
        DataError,
        DeviceError,
        InputError,
        ModelError,
        ResourceError,
    )
    from avi_theory.gallery import gallery_names, load
    from avi_theory.importers import from_hmmlearn, hmmlearn_data, to_hmmlearn
    from avi_theory.numeric import load_measurement
    from avi_theory.pipeline import check, compare, measure, predict, simulate, smallest_inputs
    from avi_theory.spec.model import Model

_HOMES = {
    "AviError": "errors",
    "DataError": "errors",
    "DeviceError": "errors",
    "InputError": "errors",
    "Model": "spec.model",
    "ModelError": "errors",
    "ResourceError": "errors",
    "check": "pipeline",
    "compare": "pipeline",
    "from_hmmlearn": "importers",
    "gallery_names": "gallery",
    "hmmlearn_data": "importers",
    "load": "gallery",
    "load_measurement": "numeric",
    "measure": "pipeline",
    "predict": "pipeline",
    "simulate": "pipeline",
    "smallest_inputs": "pipeline",
    "to_hmmlearn": "importers",
}

__all__ = [
    "AviError",
    "DataError",
    "DeviceError",
    "InputError",
    "Model",
    "ModelError",
    "ResourceError",
    "check",
    "compare",
    "from_hmmlearn",
    "gallery_names",
    "hmmlearn_data",
    "load",
    "load_measurement",
    "measure",
    "predict",
    "simulate",
    "smallest_inputs",
    "to_hmmlearn",
]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'avi_theory' has no attribute {name!r}")
    value = getattr(import_module(f"avi_theory.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
