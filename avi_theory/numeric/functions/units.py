r"""Networks over units: encode the tokens, then read at the point's own place.

.. math:: h_n = \rho\Big(w_n,\; \overline{\phi}_{\text{own}},\; \overline{\phi}_{\text{all}},\;
    \log(1 + \#)\Big)

φ are the states of an encoder: token by token (a set), recurrent, by attention, or a convolution.
A point's factor is read from the tokens at its own place (the position inside the unit) and from
all of its unit.  A convolution reads only the former where there is one, so that it stays a
function of a window.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from avi_theory.numeric.functions.reading import Batch
from avi_theory.numeric.nets import Attention, Convolution, Dense, Recurrent
from avi_theory.numeric.nets.convolution import neighbours


class Tokenwise(nn.Module):
    """Each token by itself: the sum over a unit does not know their order (Zaheer et al. 2017)."""

    def __init__(self, batch: Batch, widths: Sequence[int], generator: torch.Generator) -> None:
        super().__init__()
        self.net = Dense(batch.tokens.shape[-1], widths, generator)
        self.width, self.local, self.weights = self.net.width, False, "informed"

    def forward(self, batch: Batch) -> Tensor:
        """``[U, L, H]``."""
        return self.net(batch.tokens)


class Sequential(nn.Module):
    """A bidirectional recurrent network in the order of the places."""

    def __init__(self, batch: Batch, widths: Sequence[int], generator: torch.Generator) -> None:
        super().__init__()
        self.net = Recurrent(batch.tokens.shape[-1], widths, generator)
        self.width, self.local, self.weights = self.net.width, False, "valid"

    def forward(self, batch: Batch) -> Tensor:
        """``[U, L, 2H]``."""
        return self.net(batch.tokens, batch.valid)


class Attentive(nn.Module):
    """Self-attention, which knows the distance between places."""

    def __init__(self, batch: Batch, widths: Sequence[int], generator: torch.Generator) -> None:
        super().__init__()
        axes = batch.places.shape[1]
        self.net = Attention(batch.tokens.shape[-1], axes, widths, generator)
        self.width, self.local, self.weights = self.net.width, False, "valid"

    def forward(self, batch: Batch) -> Tensor:
        """``[U, L, H]``."""
        places = torch.as_tensor(batch.places, dtype=batch.tokens.dtype, device=batch.tokens.device)
        return self.net(batch.tokens, batch.valid, places)


class Windowed(nn.Module):
    """A convolution over the places."""

    def __init__(
        self, batch: Batch, half_width: int, widths: Sequence[int], generator: torch.Generator
    ) -> None:
        super().__init__()
        self.half_width = half_width
        reach = (2 * half_width + 1) ** max(batch.places.shape[1] - 1, 0)
        self.net = Convolution(batch.tokens.shape[-1], reach, widths, generator)
        self.width, self.local, self.weights = self.net.width, True, "valid"

    def forward(self, batch: Batch) -> Tensor:
        """``[U, L, H]``."""
        near = neighbours(batch.places, self.half_width) if len(batch.places) else batch.places
        index = torch.as_tensor(near, device=batch.tokens.device).long()
        return self.net(batch.tokens, batch.valid, index)


class OverUnit(nn.Module):
    """An encoder of tokens and a reader at each point.

    Args:
        encoder: with the attributes ``width``, ``local`` (whether a point with tokens of its own
            reads those alone) and ``weights`` (which tokens count).
        batch: of the fitted points, for the shapes.
        width: of the reader.
        generator: of the weights.
    """

    def __init__(
        self, encoder: nn.Module, batch: Batch, width: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.encoder = encoder
        channels, fixed = batch.tokens.shape[-1], batch.fixed.shape[1]
        plain = fixed + (channels if encoder.local else 2 * channels + 2)
        self._states = int(encoder.width) * (1 if encoder.local else 2)  # type: ignore[arg-type]
        self.head = Dense(self._states + plain, [width], generator)
        self.width = width + plain

    def forward(self, batch: Batch) -> Tensor:
        """The reader's units beside the plain averages that it reads."""
        read = self._read(batch)
        return torch.cat([self.head(read), read[:, self._states :]], -1)

    def _read(self, batch: Batch) -> Tensor:
        """``[M, …]``: averages of the states, then of the tokens, sizes and fixed columns."""
        weights = getattr(batch, str(self.encoder.weights)).to(batch.present)
        states = self.encoder(batch)
        k = states.shape[-1]
        both = torch.cat([states, batch.tokens], -1)
        mine = batch.present * weights[batch.unit[:, None], batch.own]
        here, there = mine.sum(1, keepdim=True), weights.sum(1, keepdim=True)[batch.unit]
        at_place = _average(both[batch.unit[:, None], batch.own], mine)
        whole = _average(both, weights)[batch.unit]
        if self.encoder.local:
            return torch.cat([torch.where(here > 0, at_place, whole), batch.fixed], -1)
        sizes = torch.log1p(torch.cat([here, there], -1))
        return torch.cat(
            [at_place[:, :k], whole[:, :k], at_place[:, k:], whole[:, k:], sizes, batch.fixed], -1
        )


def _average(values: Tensor, weights: Tensor) -> Tensor:
    """Over tokens, 0 where none counts."""
    total = torch.einsum("mlc,ml->mc", values, weights)
    return total / weights.sum(1, keepdim=True).clamp_min(1)
