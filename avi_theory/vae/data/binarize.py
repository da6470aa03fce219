r"""Grey images made dark or light, or of a few levels.

.. math:: x_i = [g_i \ge c]\quad\text{(threshold)},\qquad
    x_i \sim \mathrm{Bernoulli}(g_i)\quad\text{(stochastic, drawn once)},\qquad
    x_i = \lfloor g_i (K - 1) + \tfrac12 \rfloor\quad\text{(K levels)}
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
        kind: none, threshold, stochastic or levels.
        level: c, for a threshold; K, for levels.
        seed: for stochastic.
    """

    kind: str
    level: float = 0.5
    seed: int = 0

    @classmethod
    def named(cls, text: str, seed: int = 0) -> Binarization:
        """From ``none``, ``threshold:0.5``, ``stochastic`` or ``levels:16``.

        Raises:
            InputError: anything else.

        Example:
            >>> Binarization.named("threshold:0.5").level
            0.5
        """
        kind, _, level = text.partition(":")
        try:
            number = float(level or 0.5)
        except ValueError:
            number = -1.0
        known = {
            "none": not level,
            "stochastic": not level,
            "threshold": 0 < number < 1,
            "levels": number in range(2, 257),
        }
        if not known.get(kind, False):
            raise InputError(
                f"The binarization {text!r} is unknown. Use none, threshold:0.5 (a level between "
                "0 and 1), stochastic, or levels:16 (2 to 256)."
            )
        return cls(kind, number, seed)

    def __str__(self) -> str:
        if self.kind == "threshold":
            return f"threshold, 1 from {self.level:g} on"
        if self.kind == "levels":
            return f"{self.level:g} levels, rounded"
        return f"stochastic, drawn once with seed {self.seed}" if self.kind != "none" else "none"

    def apply(self, images: np.ndarray, unit: float, stream: int) -> np.ndarray:
        """Bytes 0 and 1, or 0 to K − 1.

        Args:
            images: grey values in units of `unit`, ``[N, …]``.
            unit: 1/255 for bytes.
            stream: the number of the split, so that splits have noise of their own.
        """
        found = np.empty(images.shape, np.uint8)
        rng = np.random.default_rng((self.seed, stream))
        for k in range(0, len(images), ROWS):
            grey = images[k : k + ROWS] * np.float64(unit)
            if self.kind == "threshold":
                made = grey >= self.level
            elif self.kind == "levels":
                made = np.floor(grey * (self.level - 1) + 0.5)
            else:
                made = grey > rng.random(grey.shape)
            found[k : k + ROWS] = made
        return found
