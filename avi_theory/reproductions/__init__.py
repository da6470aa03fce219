"""Published experiments, run again: each writes its numbers beside the printed ones.

One file per experiment and one entry in `EXPERIMENTS`.
"""

from avi_theory.errors import InputError, nearest
from avi_theory.reproductions.base import Experiment, Found
from avi_theory.reproductions.cld_annealing import CLD_ANNEALING
from avi_theory.reproductions.cld_capacity import CLD_DECODER, CLD_ENCODER
from avi_theory.reproductions.cld_flows import CLD_FLOWS
from avi_theory.reproductions.cld_gaps import CLD_GAPS
from avi_theory.reproductions.cld_generator import CLD_GENERATOR
from avi_theory.reproductions.gp_vae import GP_VAE
from avi_theory.reproductions.ia_vae import IA_VAE
from avi_theory.reproductions.mb_bnn import MB_BNN
from avi_theory.reproductions.mb_hmm import MB_HMM
from avi_theory.reproductions.mb_linear import MB_LINEAR
from avi_theory.reproductions.mb_nonlinear import MB_NONLINEAR
from avi_theory.reproductions.mb_saw import MB_SAW

__all__ = ["EXPERIMENTS", "SCALES", "Experiment", "Found", "named"]

EXPERIMENTS: tuple[Experiment, ...] = (
    MB_LINEAR,
    MB_NONLINEAR,
    MB_BNN,
    MB_SAW,
    MB_HMM,
    CLD_GAPS,
    CLD_GENERATOR,
    CLD_FLOWS,
    CLD_ENCODER,
    CLD_DECODER,
    CLD_ANNEALING,
    IA_VAE,
    GP_VAE,
)
SCALES = ("small", "full")


def named(name: str) -> Experiment:
    """The experiment of this name.

    Raises:
        InputError: there is none.
    """
    for experiment in EXPERIMENTS:
        if experiment.name == name:
            return experiment
    names = [e.name for e in EXPERIMENTS]
    hint = nearest(name, names) or f"Known: {', '.join(names)}."
    raise InputError(f"No reproduction is called {name!r}. {hint}")
