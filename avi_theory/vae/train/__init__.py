"""Training: settings, the loop, scores, and models kept on disk."""

from avi_theory.vae.train.build import build
from avi_theory.vae.train.evaluate import Score, score
from avi_theory.vae.train.loop import train
from avi_theory.vae.train.objective import objective
from avi_theory.vae.train.settings import Settings, load_settings, settings_of
from avi_theory.vae.train.trained import Loaded, Trained, compare_shapes, load_vae

__all__ = [
    "Loaded",
    "Score",
    "Settings",
    "Trained",
    "build",
    "compare_shapes",
    "load_settings",
    "load_vae",
    "objective",
    "score",
    "settings_of",
    "train",
]
