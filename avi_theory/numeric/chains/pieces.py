"""Work on a CPU in pieces that its cache holds and one thread takes.

torch divides elementwise work above a certain size among threads, exponentials at small sizes
already.  For pieces of microseconds waking a thread costs more than it saves, and on a busy machine
a hundred times as much.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch import Tensor

SIZE = 16_384
"""Numbers in a piece; torch divides work of twice that size."""


def pieces(x: Tensor) -> Iterator[Tensor]:
    """Parts of a tensor along its first axis; the whole of it on a GPU."""
    yield from x.split(rows_in_a_piece(x))


def rows_in_a_piece(x: Tensor) -> int:
    """How much of the first axis a piece takes."""
    return len(x) if x.is_cuda else max(1, min(len(x), SIZE * len(x) // max(x.numel(), 1)))


def exponentiate(x: Tensor) -> None:
    """exp in place, on the calling thread."""
    if x.is_cuda:
        x.exp_()
    else:
        np.exp(x.numpy(), out=x.numpy())


def normalised(x: Tensor, *, log: bool) -> Tensor:
    """Products of messages ``[B, T, S]`` as probabilities, in place: fresh memory is dear."""
    rows = (x if x.is_contiguous() else x.transpose(0, 1)).view(-1, x.shape[-1])
    for piece in pieces(rows):
        if log:
            piece -= piece.amax(-1, keepdim=True)
            exponentiate(piece)
        if piece.is_cuda:
            piece /= piece.sum(-1, keepdim=True)
        else:
            array = piece.numpy()
            array /= array @ np.ones((x.shape[-1], 1), array.dtype)
    return x
