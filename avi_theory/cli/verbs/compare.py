"""`avi compare`: the ladder of gaps, and whether theory and measurement agree."""

from __future__ import annotations

from avi_theory.cli import options
from avi_theory.cli.answer import Answer
from avi_theory.cli.declared import declared, pairs
from avi_theory.cli.files import file_ready, folder_ready
from avi_theory.cli.progress import resumable, working


def compare(
    model: options.ModelName,
    window: options.Window = None,
    inputs: options.Inputs = None,
    function: options.Function = None,
    sets: options.Sets = None,
    sizes: options.Sizes = None,
    data: options.Data = None,
    seed: options.Seed = 0,
    device: options.Device = "cpu",
    factors: options.Factors = None,
    holdout: options.Holdout = None,
    refine: options.Refine = 0,
    batch: options.Batch = None,
    checkpoint: options.Checkpoint = None,
    out: options.Out = None,
    save: options.Save = None,
    as_json: options.Json = False,
) -> Answer:
    """Predict, measure, and say whether the two agree (exit code 3 if they cannot)."""
    question = declared(model, sets, sizes)
    chosen = dict(pairs("--factor", factors, "z=gamma", joint=True))
    folder, kept = folder_ready(out), file_ready(save)
    from avi_theory.pipeline import compare as set_side_by_side

    what = f"comparing theory and measurement of {question.name}"
    with resumable(checkpoint), working(what) as progress:
        found = set_side_by_side(
            question,
            data,
            window=window,
            inputs=inputs,
            function=function,
            seed=seed,
            device=device,
            factors=chosen,
            holdout=holdout,
            refine=refine,
            batch=batch,
            checkpoint=checkpoint,
            progress=progress,
        )
    if kept and found.measurement is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        found.measurement.save(kept)
    if folder:
        from avi_theory.cli.artifacts import keep

        keep(found, folder, f"{found.model}.compare", f"{found.model}: compare")
    return Answer(found, as_json, found.exit_code)
