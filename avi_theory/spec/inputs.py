"""What an inference function sees: ``x[t-1]``, ``s[n]``, ``y[g,:]``, ``y[i: g[i]=n]``, ``mean(x)``.

An input is written in the index letters of the local it belongs to.  Resolved at a model's sizes it
says, for every point of that local, which cells of which table the function sees.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import sympy
from sympy import Expr

from avi_theory.errors import InputError, nearest
from avi_theory.spec.bound import Bound, edge_points
from avi_theory.spec.model import Variable
from avi_theory.spec.tables import Ints, evaluate_index
from avi_theory.spec.terms import index_symbol, ref

Role = Literal["observed", "given", "position", "latent"]
_FACT = re.compile(r"^(?:(\w+)'*\s*:\s*)?(\w+)\[\s*(\w+)'*\s*\]\s*=\s*(.+)$")


@dataclass(frozen=True, eq=False)
class Input:
    """One input of one local, at every point of the local.

    Attributes:
        text: as written, without blanks.
        role: ``observed``, ``given``, ``position`` (a bare index letter), or ``latent`` (a tie).
        name: of the variable or given; the letter for a position.
        cells: positions in the table of `name`, ``[P, L]``; -1 where there is no such point.  For
            a set-valued input of varying size None.
        members: for a set-valued input, the cells of each point one after another, and `starts`
            ``[P + 1]``.  A membership map makes a set even where all have one size.
        averaged: whether the function sees only the mean over the cells.
        fixed: whether all points see the same cells (``x[:]``, ``mean(x)``).
        values: of a position, ``[P]``; else None.
        reading: letters of the local whose whole axis is shown (``x[:]``, or ``y[g,:]`` to
            ``z[g,t]``): the function reads it from its own position, which it therefore knows.
        subscripts: as written, one for each axis; ``:`` and conditions (``i: g[i]=n``) are open.
    """

    text: str
    role: Role
    name: str
    cells: Ints | None = None
    members: Ints | None = None
    starts: Ints | None = None
    averaged: bool = False
    fixed: bool = False
    values: np.ndarray | None = None
    reading: tuple[str, ...] = ()
    subscripts: tuple[str, ...] = ()

    @property
    def open(self) -> tuple[int, ...]:
        """The axes along which the function sees more than one cell."""
        return tuple(k for k, s in enumerate(self.subscripts) if s == ":" or "=" in s)

    @property
    def bracket(self) -> str:
        """The subscripts together; the same for inputs that stand side by side."""
        return ",".join(self.subscripts).replace("'", "")

    @property
    def is_set(self) -> bool:
        """Whether the input is a set of varying size."""
        return self.members is not None


def resolve(bound: Bound, local: Variable, texts: Sequence[str]) -> tuple[Input, ...]:
    """The inputs of one local, in the given order, without doubles.

    Raises:
        InputError: an unknown name, a wrong number of indices, or an expression that is no index.
    """
    unique = dict.fromkeys(_plain(t) for t in texts)
    return tuple(_Resolver(bound, local, text).run() for text in unique)


def tied(bound: Bound, local: Variable, text: str) -> Input:
    """The latents that a local interacts with, as `check` writes them: ``z[t-1]``, ``a[:]``.

    Raises:
        InputError: an expression that is no index.
    """
    name, _, rest = _plain(text).partition("[")
    subs = _split(rest[:-1]) if rest else []
    return _Resolver(bound, local, _plain(text)).cells("latent", name, subs)


def for_locals(
    bound: Bound, inputs: Sequence[str] | Mapping[str, Sequence[str]]
) -> dict[str, tuple[str, ...]]:
    """Inputs by local: a list goes to every local that has the letters it is written in.

    Raises:
        InputError: an input that fits no local, or a local that the model does not have.
    """
    model = bound.model
    names = [v.name for v in model.locals]
    if isinstance(inputs, Mapping):
        for name in inputs:
            if name not in names:
                hint = nearest(name, names) or f"The locals are {', '.join(names)}."
                raise InputError(f"Inputs were given for {name!r}, which is no local. {hint}")
        return {n: tuple(_plain(t) for t in inputs.get(n, ())) for n in names}
    chosen: dict[str, list[str]] = {n: [] for n in names}
    for text in (_plain(t) for t in inputs):
        problem: InputError | None = None
        fits = False
        for v in model.locals:
            try:
                _Resolver(bound, v, text).run()
            except InputError as e:
                problem = problem or e
            else:
                chosen[v.name].append(text)
                fits = True
        if not fits and problem is not None:
            raise problem
    return {n: tuple(t) for n, t in chosen.items()}


def _plain(text: str) -> str:
    squeezed = re.sub(r"\s+", "", text)
    return re.sub(r":(?=\w)", ": ", squeezed)


def at_commas(text: str) -> list[str]:
    """The parts of a text between commas outside brackets."""
    parts, depth, current = [], 0, ""
    for c in text:
        depth += (c in "[(") - (c in "])")
        if c == "," and depth == 0:
            parts.append(current)
            current = ""
        else:
            current += c
    return [*parts, current]


def _split(text: str) -> list[str]:
    """Subscripts at the top level; a fact without ``i:`` belongs to the one before it."""
    parts = at_commas(text)
    joined: list[str] = []
    for p in parts:
        if "=" in p and ":" not in p and joined:
            joined[-1] += ";" + p
        else:
            joined.append(p)
    return joined


@dataclass(frozen=True)
class _Resolver:
    bound: Bound
    local: Variable
    text: str

    def run(self) -> Input:
        text = self.text
        if text.startswith("mean(") and text.endswith(")"):
            return self._mean(text[5:-1])
        name, _, rest = text.partition("[")
        if "[" in text and not rest.endswith("]"):
            raise self._error(f"The input {text!r} lacks its closing bracket")
        if not rest and name in self.local.letters and name not in self.bound.model.givens:
            points = self.bound.tables[self.local.name].points
            values = points[:, self.local.letters.index(name)].astype(float)
            return Input(text, "position", name, values=values)
        role = self._role(name)
        axes = self._axes(name)
        subs = _split(rest[:-1]) if rest else [":"] * axes
        if len(subs) != axes:
            raise self._error(f"The input {text!r} has {len(subs)} indices, but {name} has {axes}")
        return replace(self.cells(role, name, subs), subscripts=tuple(subs))

    def _role(self, name: str) -> Role:
        model = self.bound.model
        variable = model.variables.get(name)
        if variable is not None and variable.role == "observed":
            return "observed"
        if name in model.givens:
            return "given"
        if variable is not None:
            raise self._error(
                f"The input {self.text!r} names the {variable.role} {variable}, which is unknown"
            )
        legal = [*(v.name for v in model.observed), *model.givens, *self.local.letters]
        hint = nearest(name, legal)
        raise self._error(f"The input {self.text!r} names {name!r}, which is not declared", hint)

    def _axes(self, name: str) -> int:
        model = self.bound.model
        declared = model.variables.get(name) or model.givens[name]
        return len(declared.axes)

    def _error(self, what: str, hint: str = "") -> InputError:
        model = self.bound.model
        legal = [*(str(v) for v in model.observed),
                 *(g.name + (f"[{','.join(a.letter for a in g.axes)}]" if g.axes else "")
                   for g in model.givens.values()), *self.local.letters]  # fmt: skip
        hint = f" {hint}" if hint else ""
        return InputError(
            f"{what}.{hint} An inference function of {self.local} may see {', '.join(legal)}, "
            "at neighbouring points too, whole rows as ':', or mean(x)."
        )

    def _mean(self, inner: str) -> Input:
        found = _Resolver(self.bound, self.local, inner).run()
        if found.role == "position":
            raise self._error(f"The input {self.text!r} averages a position")
        cells, members, starts = found.cells, found.members, found.starts
        if found.fixed and cells is not None and found.role == "observed":
            cells = cells[:, ~np.isin(cells[0], self._edges(found.name))]
        return Input(self.text, found.role, found.name, cells, members, starts, True, found.fixed)

    def _edges(self, name: str) -> Ints:
        bound = self.bound
        points = [p for p, _ in edge_points(bound.model, name, bound.sizes, bound.lookup)]
        table = bound.tables[name]
        found = [table.positions(tuple(p.T)) for p in points]
        return np.concatenate(found) if found else np.zeros(0, np.int64)

    def cells(self, role: Role, name: str, subs: list[str]) -> Input:
        """The cells of a variable or given at every point of the local."""
        bound = self.bound
        points = bound.tables[self.local.name].points
        count = len(points)
        if name not in bound.tables:
            if subs:
                raise self._error(f"The input {self.text!r} indexes {name}, which has no values")
            return Input(self.text, role, name, np.zeros((count, 1), np.int64), fixed=True)
        table = bound.tables[name]
        env = {a: points[:, k] for k, a in enumerate(self.local.letters)}
        if all(s == ":" for s in subs):
            everything = np.arange(table.size)
            cells = np.broadcast_to(everything, (count, table.size))
            return Input(
                self.text, role, name, cells, fixed=True, reading=self._reading(role, name, subs)
            )
        if not any(s == ":" or "=" in s for s in subs):
            values = [np.broadcast_to(self._value(s, env), (count,)) for s in subs]
            return Input(self.text, role, name, np.asarray(table.positions(values))[:, None])
        return self._joined(role, name, subs, env)

    def _reading(self, role: Role, name: str, subs: list[str]) -> tuple[str, ...]:
        if role != "observed":
            return ()
        axes = self.bound.model.variables[name].letters
        own = self.local.letters
        return tuple(a for a, s in zip(axes, subs, strict=True) if s == ":" and a in own)

    def _joined(self, role: Role, name: str, subs: list[str], env: Mapping[str, Ints]) -> Input:
        """Cells whose coordinates, or maps of them, equal what each point asks for."""
        table, mapped = self.bound.tables[name], False
        count = len(next(iter(env.values()))) if env else 1
        ours, theirs = [], []
        for axis, s in enumerate(subs):
            coordinate = table.points[:, axis]
            if s == ":":
                continue
            if "=" not in s:
                ours.append(np.broadcast_to(self._value(s, env), (count,)))
                theirs.append(coordinate)
                continue
            mapped = True
            for fact in s.split(";"):
                match = _FACT.match(fact.strip())
                if match is None or match[2] not in self.bound.model.givens:
                    raise self._error(f"The condition {fact!r} is not of the form i: g[i]=n")
                ours.append(np.broadcast_to(self._value(match[4], env), (count,)))
                theirs.append(self.bound.lookup(ref(match[2], index_symbol("i")), (coordinate,)))
        keys = np.concatenate([np.stack(ours, -1), np.stack(theirs, -1)])
        _, group = np.unique(keys, axis=0, return_inverse=True)
        group = group.reshape(-1)
        wanted, held = group[:count], group[count:]
        order = np.argsort(held, kind="stable")
        low = np.searchsorted(held[order], wanted, "left")
        high = np.searchsorted(held[order], wanted, "right")
        lengths = high - low
        full = lengths.max() if len(lengths) else 0
        if not mapped and np.all((lengths == full) | (lengths == 0)):
            inside = low[:, None] + np.arange(full)
            cells = np.where(lengths[:, None] > 0, order[np.minimum(inside, len(order) - 1)], -1)
            return Input(self.text, role, name, cells, reading=self._reading(role, name, subs))
        starts = np.concatenate([[0], np.cumsum(lengths)])
        inside = np.arange(starts[-1]) - np.repeat(starts[:-1], lengths) + np.repeat(low, lengths)
        return Input(self.text, role, name, None, order[inside], starts)

    def _value(self, text: str, env: Mapping[str, Ints]) -> Ints:
        try:
            tree = ast.parse(text, mode="eval").body
        except (SyntaxError, ValueError) as e:
            raise self._error(
                f"The index {text!r} of the input {self.text!r} cannot be read"
            ) from e
        expression = self._expression(tree, text)
        return evaluate_index(expression, {**self.bound.sizes, **env}, self.bound.lookup)

    def _expression(self, node: ast.expr, text: str) -> Expr:
        """Whole numbers, letters, sizes and maps under + - *; nothing is evaluated as code."""
        if isinstance(node, ast.Constant) and type(node.value) is int:
            return sympy.Integer(node.value)
        if isinstance(node, ast.Name):
            if node.id in self.local.letters or node.id in self.bound.sizes:
                return index_symbol(node.id)
            letters = [*self.local.letters, *self.bound.sizes]
            raise self._error(
                f"The input {self.text!r} uses the letter {node.id!r}, which {self.local} has not",
                nearest(node.id, letters),
            )
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -self._expression(node.operand, text)
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub, ast.Mult)):
            a, b = self._expression(node.left, text), self._expression(node.right, text)
            return a + b if isinstance(node.op, ast.Add) else (
                a - b if isinstance(node.op, ast.Sub) else a * b
            )  # fmt: skip
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            if node.value.id in self.bound.model.givens:
                return ref(node.value.id, *(self._expression(i, text) for i in inner))
        raise self._error(f"The index {text!r} of the input {self.text!r} is no index expression")
