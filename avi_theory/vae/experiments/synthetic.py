r"""Images whose posterior is known: a fixed decoder of two coordinates and Gaussian pixels.

.. math:: z \sim N(0, I_2),\qquad x \sim N(g(z), s^2 I)

For linear g the posterior is Gaussian; otherwise log p(x), and with it the divergence
:math:`\mathrm{KL}(q \,\|\, p(z \mid x)) = \log p(x) - \mathcal L[q]`, comes by quadrature.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from avi_theory.errors import InputError, nearest
from avi_theory.vae.data.images import Images
from avi_theory.vae.model import VAE
from avi_theory.vae.train.build import build
from avi_theory.vae.train.settings import DecoderSettings, ModelSettings, Settings

CODES, PIXELS, SCALE, GAIN = 2, 12, 0.3, 2.5
"""Dimensions, the pixels' standard deviation, and what the decoder's weights are multiplied by:
fresh weights bend too little to be hard."""
TRUTHS = {
    "linear": DecoderSettings(hidden=()),
    "piecewise": DecoderSettings(hidden=(16,), activation="relu"),
    "curved": DecoderSettings(hidden=(16,), activation="tanh"),
}


@dataclass(frozen=True, eq=False)
class Truth:
    """What made the images.

    Attributes:
        vae: its decoder and likelihood; the encoder is not used.
        images: drawn from it.
        settings: that fit it: codes, likelihood, decoder.
    """

    vae: VAE
    images: Images
    settings: Settings


def truth_of(
    kind: str, settings: Settings, *, train: int = 2000, test: int = 500, seed: int = 0
) -> Truth:
    """A decoder with fixed random weights, and images drawn from it.

    Args:
        kind: linear, piecewise or curved.
        settings: of encoder and training; codes, likelihood and decoder are replaced.
        train: training images, a tenth of them again for validation.
        test: test images.
        seed: of weights and images.

    Raises:
        InputError: an unknown kind.
    """
    if kind not in TRUTHS:
        hint = nearest(kind, TRUTHS) or f"Known: {', '.join(TRUTHS)}."
        raise InputError(f"No synthetic decoder is called {kind!r}. {hint}")
    fitting = replace(
        settings,
        model=ModelSettings(latents=CODES, likelihood="gaussian", scale=SCALE),
        decoder=TRUTHS[kind],
    )
    vae = build(replace(fitting, training=replace(settings.training, seed=seed)), (PIXELS,))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in vae.decoder.parameters():
            parameter.mul_(GAIN)
        sizes = (train, max(1, train // 10), test)
        z = torch.randn((sum(sizes), CODES), generator=generator)
        x = vae.likelihood.draw(vae.decoder(z), generator).numpy()
    first, second, third = np.split(x, np.cumsum(sizes)[:-1])
    description = {
        "name": f"synthetic, {kind} decoder",
        "source": f"drawn with seed {seed}: {CODES} codes, {PIXELS} pixels, scale {SCALE:g}",
        "shape": [PIXELS],
        "binarization": "none",
        **dict(zip(("train", "validation", "test"), sizes, strict=True)),
    }
    images = Images(f"synthetic-{kind}", first, second, third, 1.0, description)
    return Truth(vae.eval(), images, fitting)
