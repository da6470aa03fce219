"""Reads inputs as the contract writes them, and says which references they name at one point."""

from __future__ import annotations

import re
from itertools import product
from typing import Any

from .brute import POSITION
from .reader import Code, reference, split
from .world import Ref, World


def expanded(texts: tuple[str, ...], z: Ref, world: World) -> set[Any]:
    """The references that some inputs name for a local.

    Args:
        texts: as in a report: ``x[n-1]``, ``y[n,:]``, ``y[i: g[i]=n]``, ``n``, ``k[n]``.
        z: the local at a point.
        world: the unrolled model.
    """
    env = dict(zip(world.program.axes[z[0]], z[1], strict=True))
    found: set[Any] = set()
    for text in texts:
        found |= _one(text, env, world)
    return found


def loose_ends(texts: tuple[str, ...], z: Ref, world: World) -> set[Any]:
    """References at the ends of ranges that an input names as a whole.

    A whole range stands for its interior; that its ends may count less is not written.
    """
    env = dict(zip(world.program.axes[z[0]], z[1], strict=True))
    found: set[Any] = set()
    for text in texts:
        name, subs = reference(text)
        for k, sub in enumerate(_merged(subs)):
            if sub == ":":
                named = _one(text, env, world)
                line = sorted({p[k] for _, p in named})
                ends = {*line[:2], *line[-2:]} if len(line) > 4 else set()
                found |= {(name, p) for _, p in named if p[k] in ends}
    return found


def _one(text: str, env: dict[str, int], world: World) -> set[Any]:
    name, subs = reference(text)
    if name in world.program.letters and not subs:
        return {(POSITION, name)}
    if name in world.shape and name in world.program.maps:
        return {(POSITION, world.program.maps[name])}
    return {(name, p) for p in product(*_axes(name, _merged(subs), env, world))
            if _exists(name, p, world)}  # fmt: skip


def _merged(subs: tuple[str, ...]) -> list[str]:
    """Subscripts with the conditions of a member put back behind its letter."""
    parts: list[str] = []
    for s in subs:
        if "=" in s and ":" not in s:
            parts[-1] += ";" + s
        else:
            parts.append(s)
    return parts


def _axes(name: str, subs: list[str], env: dict[str, int], world: World) -> list[list[int]]:
    places = sorted(world.points[name] if name in world.points else _grid(name, world))
    columns: list[list[int]] = []
    for k, sub in enumerate(subs):
        everywhere = sorted({p[k] for p in places})
        if sub == ":":
            columns.append(everywhere)
        elif ":" in sub:
            letter, conditions = (x.strip() for x in split(sub, ":"))
            columns.append([
                i for i in everywhere
                if all(_holds(c, {**env, letter: i}, world) for c in conditions.split(";"))
            ])  # fmt: skip
        else:
            columns.append([_number(sub, env, world)])
    return columns


def _grid(name: str, world: World) -> set[tuple[int, ...]]:
    letters = [world.program.letters[x] for x in world.program.axes[name]]
    return {tuple(p.values()) for p in world.grid(letters)}


def _exists(name: str, place: tuple[int, ...], world: World) -> bool:
    return place in (world.points[name] if name in world.points else _grid(name, world))


def _holds(condition: str, env: dict[str, int], world: World) -> bool:
    left, right = condition.split("=")
    return _number(left, env, world) == _number(right, env, world)


def _number(text: str, env: dict[str, int], world: World) -> int:
    clean = re.sub(r"(\w)'", r"\1_", text)
    renamed = {re.sub("'", "_", k): v for k, v in env.items()}
    return world.whole(Code.of(clean), renamed)
