r"""Inference functions: from what a point's factor may see to the factor's parameters.

.. math:: \nu_n = f_\phi(w_n),\qquad f \in \mathcal F

One file per kind of function, one line in `FUNCTIONS` each.
"""

from avi_theory.numeric.functions.network import Network
from avi_theory.numeric.functions.neural import Neural
from avi_theory.numeric.functions.polynomial import Polynomial
from avi_theory.numeric.functions.protocol import InferenceFunction
from avi_theory.numeric.functions.registry import FUNCTIONS, FunctionName, function_named
from avi_theory.numeric.functions.table import Table

__all__ = [
    "FUNCTIONS",
    "FunctionName",
    "InferenceFunction",
    "Network",
    "Neural",
    "Polynomial",
    "Table",
    "function_named",
]
