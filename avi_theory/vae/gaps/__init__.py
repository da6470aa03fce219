"""Gaps of a VAE, image by image: what amortization and the Gaussian family cost, in nats."""

from avi_theory.vae.gaps.bdmc import bdmc
from avi_theory.vae.gaps.ladder import Settings
from avi_theory.vae.gaps.run import vae_gaps

__all__ = ["Settings", "bdmc", "vae_gaps"]
