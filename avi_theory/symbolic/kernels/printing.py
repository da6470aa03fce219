r"""Formulas as text in the model's own notation, and in LaTeX.

``sum(y[g,i] for i)`` and \(\sum_{i=1}^{I} y_{g,i}\); ``#{i: g[i]=n}`` and
\(\#\{i : g_{i} = n\}\); ``W.T @ x[n]`` and \(W^\top x_{n}\).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sympy import Expr, Indexed, Symbol
from sympy.printing.latex import LatexPrinter
from sympy.printing.precedence import PRECEDENCE, precedence
from sympy.printing.str import StrPrinter

from avi_theory.spec import terms
from avi_theory.symbolic.entries import index_text, reference_text
from avi_theory.symbolic.kernels.heads import gram, inverse, over, product, rest

Ranges = Mapping[str, tuple[Expr, Expr]]
"""The whole range of an index letter."""
MISSING = "missing·"
"""Before the name of a variable: the presence of its cells."""
_PRODUCTS = (terms.matvec, product, gram)


def as_text(expr: Expr, ranges: Ranges) -> str:
    """An expression as the notation writes it; sums over a whole index set do not say its ends."""
    return str(_Text(ranges).doprint(expr))


def as_latex(expr: Expr) -> str:
    """An expression in LaTeX."""
    return str(_Latex().doprint(expr))


def _pairs(facts: Sequence[Expr]) -> list[tuple[Expr, Expr]]:
    return list(zip(facts[::2], facts[1::2], strict=True))


class _Text(StrPrinter):
    printmethod = "_notation"
    """So that references print by the rules here, not by sympy's own."""

    def __init__(self, ranges: Ranges) -> None:
        super().__init__()
        self.ranges = ranges

    def parenthesize(self, item: Expr, level: int, strict: bool = False) -> str:
        if isinstance(item, _PRODUCTS) and level > PRECEDENCE["Mul"]:
            return f"({self._print(item)})"
        return str(super().parenthesize(item, level, strict))

    def _tight(self, expr: Expr) -> str:
        """Parenthesised where it stands beside ``@``, ``.T`` or ``[``."""
        loose = isinstance(expr, _PRODUCTS) or precedence(expr) <= PRECEDENCE["Pow"]
        return f"({self._print(expr)})" if loose else str(self._print(expr))

    def _print_Indexed(self, expr: Indexed) -> str:
        text = reference_text(expr)
        return f"present({text.replace(MISSING, '')})" if text.startswith(MISSING) else text

    def _print_Symbol(self, expr: Symbol) -> str:
        text = str(expr.name)
        return f"present({text.replace(MISSING, '')})" if text.startswith(MISSING) else text

    def _print_Pow(self, expr: Expr, rational: bool = False) -> str:
        base, power = expr.args
        if power.is_Integer and power < -1:
            return f"1/{self._print(base**-power)}"
        return str(super()._print_Pow(expr, rational))

    def _print_expectation(self, expr: Expr) -> str:
        return f"E[{self._print(expr.args[0])}]"

    def _print_over(self, expr: Expr) -> str:
        where = [self._where(expr)]
        body = expr.args[0]
        while isinstance(body, over) and len(body.args) == 4 and len(expr.args) == 4:
            where.append(self._where(body))
            body = body.args[0]
        if body == 1:
            return f"#{{{', '.join(where)}}}"
        return f"sum({self._print(body)} for {', '.join(where)})"

    def _where(self, expr: Expr) -> str:
        _, letter, low, high, *facts = expr.args
        if facts:
            equal = (f"{index_text(a)}={index_text(b)}" for a, b in _pairs(facts))
            return f"{letter}: {', '.join(equal)}"
        if self.ranges.get(letter.name.rstrip("'")) == (low, high):
            return str(letter)
        return f"{letter} in {index_text(low)}:{index_text(high)}"

    def _print_rest(self, expr: Expr) -> str:
        body, letter, _, _, out = expr.args
        return f"sum({self._print(body)} for {letter} != {index_text(out)})"

    def _print_chance(self, expr: Expr) -> str:
        return f"q({self._print(expr.args[0])} = {self._print(expr.args[1])})"

    def _print_indicator(self, expr: Expr) -> str:
        return f"[{self._print(expr.args[0])} = {self._print(expr.args[1])}]"

    def _print_transpose(self, expr: Expr) -> str:
        return f"{self._tight(expr.args[0])}.T"

    def _print_gram(self, expr: Expr) -> str:
        matrix, weights = self._tight(expr.args[0]), expr.args[1]
        shown = self._print(weights)
        middle = f" @ {shown}" if isinstance(weights, inverse) else f" @ diag({shown})"
        middle = "" if weights == 1 else middle
        return f"{matrix}.T{middle} @ {matrix}"

    def _print_diagonal(self, expr: Expr) -> str:
        return f"diag({self._print(expr.args[0])})"

    _print_diagonal_of = _print_diagonal

    def _print_inverse(self, expr: Expr) -> str:
        return f"inverse({self._print(expr.args[0])})"

    def _print_solve(self, expr: Expr) -> str:
        return f"inverse({self._print(expr.args[0])}) @ {self._tight(expr.args[1])}"

    def _print_precision(self, expr: Expr) -> str:
        return f"{expr.args[7]}[{','.join(map(index_text, expr.args[5:7]))}]"

    def _print_product(self, expr: Expr) -> str:
        return " @ ".join(map(self._tight, expr.args))

    _print_matvec = _print_product

    def _print_total(self, expr: Expr) -> str:
        return f"sum({self._print(expr.args[0])})"

    def _print_vector(self, expr: Expr) -> str:
        return f"[{', '.join(map(self._print, expr.args))}]"

    def _print_pick(self, expr: Expr) -> str:
        return f"{self._tight(expr.args[0])}[{index_text(expr.args[1])}]"

    def _print_Abs(self, expr: Expr) -> str:
        return f"abs({self._print(expr.args[0])})"


