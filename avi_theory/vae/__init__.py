"""The VAE laboratory: encoders, training and gaps per image, on torch modules and callables."""

from avi_theory.vae.elbo import Estimate, elbo, iwae, log_joint, plug_in
from avi_theory.vae.likelihoods import Bernoulli, Categorical, Gaussian, Likelihood, likelihood_of
from avi_theory.vae.posteriors import Diagonal, Posterior, posterior_of

__all__ = [
    "Bernoulli",
    "Categorical",
    "Diagonal",
    "Estimate",
    "Gaussian",
    "Likelihood",
    "Posterior",
    "elbo",
    "iwae",
    "likelihood_of",
    "log_joint",
    "plug_in",
    "posterior_of",
]
