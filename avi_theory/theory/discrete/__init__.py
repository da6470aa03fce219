"""Discrete models with pairwise interactions: every data set, every optimum, without sampling."""

from avi_theory.theory.discrete.ascent import Pool, free_optimum, table_optimum
from avi_theory.theory.discrete.build import (
    MOST_DATA_SETS,
    NotDiscrete,
    drawn_data,
    every_data_set,
    given_data,
)
from avi_theory.theory.discrete.evidence import log_evidence
from avi_theory.theory.discrete.field import Field
from avi_theory.theory.discrete.loglinear import Basis, loglinear_optimum, polynomial_basis
from avi_theory.theory.discrete.optimum import Drawn, Optimum, drawn_optimum, optimum
from avi_theory.theory.discrete.ties import classes, inputs_by_class

__all__ = [
    "MOST_DATA_SETS",
    "Basis",
    "Drawn",
    "Field",
    "NotDiscrete",
    "Optimum",
    "Pool",
    "classes",
    "drawn_data",
    "drawn_optimum",
    "every_data_set",
    "free_optimum",
    "given_data",
    "inputs_by_class",
    "log_evidence",
    "loglinear_optimum",
    "optimum",
    "polynomial_basis",
    "table_optimum",
]
