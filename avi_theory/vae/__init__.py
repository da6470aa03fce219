"""The VAE laboratory: encoders, training and gaps per image, on torch modules and callables."""

from avi_theory.vae.counts import flop_count, parameter_count
from avi_theory.vae.decoders import Decoder, convolutional_decoder, dense_decoder
from avi_theory.vae.elbo import Estimate, elbo, iwae, log_joint, plug_in
from avi_theory.vae.encoders import (
    AuxiliaryEncoder,
    FlowEncoder,
    GaussianEncoder,
    InstanceAdaptive,
    ProcessEncoder,
    SemiAmortized,
    convolutional,
    dense,
    refine,
)
from avi_theory.vae.gaps import vae_gaps
from avi_theory.vae.likelihoods import Bernoulli, Categorical, Gaussian, Likelihood, likelihood_of
from avi_theory.vae.posteriors import Diagonal, Posterior, posterior_of

__all__ = [
    "AuxiliaryEncoder",
    "Bernoulli",
    "Categorical",
    "Decoder",
    "Diagonal",
    "Estimate",
    "FlowEncoder",
    "Gaussian",
    "GaussianEncoder",
    "InstanceAdaptive",
    "Likelihood",
    "Posterior",
    "ProcessEncoder",
    "SemiAmortized",
    "convolutional",
    "convolutional_decoder",
    "dense",
    "dense_decoder",
    "elbo",
    "flop_count",
    "iwae",
    "likelihood_of",
    "log_joint",
    "parameter_count",
    "plug_in",
    "posterior_of",
    "refine",
    "vae_gaps",
]