class _Latex(LatexPrinter):
    def _print(self, expr: Any, **options: Any) -> str:
        """Powers of the heads below, which sympy would hand their exponent."""
        own = f"_print_{type(expr).__name__}" in vars(_Latex)
        exponent = options.pop("exp", None) if own else None
        text = str(super()._print(expr, **options))
        return text if exponent is None else rf"{{\left({text}\right)}}^{{{exponent}}}"

    def parenthesize(
        self, item: Expr, level: int, is_neg: bool = False, strict: bool = False
    ) -> str:
        if isinstance(item, _PRODUCTS) and level > PRECEDENCE["Mul"]:
            return rf"\left({self._print(item)}\right)"
        return str(super().parenthesize(item, level, is_neg, strict))

    def _tight(self, expr: Expr) -> str:
        loose = isinstance(expr, _PRODUCTS) or precedence(expr) <= PRECEDENCE["Pow"]
        return rf"\left({self._print(expr)}\right)" if loose else str(self._print(expr))

    def _needs_mul_brackets(self, expr: Expr, first: bool = False, last: bool = False) -> bool:
        """A sum that is not the last factor would swallow the next one."""
        if isinstance(expr, (over, rest)) and expr.args[0] != 1 and not last:
            return True
        return bool(super()._needs_mul_brackets(expr, first, last))

    def _all(self, items: Sequence[Expr]) -> str:
        return ",".join(self._print(i) for i in items)

    def _named(self, name: str) -> str:
        if name.startswith(MISSING):
            return rf"\mathrm{{present}}\left({self._named(name.removeprefix(MISSING))}\right)"
        text = str(super()._print_Symbol(Symbol(name)))
        return rf"\mathrm{{{text}}}" if len(text) > 1 and text.isalpha() else text

    def _print_Symbol(self, expr: Symbol, style: str = "plain") -> str:
        return self._named(expr.name)

    def _print_Indexed(self, expr: Indexed) -> str:
        name = terms.name_of(expr)
        if name.startswith(MISSING):
            cell = terms.ref(name.removeprefix(MISSING), *expr.indices)
            return rf"\mathrm{{present}}\left({self._print(cell)}\right)"
        base = self._named(name)
        base = f"{{{base}}}" if "_" in base else base
        return f"{base}_{{{self._all(expr.indices)}}}"

    def _print_expectation(self, expr: Expr) -> str:
        return rf"\mathbb{{E}}\left[{self._print(expr.args[0])}\right]"

    def _print_over(self, expr: Expr) -> str:
        body, letter, low, high, *facts = expr.args
        tied = ",\\, ".join(f"{self._print(a)} = {self._print(b)}" for a, b in _pairs(facts))
        if body == 1:
            return rf"\#\left\{{{self._print(letter)} : {tied}\right\}}"
        name = self._print(letter)
        if facts:
            return rf"\sum_{{{name} :\, {tied}}} {self._summand(body)}"
        ends = rf"_{{{name}={self._print(low)}}}^{{{self._print(high)}}}"
        return rf"\sum{ends} {self._summand(body)}"

    def _print_rest(self, expr: Expr) -> str:
        body, letter, _, _, out = expr.args
        return rf"\sum_{{{self._print(letter)} \neq {self._print(out)}}} {self._summand(body)}"

    def _summand(self, body: Expr) -> str:
        text = self._print(body)
        return rf"\left({text}\right)" if body.is_Add else str(text)

    def _print_chance(self, expr: Expr) -> str:
        return rf"q\left({self._print(expr.args[0])} = {self._print(expr.args[1])}\right)"

    def _print_indicator(self, expr: Expr) -> str:
        return rf"\left[{self._print(expr.args[0])} = {self._print(expr.args[1])}\right]"

    def _print_transpose(self, expr: Expr) -> str:
        return rf"{{{self._tight(expr.args[0])}}}^\top"

    def _print_gram(self, expr: Expr) -> str:
        matrix, weights = self._tight(expr.args[0]), expr.args[1]
        shown = self._print(weights)
        if not isinstance(weights, inverse):
            shown = "" if weights == 1 else rf"\mathrm{{diag}}\left({shown}\right)"
        middle = f" {shown}"
        return rf"{{{matrix}}}^\top{middle} {matrix}"

    def _print_diagonal(self, expr: Expr) -> str:
        return rf"\mathrm{{diag}}\left({self._print(expr.args[0])}\right)"

    _print_diagonal_of = _print_diagonal

    def _print_inverse(self, expr: Expr) -> str:
        return rf"{{{self._tight(expr.args[0])}}}^{{-1}}"

    def _print_solve(self, expr: Expr) -> str:
        return rf"\left({self._print(expr.args[0])}\right)^{{-1}} {self._tight(expr.args[1])}"

    def _print_precision(self, expr: Expr) -> str:
        return f"{expr.args[7]}_{{{self._all(expr.args[5:7])}}}"

    def _print_product(self, expr: Expr) -> str:
        return r" \, ".join(map(self._tight, expr.args))

    _print_matvec = _print_product

    def _print_total(self, expr: Expr) -> str:
        return rf"\mathbf{{1}}^\top {self._tight(expr.args[0])}"

    def _print_vector(self, expr: Expr) -> str:
        return rf"\left({', '.join(map(self._print, expr.args))}\right)"

    def _print_pick(self, expr: Expr) -> str:
        vector, k = expr.args
        if isinstance(vector, Indexed):
            return str(self._print(terms.ref(terms.name_of(vector), *vector.indices, k)))
        text = self._print(vector)
        if not isinstance(vector, (Symbol, terms.vector)):
            text = rf"\left({text}\right)"
        return f"{text}_{{{self._print(k)}}}"

    def _print_sigmoid(self, expr: Expr) -> str:
        return rf"\mathrm{{sigmoid}}\left({self._print(expr.args[0])}\right)"

    def _print_softplus(self, expr: Expr) -> str:
        return rf"\mathrm{{softplus}}\left({self._print(expr.args[0])}\right)"
