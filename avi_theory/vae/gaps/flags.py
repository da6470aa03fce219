"""What went wrong with an image, as bits."""

from __future__ import annotations

import numpy as np

from avi_theory.results.gaps import FLAGS

SIGMAS = 3.0
ROUNDING = 1e-6
OPTIMISER, ESTIMATOR, NOT_A_NUMBER = FLAGS


def flagged(columns: dict[str, np.ndarray], *, diagonal: bool = True) -> np.ndarray:
    """Bits of `FLAGS` per image, 0 where nothing is wrong.

    Differences count when they exceed three standard errors and rounding.  The flows contain the
    diagonal Gaussians, so theirs is the larger optimum or the optimiser failed.  An encoder whose
    q is no diagonal Gaussian may lie above the best of those; log p(x) bounds it all the same.

    Args:
        columns: the numbers and standard errors of `Gaps.per_image`.
        diagonal: whether the encoder's q is a diagonal Gaussian.
    """
    elbo, best, evidence = (columns[k] for k in ("elbo", "elbo_optimum", "log_evidence"))
    rounding = ROUNDING * (1 + np.abs(elbo))
    flag = np.zeros(len(elbo), dtype=np.int64)
    above = elbo - best > SIGMAS * columns["amortization_gap_standard_error"] + rounding
    failed = above & diagonal
    bounds = ["elbo_optimum"] if diagonal else ["elbo_optimum", "elbo"]
    if "elbo_flow" in columns:
        noise = columns["flow_gain_standard_error"]
        failed |= best - columns["elbo_flow"] > SIGMAS * noise + rounding
        bounds.append("elbo_flow")
    flag[failed] |= FLAGS[OPTIMISER]
    for name in bounds:
        noise = np.hypot(columns["log_evidence_standard_error"], columns[f"{name}_standard_error"])
        flag[columns[name] - evidence > SIGMAS * noise + rounding] |= FLAGS[ESTIMATOR]
    finite = np.isfinite([elbo, evidence, *(columns[name] for name in bounds)]).all(0)
    flag[~finite] |= FLAGS[NOT_A_NUMBER]
    return flag
