"""The question: what a declared model is, and how it is read.

`model` holds the immutable `Model`; `notation` reads its text, `files` its TOML file; `terms` is
the vocabulary of its expressions, `distributions` that of its densities; `values` checks numbers
from outside; `latex` shows it.
"""

from avi_theory.spec.distributions import DISTRIBUTIONS, Distribution
from avi_theory.spec.files import load_file
from avi_theory.spec.latex import model_graph, model_latex
from avi_theory.spec.model import (
    Axis,
    Density,
    EdgeValue,
    Factor,
    Given,
    IndexSet,
    Model,
    Network,
    Potential,
    Range,
    Variable,
)
from avi_theory.spec.notation import parse
from avi_theory.spec.values import check_values

__all__ = [
    "DISTRIBUTIONS",
    "Axis",
    "Density",
    "Distribution",
    "EdgeValue",
    "Factor",
    "Given",
    "IndexSet",
    "Model",
    "Network",
    "Potential",
    "Range",
    "Variable",
    "check_values",
    "load_file",
    "model_graph",
    "model_latex",
    "parse",
]
