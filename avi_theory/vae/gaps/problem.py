"""A decoder with its likelihood and some images, ready to be asked for many codes at once."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from avi_theory.errors import DataError, InputError
from avi_theory.vae.likelihoods import Likelihood
from avi_theory.vae.posteriors import standard

ROWS = 1 << 13
"""Codes that a decoder is given at a time: larger blocks leave a CPU's cache."""
GPU_ROWS = 1 << 19


@dataclass(frozen=True, eq=False)
class Problem:
    """What the gaps of some images depend on.

    Attributes:
        decoder: of codes ``[n, d]``.
        likelihood: of images given its output.
        images: ``[B, …]``.
        d: coordinates of a code.
        rows: codes to decode at a time.
    """

    decoder: Callable[[Tensor], Tensor]
    likelihood: Likelihood
    images: Tensor
    d: int
    rows: int

    def __len__(self) -> int:
        return len(self.images)

    def take(self, ids: Tensor) -> Problem:
        """The same for some of the images."""
        return replace(self, images=self.images[ids])

    def decode(self, z: Tensor) -> Tensor:
        """Outputs ``[..., *event]`` of codes ``[..., d]``, which the decoder gets in one row."""
        out = self.decoder(z.reshape(-1, z.shape[-1]))
        return out.reshape(*z.shape[:-1], *out.shape[1:])

    def log_likelihood(self, z: Tensor) -> Tensor:
        """log p(x | z), ``[..., B, d] -> [..., B]`` in nats."""
        return self.likelihood.log_prob(self.decode(z), self.images)

    def log_joint(self, z: Tensor) -> Tensor:
        """log p(x, z) under the prior N(0, I), ``[..., B, d] -> [..., B]`` in nats."""
        return self.log_likelihood(z) + standard(z)

    def portions(self, each: int, count: int | None = None) -> Iterator[Tensor]:
        """Places of images, so many at a time that `each` codes per image fit into `rows`."""
        width = max(1, self.rows // each)
        places = torch.arange(len(self) if count is None else count, device=self.images.device)
        yield from places.split(width)


def problem_of(
    decoder: Callable[[Tensor], Tensor], likelihood: Likelihood, images: Tensor, d: int
) -> Problem:
    """A decoder that has been tried on one code per image.

    Raises:
        InputError: it cannot take codes of this width, or its output does not fit the images.
    """
    rows = GPU_ROWS if images.is_cuda else ROWS
    problem = Problem(decoder, likelihood, images, d, rows)
    some = problem.take(torch.arange(min(2, len(images)), device=images.device))
    codes = images.new_zeros(len(some), d)
    try:
        out = decoder(codes)
    except (RuntimeError, ValueError, TypeError) as error:
        raise InputError(
            f"The decoder cannot take codes {list(codes.shape)}, the encoder's width: {error}. "
            "It must map [..., d] to logits or means of the images."
        ) from error
    if not isinstance(out, Tensor) or len(out) != len(some):
        got = list(out.shape) if isinstance(out, Tensor) else type(out).__name__
        raise InputError(
            f"The decoder returned {got} for codes {list(codes.shape)}. It must return one tensor, "
            f"logits or means of the images {list(some.images.shape)}."
        )
    if not bool(torch.isfinite(some.log_likelihood(codes)).all()):
        raise InputError(
            "The decoder's output at z = 0 is NaN or infinite. Mend the decoder, or check that its "
            "weights were loaded."
        )
    return problem


def placed(images: Any, owners: tuple[Any, ...], device: str | torch.device | None) -> Tensor:
    """Images as a floating tensor with the dtype and device of the modules that will see them.

    Raises:
        DataError: they are no array of numbers.
        InputError: the modules are elsewhere than `device`.
    """
    try:
        tensor = torch.as_tensor(images)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"The images are no array of numbers: {error}.") from error
    weights = [p for o in owners if isinstance(o, nn.Module) for p in o.parameters()]
    floats = [p for p in weights if p.is_floating_point()]
    dtype = floats[0].dtype if floats else tensor.dtype
    if not dtype.is_floating_point:
        dtype = torch.get_default_dtype()
    home = weights[0].device if weights else tensor.device
    wanted = torch.device(device) if device is not None else home
    if weights and wanted.type != home.type:
        raise InputError(
            f"The encoder and the decoder are on {home}, but device={str(device)!r}. Move them "
            "there first: encoder.to(device), decoder.to(device)."
        )
    return tensor.to(home if weights else wanted, dtype)


@contextlib.contextmanager
def evaluating(*owners: Any) -> Iterator[None]:
    """Modules in evaluation mode while the block runs: dropout is another decoder each call."""
    modules = [m for o in owners if isinstance(o, nn.Module) for m in o.modules()]
    training = [m for m in modules if m.training]
    try:
        for m in training:
            m.training = False
        yield
    finally:
        for m in training:
            m.training = True
