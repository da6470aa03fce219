"""Everything that a training run depends on, read from TOML; all problems told at once."""

from __future__ import annotations

import tomllib
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from avi_theory.errors import InputError, nearest
from avi_theory.vae.data import Images, load_images
from avi_theory.vae.encoders.modulation import MODULATIONS
from avi_theory.vae.layers import ACTIVATIONS
from avi_theory.vae.likelihoods import NAMES
from avi_theory.vae.train.schedules import SCHEDULES

KINDS = ("dense", "convolutional")
POSTERIORS = ("diagonal", "process", "flow", "auxiliary")
PRECISIONS = ("float32", "float64", "bfloat16")


@dataclass(frozen=True)
class DataSettings:
    """The arguments of `load_images`."""

    name: str = "digits"
    folder: str | None = None
    binarize: str = "threshold:0.5"
    seed: int = 0
    validation: float = 0.1
    download: bool = False

    def images(self, folder: str | Path | None = None, *, download: bool = False) -> Images:
        """The images meant here.

        Args:
            folder: instead of the one in the settings.
            download: whether to fetch what is missing, also where the settings do not say so.

        Raises:
            InputError: an unknown set or option.
            DataError: files that are missing, damaged or of another format.
        """
        told = {"folder": folder or self.folder, "download": download or self.download}
        return load_images(**{**asdict(self), **told})


@dataclass(frozen=True)
class ModelSettings:
    """Codes and likelihood; `scale` (for gaussian) is where a learned one begins."""

    latents: int = 8
    likelihood: str = "bernoulli"
    scale: float | None = None
    learned: bool = False
    levels: int | None = None


@dataclass(frozen=True)
class EncoderSettings:
    """A dense or convolutional encoder, adapted to each image or not, with a posterior behind it.

    Attributes:
        kind: dense or convolutional.
        hidden: widths of the dense layers.
        channels: of convolutions.
        activation: of hidden layers.
        adapt: none, or a modulation.
        hyper: widths of the hypernetwork.
        posterior: diagonal, process, flow or auxiliary.
        transforms: coupling layers of a flow.
        flow: widths of their networks.
        steps: semi-amortized steps, trained through.
    """

    kind: str = "dense"
    hidden: tuple[int, ...] = (64, 64)
    channels: tuple[int, ...] = (32, 64)
    activation: str = "elu"
    adapt: str = "none"
    hyper: tuple[int, ...] = (32,)
    posterior: str = "diagonal"
    transforms: int = 2
    flow: tuple[int, ...] = (64,)
    steps: int = 0


@dataclass(frozen=True)
class DecoderSettings:
    """A dense or convolutional decoder; linear for no hidden widths."""

    kind: str = "dense"
    hidden: tuple[int, ...] = (64, 64)
    channels: tuple[int, ...] = (64, 32)
    activation: str = "elu"


@dataclass(frozen=True)
class TrainingSettings:
    """The optimisation.

    Attributes:
        objective: elbo or iwae.
        draws: codes per image and step.
        epochs: passes over the training images, at most.
        batch: images per step.
        rate: Adam's learning rate before the schedule.
        epsilon: Adam's.
        schedule: constant, cosine or cld.
        warm_up: epochs in which the weight of log p(z) − log q(z | x) rises to 1.
        patience: epochs without a better validation bound after which to stop; 0 for never.
        every: epochs between two looks at the validation images.
        seed: of weights, orders and codes.
        precision: float32, float64, or bfloat16 for the networks alone.
        compile: whether torch compiles the layers of encoder and decoder.
    """

    objective: str = "elbo"
    draws: int = 1
    epochs: int = 300
    batch: int = 100
    rate: float = 1e-3
    epsilon: float = 1e-8
    schedule: str = "constant"
    warm_up: int = 0
    patience: int = 0
    every: int = 5
    seed: int = 0
    precision: str = "float32"
    compile: bool = False


