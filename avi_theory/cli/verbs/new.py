"""`avi new`: a commented model file to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument

from avi_theory.cli import options
from avi_theory.cli.answer import Answer
from avi_theory.cli.files import file_ready, write
from avi_theory.errors import InputError

TEMPLATE = '''\
title = "{title}"
about = """
What the model says, with its equation, and what it is for.
"""
references = []

# One statement a line. The order is free, ranges include both ends, scales are standard deviations.
model = """
index n = 1:N                      # N comes from the data, or from [sizes] below
given s[n] > 0                     # a covariate: a column of the data
global mu ~ Normal(0, 5)           # one for the whole data set, never amortized
global tau ~ HalfNormal(5)
local z[n] ~ Normal(mu, tau)       # one for each n: this is what amortization is about
observed y[n] ~ Normal(z[n], s[n]) # the data
"""

[sizes]                            # used where no data tell them
N = 8

# [data]                           # a CSV, Parquet or NPZ file beside this one: columns y and s
# file = "{stem}.csv"

[typical]                          # ranges that figures and tests draw from
s = [0.5, 2]

# [expect]                         # once you know: asserted by a test in the gallery
# closes = "inputs"
# simple_hierarchical = false
# inputs.z = ["s[n]", "y[n]"]
'''


def new(
    path: Annotated[Path, Argument(metavar="PATH", help="The file to write, as in my_model.toml.")],
    as_json: options.Json = False,
) -> Answer:
    """Write a commented model file to start from."""
    from avi_theory.results.files import Files

    if path.suffix != ".toml":
        raise InputError(f"{path} must end in .toml. Try {path}.toml.")
    file_ready(path, "PATH")
    if path.exists():
        raise InputError(f"{path} exists already and is kept. Name another file.")
    title = path.stem.replace("_", " ").capitalize().replace("\\", "").replace('"', "")
    text = TEMPLATE.format(title=title, stem=path.stem)
    written = write(path.parent, {path.name: text.encode()})
    return Answer(Files(tuple(str(p) for p in written)), as_json)
