r"""The evidence and the true marginals of discrete chains, by message passing.

.. math:: \log p(x) = \sum_{\text{chains}} \log \sum_z \prod_t b_t(z_t) A_t(z_{t-1}, z_t)

Linear in the length, for any number of sequences of any lengths.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from avi_theory.numeric.chains import forward_backward
from avi_theory.numeric.chains import log_evidence as evidence_of
from avi_theory.numeric.elbo import Elbo
from avi_theory.numeric.evidence.answer import Evidence
from avi_theory.numeric.evidence.layout import Layout, Part, layout_of
from avi_theory.numeric.fit import Fit


def by_message_passing(elbo: Elbo, fvi: Fit, seed: int) -> Evidence | None:
    """Exact where all latents are discrete and form chains; None elsewhere."""
    found = _chains(elbo)
    if found is None:
        return None
    layout, parts = found
    total = sum(f.constant for f in elbo.factors)
    total += sum(float(evidence_of(c).sum()) for c, _ in layout.chains(parts, 1))
    if not np.isfinite(total):
        return Evidence.unknown("the data are impossible under the model: p(x) = 0")
    return Evidence(total, "exact: message passing")


def discrete_marginals(elbo: Elbo) -> dict[str, np.ndarray] | None:
    """p(z_n | x) ``[P, S]`` by variable, where all latents are discrete and form chains."""
    found = _chains(elbo)
    if found is None:
        return None
    layout, parts = found
    table = np.full((len(layout.place), layout.states), np.nan)
    for chain, at in layout.chains(parts, 1):
        inside = chain.inside()
        marginals = forward_backward(chain).marginals.cpu().double()
        keep = slice(None) if inside is None else inside.cpu()
        table[at.cpu()[keep].numpy().ravel()] = marginals[keep].reshape(-1, layout.states).numpy()
    by_site = table[layout.place]
    return {
        name: by_site[start : start + elbo.families[name].points]
        for name, start in layout.first.items()
    }


def chain_levels(layout: Layout, parts: list[Part], draws: int) -> Tensor:
    """log Σ_z of the factors that hold chain sites, at each draw of the others ``[D]``."""
    total = parts[0][1].new_zeros(draws)
    for chain, at in layout.chains(parts, draws):
        total = total + evidence_of(chain).reshape(draws, len(at)).sum(1)
    return total


def _chains(elbo: Elbo) -> tuple[Layout, list[Part]] | None:
    if not elbo.families or not all(f.discrete for f in elbo.families.values()):
        return None
    layout = layout_of(elbo, list(elbo.families))
    if layout is None:
        return None
    with torch.no_grad():
        parts = [(f, f.instances({}, {}).expand(f.count)[None]) for f in elbo.factors if f.sites]
    return (layout, parts) if parts else None
