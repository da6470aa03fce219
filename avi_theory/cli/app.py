"""The verbs on one typer application."""

from __future__ import annotations

from typing import Annotated

import typer

from avi_theory import __version__
from avi_theory.cli.verbs import VERBS
from avi_theory.cli.verbs.vae import LABORATORY

app = typer.Typer(
    name="avi",
    help="Declare a latent-variable model; read whether amortized inference can be lossless, "
    "what gap theory predicts, what gap is measured, and whether the two agree.",
    add_completion=False,
    pretty_exceptions_enable=False,
    epilog="Exit code 0: answered; 2: bad input; 3: the numbers contradict the theory.",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"avi {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options before the verb."""


for _name, _verb in VERBS:
    app.command(_name)(_verb)

_vae = typer.Typer(help="The VAE laboratory: train an encoder and a decoder, measure their gaps.")
for _name, _verb in LABORATORY:
    _vae.command(_name)(_verb)
app.add_typer(_vae, name="vae")
