"""Encoders compared with their controls, over seeds."""

from avi_theory.vae.experiments.arms import Plan, arms_of
from avi_theory.vae.experiments.contrasts import contrast
from avi_theory.vae.experiments.run import compare_encoders
from avi_theory.vae.experiments.synthetic import TRUTHS, Truth, truth_of

__all__ = ["TRUTHS", "Plan", "Truth", "arms_of", "compare_encoders", "contrast", "truth_of"]
