r"""What a decoder's output says about an image.

.. math:: \log p(x \mid z) = \sum_{i} \log p\big(x_i \mid \mathrm{decoder}(z)_i\big)

summed over an image's pixels, in nats.  An output has the shape of the images behind any number of
leading dimensions, or the same with every image laid out flat.
"""

from __future__ import annotations

import math
from typing import Protocol, final

import torch
from torch import Tensor, nn

from avi_theory.errors import DataError, InputError, nearest

LOG_2PI = math.log(2 * math.pi)


class Likelihood(Protocol):
    """The density of images given a decoder's output."""

    name: str

    def log_prob(self, output: Tensor, images: Tensor) -> Tensor:
        """``[..., B]`` nats from ``[..., B, *event]`` and ``[B, *event]``."""

    def draw(self, output: Tensor, generator: torch.Generator) -> Tensor:
        """Images, one for each output."""

    def check(self, images: Tensor) -> None:
        """Raise `DataError` for images that the density knows nothing about."""


@final
class Bernoulli(nn.Module):
    r"""Dark or light pixels; the output is logits.

    .. math:: \log p(x \mid \eta) = \sum_i x_i \eta_i - \log(1 + e^{\eta_i})

    Grey values between 0 and 1 are taken as they are: the value is then a cross-entropy and no log
    density, and what is simulated looks different from the data.
    """

    name = "bernoulli"

    def log_prob(self, output: Tensor, images: Tensor) -> Tensor:
        """The log likelihood."""
        output, images = _aligned(output, images)
        return (images * output - nn.functional.softplus(output)).flatten(-_events(images)).sum(-1)

    def draw(self, output: Tensor, generator: torch.Generator) -> Tensor:
        """Zeros and ones."""
        u = torch.rand(output.shape, generator=generator, dtype=output.dtype, device=output.device)
        return (u < torch.sigmoid(output)).to(output.dtype)

    def check(self, images: Tensor) -> None:
        """Values from 0 to 1."""
        _range(images, 0.0, 1.0, "bernoulli", "Divide bytes by 255, or binarize the images.")


@final
class Gaussian(nn.Module):
    r"""Real pixels about the output, with one standard deviation for all.

    .. math:: \log p(x \mid m) = \sum_i -\frac{(x_i - m_i)^2}{2 s^2} - \log s - \tfrac12 \log 2\pi

    Args:
        scale: s, positive.
        learned: whether s is a parameter that training changes.

    Raises:
        InputError: a scale that is not positive and finite.
    """

    name = "gaussian"
    log_scale: Tensor

    def __init__(self, scale: float, *, learned: bool = False) -> None:
        super().__init__()
        if not (math.isfinite(scale) and scale > 0):
            raise InputError(f"The scale {scale} is not positive. Give scale=0.1, say.")
        start = torch.tensor(math.log(scale))
        if learned:
            self.log_scale = nn.Parameter(start)
        else:
            self.register_buffer("log_scale", start)

    @property
    def scale(self) -> Tensor:
        """s."""
        return self.log_scale.exp()

    def log_prob(self, output: Tensor, images: Tensor) -> Tensor:
        """The log density."""
        output, images = _aligned(output, images)
        log_scale = self.log_scale.to(output)
        apart = ((images - output) * torch.exp(-log_scale)).flatten(-_events(images))
        return -0.5 * apart.square().sum(-1) - apart.shape[-1] * (log_scale + 0.5 * LOG_2PI)

    def draw(self, output: Tensor, generator: torch.Generator) -> Tensor:
        """Output with noise."""
        noise = torch.randn(
            output.shape, generator=generator, dtype=output.dtype, device=output.device
        )
        return output + self.log_scale.to(output).exp() * noise

    def check(self, images: Tensor) -> None:
        """Finite values."""
        _range(images, -math.inf, math.inf, "gaussian", "Remove or replace those images.")


