"""`avi measure`: F-VI and A-VI, fitted on one objective."""

from __future__ import annotations

from avi_theory.cli import options
from avi_theory.cli.answer import Answer
from avi_theory.cli.declared import declared, pairs
from avi_theory.cli.files import file_ready, folder_ready
from avi_theory.cli.progress import resumable, working


def measure(
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
    free: options.Free = None,
    batch: options.Batch = None,
    checkpoint: options.Checkpoint = None,
    out: options.Out = None,
    save: options.Save = None,
    as_json: options.Json = False,
) -> Answer:
    """Fit factorized and amortized inference on the same objective."""
    question = declared(model, sets, sizes)
    chosen = dict(pairs("--factor", factors, "z=gamma", joint=True))
    folder, kept = folder_ready(out), file_ready(save)
    from avi_theory.pipeline import measure as fit

    with resumable(checkpoint), working(f"fitting {question.name}") as progress:
        found = fit(
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
            free=free,
            batch=batch,
            checkpoint=checkpoint,
            progress=progress,
        )
    if kept:
        kept.parent.mkdir(parents=True, exist_ok=True)
        found.save(kept)
    if folder:
        from avi_theory.cli.artifacts import keep

        keep(found, folder, f"{found.model}.measure", f"{found.model}: measure")
    return Answer(found, as_json)
