"""A set of images with its splits, and what was done to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from avi_theory.errors import InputError, nearest

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class Images:
    """Three splits of images of one shape, as they lie in memory or in a mapped file.

    Attributes:
        name: of the set.
        train, validation, test: ``[N, *event]``, bytes or floating-point numbers.
        unit: what a stored number is multiplied by: 1/255 for bytes that mean grey values.
        description: source, binarization and its seed, splits; in every result.
    """

    name: str
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    unit: float
    description: Mapping[str, Any]

    @property
    def event(self) -> tuple[int, ...]:
        """The shape of an image."""
        return tuple(self.train.shape[1:])

    def first(self, count: int | None) -> Images:
        """With the first so many images to train and as many to test, a tenth for validation."""
        if count is None:
            return self
        train, test = self.train[:count], self.test[:count]
        validation = self.validation[: max(1, count // 10)]
        counts = {"train": len(train), "validation": len(validation), "test": len(test)}
        return replace(
            self,
            train=train,
            validation=validation,
            test=test,
            description={**self.description, **counts},
        )

    def split(self, name: str) -> np.ndarray:
        """A split as it is stored.

        Raises:
            InputError: no such split.
        """
        if name not in SPLITS:
            hint = nearest(name, SPLITS) or f"Known: {', '.join(SPLITS)}."
            raise InputError(f"The split {name!r} is unknown. {hint}")
        found: np.ndarray = getattr(self, name)
        return found

    def tensor(
        self,
        split: str,
        rows: np.ndarray | slice | None = None,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """Images of a split ``[B, *event]``, as a likelihood wants them.

        Args:
            split: train, validation or test.
            rows: which, all unless told.
            device: where to.
            dtype: of the numbers.
        """
        stored = self.split(split)[slice(None) if rows is None else rows]
        return self.ready(torch.from_numpy(np.array(stored)).to(device), dtype)

    def ready(self, stored: Tensor, dtype: torch.dtype) -> Tensor:
        """Stored numbers as a likelihood wants them."""
        found = stored.to(dtype)
        return found if self.unit == 1.0 else found * self.unit
