"""`avi vae compare`: an adaptive encoder against its controls, over seeds."""

from __future__ import annotations

from typing import Annotated

from typer import Option

from avi_theory.cli import options
from avi_theory.cli.answer import Answer
from avi_theory.cli.files import folder_ready, write
from avi_theory.cli.progress import resumable, speaking
from avi_theory.cli.verbs.vae.options import DataFolder, Download, Entries, entries
from avi_theory.cli.verbs.vae.train import Configuration
from avi_theory.errors import InputError

Modulation = Annotated[
    str, Option("--adapt", help="film, scale, low_rank, multiplicative or heads.")
]
Synthetic = Annotated[
    str | None,
    Option("--synthetic", help="Images with a known posterior: linear, piecewise or curved."),
]


def compare(
    config: Configuration = "digits",
    changes: Entries = None,
    seeds: Annotated[int, Option("--seeds", min=2, help="Runs of each encoder.")] = 10,
    adapt: Modulation = "film",
    curve: Annotated[bool, Option("--curve", help="Half and double widths, too.")] = False,
    gaps: Annotated[int, Option("--gaps", min=0, help="Test images whose gap is measured.")] = 100,
    images: Annotated[
        int | None, Option("--images", min=100, help="Only the first so many to train and to test.")
    ] = None,
    synthetic: Synthetic = None,
    data_folder: DataFolder = None,
    download: Download = False,
    device: options.Device = "cpu",
    checkpoint: options.Checkpoint = None,
    out: options.Out = None,
    as_json: options.Json = False,
) -> Answer:
    """Train an adaptive encoder and its controls with the same seeds; test the differences."""
    from avi_theory.gallery import configuration_path

    path = configuration_path(config)
    told = entries(changes)
    folder = folder_ready(out)
    from avi_theory.vae import load_settings
    from avi_theory.vae.encoders.modulation import MODULATIONS
    from avi_theory.vae.experiments import compare_encoders, truth_of

    if adapt not in MODULATIONS:
        raise InputError(f"--adapt {adapt} is not known. Known: {', '.join(MODULATIONS)}.")
    settings, truth = load_settings(path, **told), None
    if synthetic is not None:
        truth = truth_of(synthetic, settings)
        settings, data = truth.settings, truth.images
    else:
        data = settings.data.images(data_folder, download=download).first(images)
    name = data.name
    with resumable(checkpoint), speaking(f"comparing encoders on {name}") as say:
        found = compare_encoders(
            name,
            settings,
            data,
            seeds=range(seeds),
            modulation=adapt,
            curve=curve,
            gaps=gaps,
            truth=truth,
            device=device,
            checkpoint=checkpoint,
            progress=say,
        )
    if folder:
        from avi_theory.cli.artifacts import keep
        from avi_theory.report import markdown

        keep(found, folder, f"{name}.encoders", f"{name}: encoders compared")
        page = markdown(
            f"{name}: encoders compared", found, [("Paired differences", PICTURE.format(name))]
        )
        write(folder, {f"{name}.encoders.md": page.encode()})
    return Answer(found, as_json)


PICTURE = "{}.encoders.differences.svg"
