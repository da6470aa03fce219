"""From settings to a model."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from avi_theory.vae.decoders import Decoder, convolutional_decoder, dense_decoder
from avi_theory.vae.encoders import (
    AuxiliaryEncoder,
    FlowEncoder,
    InstanceAdaptive,
    ProcessEncoder,
    convolutional,
    dense,
)
from avi_theory.vae.likelihoods import likelihood_of
from avi_theory.vae.model import VAE
from avi_theory.vae.train.settings import DecoderSettings, EncoderSettings, Settings


def build(settings: Settings, event: Sequence[int]) -> VAE:
    """A model with the weights of its seed.

    Args:
        settings: all of them.
        event: the shape of an image.
    """
    m, seed = settings.model, settings.training.seed
    likelihood = likelihood_of(m.likelihood, scale=m.scale, learned=m.learned, levels=m.levels)
    scale = 1.0 if m.levels is None else 1 / (m.levels - 1)
    encoder = encoder_of(settings.encoder, event, m.latents, scale=scale, seed=seed)
    decoder = decoder_of(settings.decoder, event, m.latents, levels=m.levels, seed=seed + 1)
    return VAE(encoder, decoder, likelihood, steps=settings.encoder.steps)


def encoder_of(
    s: EncoderSettings, event: Sequence[int], latents: int, *, scale: float, seed: int
) -> nn.Module:
    """An encoder; its parts have seeds of their own, so the shared ones agree across posteriors."""
    if s.kind == "dense":
        base = dense(
            event, latents, hidden=s.hidden, activation=s.activation, scale=scale, seed=seed
        )
    else:
        base = convolutional(
            event,
            latents,
            channels=s.channels,
            hidden=s.hidden,
            activation=s.activation,
            scale=scale,
            seed=seed,
        )
    seen = (
        base
        if s.adapt == "none"
        else InstanceAdaptive(
            base, modulation=s.adapt, hidden=s.hyper, activation=s.activation, seed=seed + 2
        )
    )
    if s.posterior == "process":
        return ProcessEncoder(seen)
    if s.posterior == "flow":
        return FlowEncoder(
            seen, transforms=s.transforms, hidden=s.flow, activation=s.activation, seed=seed + 3
        )
    if s.posterior == "auxiliary":
        return AuxiliaryEncoder(
            seen, transforms=s.transforms, hidden=s.flow, activation=s.activation, seed=seed + 3
        )
    return seen


def decoder_of(
    s: DecoderSettings, event: Sequence[int], latents: int, *, levels: int | None, seed: int
) -> Decoder:
    """A decoder."""
    if s.kind == "dense":
        return dense_decoder(
            latents, event, hidden=s.hidden, activation=s.activation, levels=levels, seed=seed
        )
    return convolutional_decoder(
        latents, event, channels=s.channels, activation=s.activation, levels=levels, seed=seed
    )
