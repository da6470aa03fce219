r"""Instance-adaptive encoders: a hypernetwork changes a shared encoder for each image.

.. math:: q(z \mid x) = q\big(z;\, f_{\phi + \delta(x)}(x)\big),\qquad \delta(x) = h_\psi(x)

after the abstract of IA-VAE (Pollastro, Apicella, Isgrò & Prevete 2026, arXiv 2604.06796), which
says that a hypernetwork makes input-dependent modulations of a shared encoder.  Which modulation
it uses is not known here: the five below, and that each starts as the plain encoder, are this
project's reconstruction (design).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

from torch import Tensor, nn

from avi_theory.errors import InputError, nearest
from avi_theory.vae.encoders.gaussian import describe
from avi_theory.vae.encoders.modulation import MODULATIONS, Layer, Modulation
from avi_theory.vae.layers import hidden_layers, seeded


class InstanceAdaptive(nn.Module):
    """An encoder whose layers are changed by the image that it reads; starts as it was.

    Args:
        encoder: any module with `torch.nn.Linear` or `torch.nn.Conv2d` layers that maps images
            ``[B, …]`` to (mean, log variance).  It is copied, with its weights.
        modulation: film, scale, low_rank, multiplicative or heads.
        layers: names of the layers that adapt, as ``encoder.named_modules()`` tells them; all of
            them unless told, and for ``heads`` those that return the mean and the log variance.
        hidden: widths of the hypernetwork.
        activation: of the hypernetwork.
        pixels: numbers in an image; read off the encoder unless it begins with a convolution.
        seed: of the hypernetwork's weights.

    Raises:
        InputError: an unknown modulation or layer, or nothing that could adapt.
    """

    def __init__(
        self,
        encoder: nn.Module,
        *,
        modulation: str = "film",
        layers: Sequence[str] | None = None,
        hidden: Sequence[int] = (64,),
        activation: str = "elu",
        pixels: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if modulation not in MODULATIONS:
            hint = nearest(modulation, MODULATIONS) or f"Known: {', '.join(MODULATIONS)}."
            raise InputError(f"The modulation {modulation!r} is unknown. {hint}")
        if not hidden:
            raise InputError("The hypernetwork has no hidden layer. Give hidden=[64], say.")
        self.encoder = copy.deepcopy(encoder)
        chosen = _chosen(self.encoder, modulation, layers)
        self.pixels = _pixels(self.encoder) if pixels is None else pixels
        with seeded(seed):
            self.hyper = nn.Sequential(*hidden_layers(self.pixels, hidden, activation))
            self.modulations = nn.ModuleList(
                MODULATIONS[modulation](layer, hidden[-1]) for layer in chosen
            )
        for layer, change in zip(chosen, self._changes(), strict=True):
            change.to(layer.weight)
            layer.register_forward_hook(change.hook)
        self.hyper.to(chosen[0].weight)

    @property
    def width(self) -> int:
        """Of the features that `describe` returns."""
        return int(getattr(self.encoder, "width", 2 * self.latents))

    @property
    def latents(self) -> int:
        """d, where the encoder tells it."""
        return int(cast(Any, self.encoder).latents)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance."""
        with self._adapted(images):
            mean, log_variance = self.encoder(images)
        return mean, log_variance

    def describe(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mean, log variance and features."""
        with self._adapted(images):
            return describe(self.encoder, images)

    @contextmanager
    def _adapted(self, images: Tensor) -> Iterator[None]:
        flat = images.flatten(1) * getattr(self.encoder, "scale", 1.0)
        if flat.shape[1] != self.pixels:
            raise InputError(
                f"The images hold {flat.shape[1]} numbers, but the hypernetwork reads "
                f"{self.pixels}. Give pixels={flat.shape[1]} when the encoder is made."
            )
        features = self.hyper(flat)
        for change in self._changes():
            change.read(features)
        try:
            yield
        finally:
            for change in self._changes():
                change.clear()

    def _changes(self) -> list[Modulation]:
        return cast(list[Modulation], list(self.modulations))


def _chosen(encoder: nn.Module, modulation: str, names: Sequence[str] | None) -> list[Layer]:
    found = {n: m for n, m in encoder.named_modules() if isinstance(m, nn.Linear | nn.Conv2d) and n}
    if not found:
        raise InputError(
            f"The encoder {type(encoder).__name__} has no Linear or Conv2d layer that could adapt. "
            "Wrap a module that is made of such layers."
        )
    if names is None:
        return _heads(found) if modulation == "heads" else list(found.values())
    for name in names:
        if name not in found:
            hint = nearest(name, found) or f"Its layers: {', '.join(found)}."
            raise InputError(f"The encoder has no Linear or Conv2d layer {name!r}. {hint}")
    if not names:
        raise InputError("No layers were named. Leave layers= out to take all.")
    return [found[n] for n in names]


def _heads(found: dict[str, Layer]) -> list[Layer]:
    """The last layer, with the one before it if that is its like: mean and log variance."""
    *rest, last = found.values()
    alike = [m for m in rest[-1:] if m.weight.shape == last.weight.shape]
    return [*alike, last]


def _pixels(encoder: nn.Module) -> int:
    if hasattr(encoder, "pixels"):
        return int(cast(Any, encoder).pixels)
    first = next(m for m in encoder.modules() if isinstance(m, nn.Linear | nn.Conv2d))
    if isinstance(first, nn.Linear):
        return first.in_features
    raise InputError(
        "How many numbers an image holds cannot be read off an encoder that begins with a "
        "convolution. Give pixels=28*28, say."
    )
