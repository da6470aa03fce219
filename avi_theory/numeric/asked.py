"""What a measurement is asked for: device, type, inputs, progress."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch

from avi_theory.errors import DeviceError, InputError, nearest
from avi_theory.numeric.functions import function_named
from avi_theory.numeric.solve import Options
from avi_theory.spec.bound import Bound
from avi_theory.spec.inputs import for_locals
from avi_theory.spec.windows import window as window_inputs

Progress = Callable[[str, int, float, float], None]
"""Called with (run, iteration, ELBO in nats, gradient norm)."""
DEFAULT = "mlp:32x32"
"""The function where none is named."""


def device_named(name: str) -> torch.device:
    """A device of this machine.

    Raises:
        DeviceError: it is not there, or no such kind exists.
    """
    try:
        device = torch.device(name)
    except RuntimeError as e:
        raise DeviceError(f"The device {name!r} is unknown. Use cpu, or cuda where it is.") from e
    if device.type == "cuda" and not torch.cuda.is_available():
        raise DeviceError(
            "The device 'cuda' is not available: this machine has no CUDA device that PyTorch can "
            "use. Use --device cpu, or install PyTorch's CUDA build on a machine with a GPU."
        )
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(
            f"The device {name!r} does not exist: there are {torch.cuda.device_count()}. "
            "Use a smaller number."
        )
    if device.type not in {"cpu", "cuda"}:
        raise DeviceError(f"The device {name!r} is not supported. Use cpu or cuda.")
    return device


def dtype_named(name: str) -> torch.dtype:
    """float64 or float32.

    Raises:
        InputError: another type.
    """
    types = {"float64": torch.float64, "float32": torch.float32}
    if name not in types:
        raise InputError(f"The dtype {name!r} is unknown. {nearest(name, types)} Use float64.")
    return types[name]


def chosen_inputs(
    bound: Bound,
    inputs: Sequence[str] | Mapping[str, Sequence[str]] | None,
    window: int | None,
    function: str | None,
) -> dict[str, tuple[str, ...]] | None:
    """What the function of each local sees; None where there is no function.

    Raises:
        InputError: both inputs and a window, or a function without inputs.
    """
    if inputs is not None and window is not None:
        raise InputError("Both inputs and a window were given. Give one of them.")
    if function is not None and function_named(function).blind:
        return for_locals(bound, [])
    if window is not None:
        return window_inputs(bound, window)
    if inputs is not None:
        return for_locals(bound, [inputs] if isinstance(inputs, str) else inputs)
    if function is None:
        return None
    raise InputError(
        f"The function {function!r} has no inputs. Give inputs=['x[n]', …] or window=K."
    )


def reporting(options: Options, progress: Progress | None, run: str) -> Options:
    """The options with progress reported under a run's name."""
    if progress is None:
        return options
    return replace(options, progress=lambda k, elbo, norm: progress(run, k, elbo, norm))
