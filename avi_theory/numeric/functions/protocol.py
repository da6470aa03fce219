"""What the solver asks of an inference function."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from torch import Tensor


class InferenceFunction(Protocol):
    """What the solver asks of a function.

    Attributes:
        size: number of free parameters.
        smooth: whether Newton's method serves it (few parameters, linear mean).
    """

    size: int
    smooth: bool

    def table(self, p: Tensor) -> Tensor:
        """Parameters of the factors at the fitted points, ``[M, dim, width]``."""

    def start(self, table: Tensor) -> Tensor:
        """Parameters whose table is near a given one."""

    def scales(self, fisher: Tensor) -> Tensor:
        """The metric of the parameters, from that of the table ``[M, dim, width]``."""

    def apply(self, p: Tensor, values: np.ndarray) -> Tensor:
        """Parameters of the factors at new inputs ``[M', F]``."""
