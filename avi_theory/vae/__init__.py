"""The VAE laboratory: encoders, training and gaps per image, on torch modules and callables."""

from avi_theory.vae.counts import flop_count, parameter_count
from avi_theory.vae.data import Images, load_images
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
from avi_theory.vae.model import VAE
from avi_theory.vae.posteriors import Diagonal, Posterior, posterior_of
from avi_theory.vae.train import Settings, Trained, load_settings, load_vae, train

__all__ = [
    "VAE",
    "AuxiliaryEncoder",
    "Bernoulli",
    "Categorical",
    "Decoder",
    "Diagonal",
    "Estimate",
    "FlowEncoder",
    "Gaussian",
    "GaussianEncoder",
    "Images",
    "InstanceAdaptive",
    "Likelihood",
    "Posterior",
    "ProcessEncoder",
    "SemiAmortized",
    "Settings",
    "Trained",
    "convolutional",
    "convolutional_decoder",
    "dense",
    "dense_decoder",
    "elbo",
    "flop_count",
    "iwae",
    "likelihood_of",
    "load_images",
    "load_settings",
    "load_vae",
    "log_joint",
    "parameter_count",
    "plug_in",
    "posterior_of",
    "refine",
    "train",
    "vae_gaps",
]
