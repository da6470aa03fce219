"""Encoders behind one interface: images to q(z | x)."""

from avi_theory.vae.encoders.adaptive import InstanceAdaptive
from avi_theory.vae.encoders.auxiliary import AuxiliaryEncoder
from avi_theory.vae.encoders.flow import FlowEncoder
from avi_theory.vae.encoders.gaussian import GaussianEncoder, convolutional, dense
from avi_theory.vae.encoders.modulation import MODULATIONS
from avi_theory.vae.encoders.process import ProcessEncoder
from avi_theory.vae.encoders.semi import Refined, SemiAmortized, refine

__all__ = [
    "MODULATIONS",
    "AuxiliaryEncoder",
    "FlowEncoder",
    "GaussianEncoder",
    "InstanceAdaptive",
    "ProcessEncoder",
    "Refined",
    "SemiAmortized",
    "convolutional",
    "dense",
    "refine",
]
