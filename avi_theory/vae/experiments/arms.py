"""An adaptive encoder's controls: unmodulated, of equal parameters, of equal arithmetic, smaller.

What a hypernetwork adds could be bought by a wider plain encoder just as well; without these
controls a better bound says nothing about adapting to the image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from avi_theory.errors import InputError
from avi_theory.vae.counts import flop_count, parameter_count
from avi_theory.vae.train.build import encoder_of
from avi_theory.vae.train.settings import EncoderSettings, Settings

WIDEST = 64.0
"""A control is at most so many times as wide as the encoder."""


@dataclass(frozen=True)
class Plan:
    """One arm before it is trained.

    Attributes:
        name: as in the table.
        encoder: its settings.
        parameters, flops: of the encoder.
        frozen: whether it is trained on the plain arm's decoder.
    """

    name: str
    encoder: EncoderSettings
    parameters: int
    flops: int
    frozen: bool = False


def arms_of(
    settings: Settings, event: Sequence[int], *, modulation: str = "film", curve: bool = False
) -> tuple[Plan, ...]:
    """All arms of a comparison.

    Args:
        settings: of the plain arm; what `encoder.adapt` says is replaced.
        event: the shape of an image.
        modulation: of the adaptive arms.
        curve: whether to add encoders of half and of twice the width, both kinds, for the curve
            of quality against parameters.

    Raises:
        InputError: an encoder without dense layers, whose width cannot be matched.
    """
    plain = replace(settings.encoder, adapt="none")
    if not plain.hidden:
        raise InputError(
            "The encoder has no hidden layers, so no control can be matched to it. Give "
            "encoder.hidden = [64, 64], say."
        )
    adaptive = replace(plain, adapt=modulation)

    def plan(name: str, encoder: EncoderSettings, frozen: bool = False) -> Plan:
        return Plan(name, encoder, *_cost(encoder, settings, event), frozen)

    first, second = plan("plain", plain), plan(modulation, adaptive)
    found = [
        first,
        second,
        plan("plain, equal parameters", _matched(plain, settings, event, 0, second.parameters)),
        plan("plain, equal FLOPs", _matched(plain, settings, event, 1, second.flops)),
        plan("plain, frozen decoder", plain, frozen=True),
        plan(f"{modulation}, frozen decoder", adaptive, frozen=True),
    ]
    if curve:
        for words, factor in (("half", 0.5), ("double", 2.0)):
            found += [
                plan(f"{base.name}, {words} width", _wider(base.encoder, factor))
                for base in (first, second)
            ]
    return tuple(found)


def _cost(encoder: EncoderSettings, settings: Settings, event: Sequence[int]) -> tuple[int, int]:
    made = encoder_of(encoder, event, settings.model.latents, scale=1.0, seed=0)
    return parameter_count(made), flop_count(made, torch.zeros((1, *event)))


def _wider(encoder: EncoderSettings, factor: float) -> EncoderSettings:
    return replace(encoder, hidden=tuple(max(1, round(factor * h)) for h in encoder.hidden))


def _matched(
    plain: EncoderSettings, settings: Settings, event: Sequence[int], which: int, goal: int
) -> EncoderSettings:
    """The width whose cost (0: parameters, 1: FLOPs) comes nearest to a goal."""

    def cost(factor: float) -> int:
        return _cost(_wider(plain, factor), settings, event)[which]

    factor = _bisected(cost, goal)
    step = 1 / max(plain.hidden)
    near = [factor + k * step for k in (-1, 0, 1) if factor + k * step > 0]
    return _wider(plain, min(near, key=lambda f: abs(cost(f) - goal)))


def _bisected(cost: Callable[[float], int], goal: int) -> float:
    low, high = 1.0, 2.0
    while cost(high) < goal and high < WIDEST:
        low, high = high, 2 * high
    for _ in range(20):
        middle = 0.5 * (low + high)
        if cost(middle) < goal:
            low = middle
        else:
            high = middle
    return high
