r"""Large data sets: the ELBO as a sum over batches of units, of which few are in memory at once.

.. math:: \mathrm{ELBO} = G(\nu_\theta) + \sum_{k=1}^{K} E_k(\nu_\theta, \nu_{z \in k})

Where locals of different units do not interact, F-VI's locals are optimised batch by batch inside
an exact Newton's method for the globals, and A-VI's function by exact sums over batches, networks
after steps on single batches scaled by K, which are unbiased.
"""

from avi_theory.numeric.batches.run import measure_in_batches

__all__ = ["measure_in_batches"]
