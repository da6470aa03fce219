"""`avi predict`: the gap by theory."""

from __future__ import annotations

from avi_theory.cli import options
from avi_theory.cli.answer import Answer
from avi_theory.cli.declared import declared, pairs
from avi_theory.cli.files import folder_ready


def predict(
    model: options.ModelName,
    regime: options.Regime = None,
    window: options.Window = None,
    inputs: options.Inputs = None,
    function: options.Function = "any",
    sharing: options.Sharing = "shared",
    factors: options.Factors = None,
    sets: options.Sets = None,
    sizes: options.Sizes = None,
    data: options.Data = None,
    out: options.Out = None,
    as_json: options.Json = False,
) -> Answer:
    """Predict the amortization gap: exact, a bound, or none with the reason."""
    question = declared(model, sets, sizes)
    folder = folder_ready(out)
    from avi_theory.pipeline import predict as foretell

    prediction = foretell(
        question,
        data,
        regime=regime,
        window=window,
        inputs=inputs,
        function=function or "any",
        sharing=sharing,
        factors=dict(pairs("--factor", factors, "z=gamma", joint=True)),
    )
    if folder:
        from avi_theory.cli.artifacts import keep

        keep(prediction, folder, f"{prediction.model}.predict", f"{prediction.model}: predict")
    return Answer(prediction, as_json)
