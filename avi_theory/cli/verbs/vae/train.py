"""`avi vae train`: an encoder and a decoder, from a configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from avi_theory.cli import options
from avi_theory.cli.answer import Answer
from avi_theory.cli.files import file_ready, folder_ready
from avi_theory.cli.progress import resumable, speaking
from avi_theory.cli.verbs.vae.options import DataFolder, Download, Entries, entries

Configuration = Annotated[
    str,
    Argument(
        metavar="[CONFIG]",
        help="digits, digits_adaptive, fashion_mnist, or the path of a TOML file.",
    ),
]
Frozen = Annotated[
    Path | None,
    Option(
        "--decoder",
        metavar="FILE",
        help="Take over the decoder of a saved model, and train the encoder alone.",
    ),
]


def train(
    config: Configuration = "digits",
    changes: Entries = None,
    data_folder: DataFolder = None,
    download: Download = False,
    decoder: Frozen = None,
    seed: Annotated[int | None, Option("--seed", min=0, help="Of weights and draws.")] = None,
    device: options.Device = "cpu",
    checkpoint: options.Checkpoint = None,
    out: options.Out = None,
    save: Annotated[
        Path | None, Option("--save", metavar="PATH", help="Keep the model, for avi vae gaps.")
    ] = None,
    as_json: options.Json = False,
) -> Answer:
    """Train a VAE; without a configuration, one on the digits that need no download."""
    from avi_theory.gallery import configuration_path

    path = configuration_path(config)
    told = entries(changes)
    if seed is not None:
        told["training.seed"] = seed
    folder, kept = folder_ready(out), file_ready(save)
    from avi_theory.vae import load_settings, load_vae
    from avi_theory.vae import train as fit

    settings = load_settings(path, **told)
    frozen = load_vae(decoder).model if decoder else None
    images = settings.data.images(data_folder, download=download)
    with resumable(checkpoint), speaking(f"training {path.stem}") as say:
        found = fit(
            settings,
            images,
            device=device,
            decoder=frozen,
            checkpoint=checkpoint,
            progress=say,
        )
    if kept:
        found.save(kept)
    result = found.result(path.stem)
    if folder:
        from avi_theory.cli.artifacts import keep

        keep(result, folder, f"{path.stem}.train", f"{path.stem}: training")
    return Answer(result, as_json)
