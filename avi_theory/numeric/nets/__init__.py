"""Networks on plain tensors, made from a generator: nothing here knows of models or inputs.

Those of units take tokens ``[U, L, C]`` and say nothing of places where ``valid`` is false: padding
never changes an answer.
"""

from avi_theory.numeric.nets.attention import Attention
from avi_theory.numeric.nets.convolution import Convolution
from avi_theory.numeric.nets.dense import Dense, Linear
from avi_theory.numeric.nets.film import Modulated
from avi_theory.numeric.nets.kernel import Kernel
from avi_theory.numeric.nets.recurrent import Recurrent

__all__ = [
    "Attention",
    "Convolution",
    "Dense",
    "Kernel",
    "Linear",
    "Modulated",
    "Recurrent",
]
