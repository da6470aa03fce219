r"""Grey images made dark or light.

.. math:: x_i = [g_i \ge c]\quad\text{(threshold)},\qquad
    x_i \sim \mathrm{Bernoulli}(g_i)\quad\text{(stochastic, drawn once)}
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from avi_theory.errors import InputError

ROWS = 4096


@dataclass(frozen=True)
class Binarization:
    """How to binarize.

    Attributes:
        kind: none, threshold or stochastic.
        level: c, for a threshold.
        seed: for stochastic.
    """

    kind: str
    level: float = 0.5
    seed: int = 0

    @classmethod
    def named(cls, text: str, seed: int = 0) -> Binarization:
        """From ``none``, ``threshold:0.5`` or ``stochastic``.

        Raises:
            InputError: anything else.

        Example:
            >>> Binarization.named("threshold:0.5").level
            0.5
        """
        kind, _, level = text.partition(":")
        try:
            known = {"none": not level, "threshold": 0 < float(level or 0.5) < 1}
            if known.get(kind, kind == "stochastic" and not level):
                return cls(kind, float(level or 0.5), seed)
        except ValueError:
            pass
        raise InputError(
            f"The binarization {text!r} is unknown. "
            "Use none, threshold:0.5 (a level between 0 and 1) or stochastic."
        )

    def __str__(self) -> str:
        if self.kind == "threshold":
            return f"threshold, 1 from {self.level:g} on"
        return f"stochastic, drawn once with seed {self.seed}" if self.kind != "none" else "none"

    def apply(self, images: np.ndarray, unit: float, stream: int) -> np.ndarray:
        """Bytes 0 and 1.

        Args:
            images: grey values in units of `unit`, ``[N, …]``.
            unit: 1/255 for bytes.
            stream: the number of the split, so that splits have noise of their own.
        """
        found = np.empty(images.shape, np.uint8)
        rng = np.random.default_rng((self.seed, stream))
        for k in range(0, len(images), ROWS):
            grey = images[k : k + ROWS] * np.float64(unit)
            level = self.level if self.kind == "threshold" else rng.random(grey.shape)
            found[k : k + ROWS] = grey >= level if self.kind == "threshold" else grey > level
        return found
