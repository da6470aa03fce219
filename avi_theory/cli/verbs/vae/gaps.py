"""`avi vae gaps`: what a trained encoder loses, image by image."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from avi_theory.cli import options
from avi_theory.cli.answer import Answer
from avi_theory.cli.files import file_ready, folder_ready
from avi_theory.cli.progress import speaking
from avi_theory.cli.verbs.vae.options import DataFolder, Download

Saved = Annotated[
    Path,
    Argument(metavar="MODEL", help="What avi vae train --save PATH wrote.", show_default=False),
]
Count = Annotated[int, Option("--images", min=1, help="Test images, the first ones.")]
Training = Annotated[
    int, Option("--training-images", min=0, help="Training images beside, for generalization.")
]
Steps = Annotated[
    int, Option("--refine", metavar="K", min=0, help="Semi-amortized steps behind the encoder.")
]
Temperatures = Annotated[
    int | None, Option("--temperatures", min=0, help="Of the annealing; 0 leaves it out.")
]
Chains = Annotated[int | None, Option("--chains", min=1, help="Of the annealing, per image.")]
Simulated = Annotated[
    int, Option("--sandwich", metavar="N", min=0, help="Check the annealing on N simulated images.")
]
Table = Annotated[
    Path | None, Option("--table", metavar="PATH", help="Write a row per image, as Parquet.")
]


def gaps(
    model: Saved,
    images: Count = 200,
    training_images: Training = 0,
    refine: Steps = 0,
    flow: Annotated[bool, Option("--flow", help="Optimise a flow per image, too.")] = False,
    temperatures: Temperatures = None,
    chains: Chains = None,
    sandwich: Simulated = 0,
    data_folder: DataFolder = None,
    download: Download = False,
    seed: options.Seed = 0,
    device: options.Device = "cpu",
    table: Table = None,
    out: options.Out = None,
    as_json: options.Json = False,
) -> Answer:
    """Measure the amortization and the approximation gap of a trained VAE on test images."""
    folder, rows = folder_ready(out), file_ready(table, "--table")
    from dataclasses import replace

    from avi_theory.vae import SemiAmortized, load_vae, vae_gaps
    from avi_theory.vae.gaps import Settings
    from avi_theory.vae.train import compare_shapes

    loaded = load_vae(model, device=device)
    vae = loaded.model
    data = loaded.settings.data.images(data_folder, download=download)
    compare_shapes(loaded.data, data.event, model)
    hard = Settings(
        flow=flow,
        temperatures=Settings.temperatures if temperatures is None else temperatures,
        chains=Settings.chains if chains is None else chains,
    )
    encoder = (
        vae
        if not refine
        else SemiAmortized(vae, vae.decoder, vae.likelihood, steps=refine, seed=seed)
    )
    dtype = next(vae.parameters()).dtype
    with speaking(f"gaps of {model.stem}") as say:
        found = vae_gaps(
            encoder,
            vae.decoder,
            data.tensor("test", slice(0, images), dtype=dtype),
            likelihood=vae.likelihood,
            seed=seed,
            device=device,
            training_images=data.tensor("train", slice(0, training_images), dtype=dtype)
            if training_images
            else None,
            difficulty=getattr(vae.encoder, "difficulty", None),
            sandwich=sandwich,
            settings=hard,
            progress=lambda what, done, count: say(f"{what}, {done} of {count} images"),
        )
    found = replace(found, provenance={**found.provenance, "data": dict(loaded.data)})
    if rows:
        rows.parent.mkdir(parents=True, exist_ok=True)
        found.to_parquet(rows)
    if folder:
        from avi_theory.cli.artifacts import keep

        keep(found, folder, f"{model.stem}.gaps", f"{model.stem}: gaps")
    return Answer(found, as_json)
