r"""The one objective of both families.

.. math:: \mathrm{ELBO}(\nu) = \mathbb E_q[\log p(\theta, z, x)] + \sum_n \mathrm H[q(\cdot;\nu_n)]

F-VI and A-VI evaluate this same function; they differ only in how the parameter tables ν are made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from avi_theory.numeric.factors import Factors
from avi_theory.numeric.families import Family, families
from avi_theory.numeric.lowering import ExpectedFactor, Where, expected_factors
from avi_theory.spec.bound import Bound
from avi_theory.spec.grounding import ground

Tables = Mapping[str, Tensor]
MAX_DRAWS = 4_000_000


@dataclass(frozen=True, eq=False)
class Elbo:
    """The ELBO of a bound model, in nats.

    Attributes:
        families: of every latent, globals first.
        factors: the lowered log density, and what the transforms add to the entropy.
        where: device and dtype.
        noise: common random numbers for terms without a closed form, ``[S, P]`` by variable.
        samples: S.
    """

    families: Mapping[str, Family]
    factors: tuple[ExpectedFactor, ...]
    where: Where
    noise: Mapping[str, Tensor] = field(default_factory=dict)
    samples: int = 0

    def __call__(self, tables: Tables) -> Tensor:
        """The ELBO at parameter tables ``[P, dim, width]``."""
        q = self.marginals(tables)
        entropy = torch.stack([f.entropy(q[n]) for n, f in self.families.items()]).sum()
        if not self.factors:
            return entropy
        return self.expected(q) + entropy

    def expected(self, q: Mapping[str, Factors]) -> Tensor:
        """E_q[log p] and what the transforms add to the entropy."""
        return torch.stack([f.value(q, self.noise) for f in self.factors]).sum()

    def marginals(self, tables: Tables) -> dict[str, Factors]:
        """The factors of every latent."""
        return {name: f.factors(tables[name]) for name, f in self.families.items()}

    @property
    def sampled(self) -> bool:
        """Whether any term needs Monte Carlo."""
        return any(f.method == "monte carlo" for f in self.factors)

    @property
    def quadratic(self) -> bool:
        """Whether the model is linear-Gaussian: the log density quadratic, all factors Normal."""
        return all(f.quadratic for f in self.factors) and all(
            f.kind in ("Normal", "FullNormal") for f in self.families.values()
        )

    @property
    def concave(self) -> bool:
        """Whether the ELBO is known to have one optimum: a log-concave target, Normal factors."""
        if any(f.kind not in ("Normal", "FullNormal") for f in self.families.values()):
            return False
        return self.quadratic or all(f.concave for f in self.factors)

    @property
    def methods(self) -> dict[str, str]:
        """Statement to the method of its expectation: exact, quadrature or monte carlo."""
        rank = {"exact": 0, "quadrature": 1, "monte carlo": 2}
        found: dict[str, str] = {}
        for f in self.factors:
            if rank[f.method] >= rank[found.get(f.text, "exact")]:
                found[f.text] = f.method
        return found

    def with_noise(self, seed: int) -> Elbo:
        """The same with other random numbers: antithetic standard normals from a seed.

        Where u is not Gaussian, their probabilities: numbers between 0 and 1.
        """
        if not self.sampled:
            return self
        generator = torch.Generator().manual_seed(seed)
        noise = {}
        for name, f in self.families.items():
            if f.real:
                shape = (self.samples // 2, f.points, *((f.coordinates,) if f.vector else ()))
                half = torch.randn(shape, generator=generator, dtype=torch.float64)
                both = torch.cat([half, -half]).to(self.where.device, self.where.dtype)
                noise[name] = torch.special.ndtr(both) if f.law != "normal" else both
        joint = {
            name: torch.stack([noise[n] for n in f.before], -1)
            for name, f in self.families.items()
            if f.unit
        }
        noise |= joint
        return replace(self, noise=noise)

    def without_moments(self, tables: Tables) -> bool:
        """Whether a closed form is infinite at these factors: a moment that they do not have."""
        q = self.marginals(tables)
        with torch.no_grad():
            return any(
                f.method == "exact" and not bool(torch.isfinite(f.value(q, self.noise)))
                for f in self.factors
            )

    def culprit(self, tables: Tables) -> str | None:
        """The first statement whose expectation is not finite, or None."""
        q = self.marginals(tables)
        with torch.no_grad():
            for f in self.factors:
                if not bool(torch.isfinite(f.value(q, self.noise))):
                    return f.text
        return None


def elbo_of(
    bound: Bound,
    where: Where,
    *,
    samples: int = 256,
    seed: int = 0,
    factors: Mapping[str, str] | None = None,
) -> Elbo:
    """The ELBO of a model with its data.

    Args:
        bound: the model and data.
        where: device and dtype.
        samples: Monte Carlo samples, for terms that need them (fewer for very large models).
        seed: of those samples.
        factors: the kinds of factors of some latents, as in ``{"z": "gamma"}``.

    Raises:
        InputError: a statement or a latent that cannot be measured, named.
    """
    kinds = families(bound, factors)
    lowered = expected_factors(ground(bound), kinds, where)
    largest = max((f.points * f.coordinates for f in kinds.values()), default=1)
    samples = max(2, min(samples, MAX_DRAWS // largest) // 2 * 2)
    return Elbo(kinds, lowered, where, {}, samples).with_noise(seed)
