"""Annealed importance sampling with Hamiltonian transitions, for many integrals at once."""

from avi_theory.numeric.annealing.answer import Annealed
from avi_theory.numeric.annealing.run import anneal, anneal_back
from avi_theory.numeric.annealing.schedules import linear, sigmoidal
from avi_theory.numeric.annealing.starts import Normal, Start
from avi_theory.numeric.annealing.steps import Steps, pilot

__all__ = [
    "Annealed",
    "Normal",
    "Start",
    "Steps",
    "anneal",
    "anneal_back",
    "linear",
    "pilot",
    "sigmoidal",
]
