"""The closed forms, in the order in which they are tried."""

from avi_theory.theory.closed_forms.dataset import GaussianDataset
from avi_theory.theory.closed_forms.discrete import DiscreteTables
from avi_theory.theory.closed_forms.drawn_functions import DrawnFunctions
from avi_theory.theory.closed_forms.drawn_tables import DrawnTables
from avi_theory.theory.closed_forms.interpolation import EverythingSeen, Interpolation
from avi_theory.theory.closed_forms.loglinear import DiscretePolynomials
from avi_theory.theory.closed_forms.population import GaussianPopulation, ZeroAtAnyTheta
from avi_theory.theory.closed_forms.protocol import ClosedForm
from avi_theory.theory.closed_forms.quadrature import QuadratureDataset
from avi_theory.theory.closed_forms.reuse import GaussianReuse
from avi_theory.theory.closed_forms.separable import Separable

CLOSED_FORMS: tuple[ClosedForm, ...] = (
    Separable(),
    EverythingSeen(),
    Interpolation(),
    DiscreteTables(),
    DiscretePolynomials(),
    DrawnTables(),
    GaussianDataset(),
    QuadratureDataset(),
    GaussianPopulation(),
    ZeroAtAnyTheta(),
    GaussianReuse(),
    DrawnFunctions(),
)
"""The first that accepts a question answers it."""
ANY_FACTORS = (Separable, EverythingSeen, Interpolation)
"""Those whose argument holds for any family of factors; the others know Normal, LogNormal and
Categorical ones."""

__all__ = ["ANY_FACTORS", "CLOSED_FORMS", "ClosedForm"]