@final
class Categorical(nn.Module):
    r"""Pixels of a few levels 0 … K−1; the output has a last dimension of K logits.

    .. math:: \log p(x \mid \eta) = \sum_i \eta_{i x_i} - \log \textstyle\sum_k e^{\eta_{ik}}

    Args:
        levels: K, at least 2.

    Raises:
        InputError: fewer levels.
    """

    name = "categorical"

    def __init__(self, levels: int) -> None:
        super().__init__()
        if levels < 2:
            raise InputError(f"A pixel of {levels} levels says nothing. Give levels=256, say.")
        self.levels = levels

    def log_prob(self, output: Tensor, images: Tensor) -> Tensor:
        """The log probability."""
        if output.shape[-1] != self.levels:
            raise InputError(
                f"The decoder returns {list(output.shape)}, but its last dimension should hold the "
                f"logits of {self.levels} levels. Change the decoder or the number of levels."
            )
        shape, images = _aligned(output[..., 0], images)
        chosen = images.long().expand(shape.shape)[..., None]
        logs = torch.log_softmax(output, -1).gather(-1, chosen)[..., 0]
        return logs.flatten(-_events(images)).sum(-1)

    def draw(self, output: Tensor, generator: torch.Generator) -> Tensor:
        """Levels, as floating-point numbers."""
        p = torch.softmax(output, -1)
        drawn = torch.multinomial(p.reshape(-1, self.levels), 1, generator=generator)
        return drawn.reshape(p.shape[:-1]).to(output.dtype)

    def check(self, images: Tensor) -> None:
        """Whole numbers from 0 to K − 1."""
        hint = f"Give whole numbers from 0 to {self.levels - 1}."
        _range(images, 0, self.levels - 1, "categorical", hint)
        if bool((images != images.round()).any()):
            raise DataError(f"The images hold fractions, which are no levels. {hint}")


NAMES = ("bernoulli", "gaussian", "categorical")


def likelihood_of(
    name: str, *, scale: float | None = None, learned: bool = False, levels: int | None = None
) -> Bernoulli | Gaussian | Categorical:
    """A likelihood by name.

    Args:
        name: bernoulli, gaussian or categorical.
        scale: the standard deviation, for gaussian.
        learned: whether training changes the scale.
        levels: the number of levels, for categorical.

    Raises:
        InputError: no such name, or what it needs is not there.

    Example:
        >>> likelihood_of("gaussian", scale=0.5).scale
        tensor(0.5000)
    """
    if name not in NAMES:
        hint = nearest(name, NAMES) or f"Known: {', '.join(NAMES)}."
        raise InputError(f"The likelihood {name!r} is unknown. {hint}")
    if (scale is None) == (name == "gaussian"):
        needs = "needs its standard deviation: scale=0.1" if scale is None else "has no scale"
        raise InputError(f"The likelihood {name!r} {needs}.")
    if (levels is None) == (name == "categorical"):
        needs = "needs the number of levels: levels=256" if levels is None else "has no levels"
        raise InputError(f"The likelihood {name!r} {needs}.")
    if scale is not None:
        return Gaussian(scale, learned=learned)
    return Bernoulli() if levels is None else Categorical(levels)


def _events(images: Tensor) -> int:
    return images.dim() - 1


def _aligned(output: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
    """Both with the same event dimensions; images become flat where the output is."""
    if output.shape[-images.dim() :] == images.shape:
        return output, images
    flat = images.flatten(1)
    if output.shape[-2:] == flat.shape:
        return output, flat
    raise InputError(
        f"The decoder returns {list(output.shape)} for images {list(images.shape)}: their last "
        f"dimensions differ. It should return [..., {', '.join(map(str, images.shape))}]."
    )


def _range(images: Tensor, low: float, high: float, name: str, hint: str) -> None:
    if images.dim() < 2 or not images.numel():
        raise DataError(
            f"The images have the shape {list(images.shape)}. Give [B, …] with at least one image."
        )
    if not bool(torch.isfinite(images).all()):
        bad = int((~torch.isfinite(images)).flatten(1).any(1).sum())
        raise DataError(f"{bad} of {len(images)} images hold NaN or infinity. Remove them.")
    least, most = float(images.min()), float(images.max())
    if least < low or most > high:
        raise DataError(
            f"The images run from {least:g} to {most:g}, but the likelihood {name!r} is one of "
            f"values from {low:g} to {high:g}. {hint}"
        )
