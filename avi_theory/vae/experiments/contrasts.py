r"""Paired comparison over seeds.

.. math:: \bar\Delta = \tfrac1S \sum_s a_s - b_s,\qquad d_z = \bar\Delta / \mathrm{sd}(\Delta)

(Cohen 1988, for pairs), with the paired t test and Wilcoxon's signed ranks.
"""

from __future__ import annotations

import numpy as np

from avi_theory.errors import InputError
from avi_theory.results.trial import Arm, Contrast


def contrast(arm: Arm, against: Arm, quantity: str) -> Contrast:
    """Two arms that were run with the same seeds.

    Args:
        arm: the one that claims something.
        against: its control.
        quantity: that both measured.

    Raises:
        InputError: other seeds, or fewer than two.
    """
    from scipy import stats

    a, b = (np.asarray(x.values[quantity], float) for x in (arm, against))
    if len(a) != len(b) or len(a) < 2:
        raise InputError(
            f"{arm.name} has {len(a)} seeds and {against.name} {len(b)}: pairs need the same, at "
            "least two."
        )
    apart = a - b
    spread = float(apart.std(ddof=1))
    alike = spread == 0
    return Contrast(
        arm.name,
        against.name,
        quantity,
        float(apart.mean()),
        spread / len(apart) ** 0.5,
        None if alike else float(apart.mean()) / spread,
        None if alike else float(stats.ttest_rel(a, b).pvalue),
        None if alike else float(stats.wilcoxon(apart).pvalue),
        len(apart),
    )
