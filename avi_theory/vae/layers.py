"""What encoders and decoders are made of: seeded weights, hidden layers, images as they come in."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from avi_theory.errors import InputError, nearest

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "elu": nn.ELU,
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Within the block, torch's modules draw their weights from a seed; then all is as before."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def activation_named(name: str) -> nn.Module:
    """An activation.

    Raises:
        InputError: an unknown one.
    """
    if name not in ACTIVATIONS:
        hint = nearest(name, ACTIVATIONS) or f"Known: {', '.join(ACTIVATIONS)}."
        raise InputError(f"The activation {name!r} is unknown. {hint}")
    return ACTIVATIONS[name]()


def hidden_layers(inputs: int, widths: Sequence[int], activation: str) -> list[nn.Module]:
    """Affine maps, each with an activation behind it; none for no widths."""
    found: list[nn.Module] = []
    for a, b in itertools.pairwise((inputs, *widths)):
        found += [nn.Linear(a, b), activation_named(activation)]
    return found


class Entry(nn.Module):
    """Images ``[B, …]`` of a known shape, scaled and laid out as the next layer wants them.

    Args:
        event: the shape of one image.
        layout: the shape to give it; flat unless told.
        scale: a factor on the pixels, 1 / (K − 1) for K levels.
    """

    def __init__(
        self, event: Sequence[int], layout: Sequence[int] | None = None, scale: float = 1.0
    ) -> None:
        super().__init__()
        self.event, self.scale = tuple(event), scale
        self.layout = (math.prod(self.event),) if layout is None else tuple(layout)

    def forward(self, images: Tensor) -> Tensor:
        """``[B, *layout]``."""
        if math.prod(images.shape[1:]) != math.prod(self.event):
            raise InputError(
                f"The images have the shape {list(images.shape[1:])}, but this encoder reads "
                f"{list(self.event)}. Give images of that shape, or train an encoder for these."
            )
        laid = images.reshape(len(images), *self.layout)
        return laid if self.scale == 1.0 else laid * self.scale


def channels_of(event: Sequence[int]) -> tuple[int, int, int]:
    """(channels, height, width) of an image shape.

    Raises:
        InputError: not an image.
    """
    if len(event) == 2:
        return (1, *event)  # type: ignore[return-value]
    if len(event) == 3:
        return tuple(event)  # type: ignore[return-value]
    raise InputError(
        f"Convolutions need images [height, width] or [channels, height, width], not {list(event)}."
        " Reshape them, or use a dense network."
    )
