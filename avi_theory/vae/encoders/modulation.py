r"""How features of an image change one layer of a shared network, for that image alone.

Each starts silent: the layer is then exactly the shared one.  Two factors that are multiplied must
not both start at zero, as neither would have a gradient: the second starts at random (design).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from avi_theory.errors import InputError

Layer = nn.Linear | nn.Conv2d


class Modulation(nn.Module):
    """Base: holds the numbers of the images under way between `read` and `clear`.

    Args:
        layer: whose output is changed; it stays where it is.
        width: of the features.
    """

    def __init__(self, layer: Layer, width: int) -> None:
        super().__init__()
        outputs, inputs = layer.weight.shape[:2]
        self.outputs, self.inputs, self.width = int(outputs), int(inputs), width
        self._values: tuple[Tensor, ...] | None = None

    def read(self, features: Tensor) -> None:
        """Take the features ``[B, width]`` of the images to come."""
        self._values = self.numbers(features)

    def clear(self) -> None:
        """Forget them."""
        self._values = None

    def hook(self, layer: nn.Module, arguments: tuple[Any, ...], output: Tensor) -> Tensor:
        """The layer's output for these images, as a forward hook of it."""
        if self._values is None:
            return output
        if len(output) != len(self._values[0]):
            raise InputError(
                f"A modulated layer saw {len(output)} rows for {len(self._values[0])} images. "
                "Only layers whose first dimension counts images can adapt; name them in layers=."
            )
        return self.change(layer, arguments[0], output, *self._values)

    def numbers(self, features: Tensor) -> tuple[Tensor, ...]:
        """What modulates, ``[B, …]``."""
        raise NotImplementedError

    def change(self, layer: Any, x: Tensor, y: Tensor, *values: Tensor) -> Tensor:
        """y = layer(x), modulated."""
        raise NotImplementedError


class Film(Modulation):
    r"""Scale and shift of each unit: :math:`(1 + s(x)) \odot (Wh + b) + t(x)`.

    (FiLM: Perez et al., AAAI 2018.)
    """

    def __init__(self, layer: Layer, width: int) -> None:
        super().__init__(layer, width)
        self.head = silent(nn.Linear(width, 2 * self.outputs))

    def numbers(self, features: Tensor) -> tuple[Tensor, ...]:
        """s and t."""
        return self.head(features).chunk(2, -1)

    def change(self, layer: Any, x: Tensor, y: Tensor, *values: Tensor) -> Tensor:
        """Scaled and shifted."""
        scale, shift = (_along(layer, v, y) for v in values)
        return (1 + scale) * y + shift


class Scale(Modulation):
    r"""Scale of each unit: :math:`(1 + s(x)) \odot (Wh + b)`."""

    def __init__(self, layer: Layer, width: int) -> None:
        super().__init__(layer, width)
        self.head = silent(nn.Linear(width, self.outputs))

    def numbers(self, features: Tensor) -> tuple[Tensor, ...]:
        """s."""
        return (self.head(features),)

    def change(self, layer: Any, x: Tensor, y: Tensor, *values: Tensor) -> Tensor:
        """Scaled."""
        return (1 + _along(layer, values[0], y)) * y


class LowRank(Modulation):
    r"""Weights of their own, of low rank: :math:`\big(W + \sum_r u_r(x) v_r(x)^\top\big) h + b`.

    In a convolution v weighs the patch under the kernel.
    """

    RANK = 2

    def __init__(self, layer: Layer, width: int) -> None:
        super().__init__(layer, width)
        _plain(layer, "low_rank")
        self.patch = tuple(layer.weight.shape[1:])
        self.u = silent(nn.Linear(width, self.RANK * self.outputs))
        self.v = nn.Linear(width, self.RANK * layer.weight[0].numel())

    def numbers(self, features: Tensor) -> tuple[Tensor, ...]:
        """u and v."""
        u = self.u(features).unflatten(-1, (self.RANK, self.outputs))
        return u, self.v(features).unflatten(-1, (self.RANK, *self.patch))

    def change(self, layer: Any, x: Tensor, y: Tensor, *values: Tensor) -> Tensor:
        """y + Σ u (v·h)."""
        u, v = values
        if isinstance(layer, nn.Linear):
            return y + torch.einsum("brm,b...r->b...m", u, torch.einsum("b...n,brn->b...r", x, v))
        seen = nn.functional.conv2d(  # each image with kernels of its own, as groups
            x.reshape(1, -1, *x.shape[2:]),
            v.flatten(0, 1),
            None,
            layer.stride,
            layer.padding,
            layer.dilation,
            groups=len(x),
        ).unflatten(1, (len(x), self.RANK))[0]
        return y + torch.einsum("brm,brhw->bmhw", u, seen)


class Multiplicative(Modulation):
    r"""Weights times a matrix of rank one: :math:`\big(W \odot (1 + u(x) v(x)^\top)\big) h + b`.

    In a convolution u and v run over channels.
    """

    def __init__(self, layer: Layer, width: int) -> None:
        super().__init__(layer, width)
        _plain(layer, "multiplicative")
        self.u = silent(nn.Linear(width, self.outputs))
        self.v = nn.Linear(width, self.inputs)

    def numbers(self, features: Tensor) -> tuple[Tensor, ...]:
        """u and v."""
        return self.u(features), self.v(features)

    def change(self, layer: Any, x: Tensor, y: Tensor, *values: Tensor) -> Tensor:
        """y + u ⊙ W(v ⊙ h)."""
        u, v = _along(layer, values[0], y), _along(layer, values[1], x)
        if isinstance(layer, nn.Linear):
            return y + u * nn.functional.linear(v * x, layer.weight)
        inner = nn.functional.conv2d(
            v * x, layer.weight, None, layer.stride, layer.padding, layer.dilation
        )
        return y + u * inner


MODULATIONS: dict[str, Callable[[Layer, int], Modulation]] = {
    "film": Film,
    "scale": Scale,
    "low_rank": LowRank,
    "multiplicative": Multiplicative,
    "heads": Film,
}
"""By name; ``heads`` is film on the layers that return the mean and the log variance alone."""


def silent(layer: nn.Linear) -> nn.Linear:
    """A layer that returns zero until it is trained."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def _plain(layer: Layer, modulation: str) -> None:
    if isinstance(layer, nn.Conv2d) and (layer.groups != 1 or layer.padding_mode != "zeros"):
        raise InputError(
            f"Convolutions in groups, or padded with anything but zeros, have no {modulation} "
            "modulation. Use film."
        )


def _along(layer: Any, values: Tensor, like: Tensor) -> Tensor:
    """``[B, C]`` against units ``[B, …, C]`` of a linear layer, maps ``[B, C, H, W]`` otherwise."""
    between = [1] * (like.dim() - 2)
    if isinstance(layer, nn.Linear):
        return values.reshape(len(values), *between, -1)
    return values.reshape(len(values), -1, *between)