@dataclass(frozen=True)
class Settings:
    """All sections of a configuration."""

    title: str = ""
    data: DataSettings = field(default_factory=DataSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    decoder: DecoderSettings = field(default_factory=DecoderSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)

    def to_dict(self) -> dict[str, Any]:
        """As nested dictionaries."""
        return asdict(self)


def load_settings(path: str | Path, **changes: Any) -> Settings:
    """Settings from a TOML file.

    Args:
        path: of the file.
        **changes: values by dotted name, such as ``{"training.epochs": 5}``.

    Raises:
        InputError: no such file, no TOML, or problems in it, all of them.
    """
    try:
        content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as e:
        raise InputError(f"The configuration {path} cannot be read: {e.strerror}.") from e
    except ValueError as e:
        raise InputError(f"The configuration {path} is no TOML: {e}.") from e
    for name, value in changes.items():
        section, _, key = name.rpartition(".")
        content.setdefault(section, {})[key] = value
    return settings_of(content, str(path))


def settings_of(content: Mapping[str, Any], source: str = "settings") -> Settings:
    """Settings from nested mappings, as `Settings.to_dict` gives them.

    Raises:
        InputError: unknown or impossible entries, all of them.
    """
    problems: list[str] = []
    sections = {f.name: f.default_factory for f in fields(Settings) if f.name != "title"}
    made: dict[str, Any] = {"title": str(content.get("title", ""))}
    for name in content:
        if name not in sections and name != "title":
            problems.append(f"[{name}] is unknown. {_known(name, sections)}")
    for name, make in sections.items():
        kind: Any = type(make())  # type: ignore[operator]
        values = content.get(name, {})
        if not isinstance(values, Mapping):
            problems.append(f"[{name}] must be a section.")
            continue
        good, found = _typed(kind, name, values)
        problems += found
        made[name] = kind(**good)
    settings = Settings(**made)
    problems += list(_problems(settings)) if not problems else []
    if problems:
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        raise InputError("\n".join([f"{source}: {count}", *(f"  {p}" for p in problems)]))
    return settings


def _typed(kind: Any, section: str, values: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    hints = get_type_hints(kind)
    found, problems = {}, []
    for key, value in values.items():
        if key not in hints:
            problems.append(f"{section}.{key} is unknown. {_known(key, hints)}")
            continue
        wanted = hints[key]
        try:
            found[key] = _as(wanted, value)
        except TypeError as e:
            problems.append(f"{section}.{key} = {value!r} should be {e}.")
    return found, problems


def _as(wanted: Any, value: Any) -> Any:
    """A TOML value as a field's type; a TypeError says what is wanted."""
    if get_origin(wanted) in (types.UnionType, typing.Union):
        return None if value is None else _as(get_args(wanted)[0], value)
    if get_origin(wanted) is tuple:
        whole = isinstance(value, list | tuple) and all(type(v) is int and v > 0 for v in value)
        if not whole:
            raise TypeError("a list of widths, such as [200, 200]")
        return tuple(value)
    if wanted is float and type(value) is int:
        return float(value)
    if type(value) is not wanted:
        words = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
        raise TypeError(words[wanted])
    return value


def _known(name: str, valid: Any) -> str:
    return nearest(name, valid) or f"Known: {', '.join(valid)}."


CHOICES: tuple[tuple[str, Any], ...] = (
    ("model.likelihood", NAMES),
    ("encoder.kind", KINDS),
    ("decoder.kind", KINDS),
    ("encoder.activation", ACTIVATIONS),
    ("decoder.activation", ACTIVATIONS),
    ("encoder.adapt", ("none", *MODULATIONS)),
    ("encoder.posterior", POSTERIORS),
    ("training.objective", ("elbo", "iwae")),
    ("training.schedule", SCHEDULES),
    ("training.precision", PRECISIONS),
)
LEAST: tuple[tuple[str, float], ...] = (
    ("model.latents", 1),
    ("encoder.transforms", 1),
    ("encoder.steps", 0),
    ("training.draws", 1),
    ("training.epochs", 1),
    ("training.batch", 1),
    ("training.every", 1),
    ("training.warm_up", 0),
    ("training.patience", 0),
    ("training.seed", 0),
)
TOGETHER: tuple[tuple[Callable[[Settings], bool], str], ...] = (
    (
        lambda s: s.encoder.steps > 0 and s.encoder.posterior != "diagonal",
        "encoder.steps goes with posterior = 'diagonal' only.",
    ),
    (
        lambda s: (s.model.scale is None) == (s.model.likelihood == "gaussian"),
        "model.scale is needed for, and only for, likelihood = 'gaussian'.",
    ),
    (
        lambda s: (s.model.levels is None) == (s.model.likelihood == "categorical"),
        "model.levels is needed for, and only for, likelihood = 'categorical'.",
    ),
    (lambda s: not s.training.rate > 0, "training.rate must be positive."),
    (lambda s: not s.training.epsilon > 0, "training.epsilon must be positive."),
)


def _problems(settings: Settings) -> Iterator[str]:
    def value(name: str) -> Any:
        section, _, key = name.partition(".")
        return getattr(getattr(settings, section), key)

    for name, valid in CHOICES:
        if value(name) not in valid:
            yield f"{name} = {value(name)!r} is unknown. {_known(value(name), valid)}"
    for name, least in LEAST:
        if value(name) < least:
            yield f"{name} = {value(name)} must be {least} or more."
    for wrong, words in TOGETHER:
        if wrong(settings):
            yield words
