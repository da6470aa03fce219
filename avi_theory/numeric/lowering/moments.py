r"""Expectations of expressions in independent latents, derived symbolically.

.. math:: \mathbb{E}_q[e(u)],\qquad u_j \sim \mathcal N(m_j, v_j), \text{ log-Gamma or logit-Beta,
    independent}

Exact before sampled: polynomials, exponentials of affine functions and their products have closed
forms in the means and variances; a function of one or two independent affine combinations becomes
an `Integral` for quadrature; what is left becomes an `Integral` for Monte Carlo.  Squares of affine
combinations are kept as they are (mean² + variance), never multiplied out, so nothing cancels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import sympy
from sympy import Expr, Symbol

from avi_theory.numeric.lowering.covariance import cov_entry, cov_form, cov_rows, cov_trace
from avi_theory.numeric.lowering.expressions import elementwise_in, expanded
from avi_theory.numeric.lowering.heads import mvn_trace
from avi_theory.numeric.lowering.latents import (
    Direction,
    Integral,
    Latent,
    Root,
    folded_mean,
    gaussian_moment,
)
from avi_theory.numeric.lowering.lawful import moment, parts
from avi_theory.spec import terms

MAX_DIRECTIONS = 2
MAX_TERMS = 400
MAX_POWER = 16


@dataclass
class Expectation:
    """Derives E[e] for one set of latents.

    Attributes:
        latents: by symbol.
        prefix: of the integrals' symbols.
        span: the least and the greatest value of a known expression on the data.
        integrals: found so far.
        links: the covariance of two scalar latents that share a factor.
    """

    latents: dict[Symbol, Latent]
    prefix: str = ""
    span: Callable[[Expr], tuple[float, float]] = lambda e: (-math.inf, math.inf)
    integrals: dict[Expr, Integral] = field(default_factory=dict)
    links: dict[frozenset[Symbol], Expr] = field(default_factory=dict)

    def of(self, e: Expr) -> Expr:
        """E[e] in moment symbols, known symbols and integral symbols."""
        if not self.random(e):
            return e
        if e.is_Add:
            return sympy.Add(*(self.of(a) for a in e.args))
        if isinstance(e, terms.total):
            return terms.total(self.of(e.args[0]))
        if isinstance(e, terms.vector):
            return terms.vector(*(self.of(a) for a in e.args))
        if isinstance(e, terms.pick) and not self.random(e.args[1]):
            return terms.pick(self.of(e.args[0]), e.args[1])
        if isinstance(e, terms.matvec) and not self.random(e.args[0]):
            return terms.matvec(e.args[0], self.of(e.args[1]))
        if isinstance(e, terms.mvn_log_density):
            return self._mvn(e)
        affine = self.affine(e)
        if affine is not None:
            return affine.mean
        if e.is_Mul:
            return self._product(e)
        return self._group(e)

    def random(self, e: Expr) -> bool:
        """Whether an expression depends on a latent."""
        return bool(e.free_symbols & self.latents.keys())

    def roots(self, e: Expr) -> frozenset[Root]:
        """What an expression's randomness is made of."""
        symbols = e.free_symbols & self.latents.keys()
        return frozenset().union(*(self.latents[s].roots for s in symbols))

    def affine(self, e: Expr) -> Latent | None:
        """Mean and variance of an affine combination, else None.

        Its latents are independent, or their covariances are known.
        """
        symbols = sorted(e.free_symbols & self.latents.keys(), key=str)
        slopes = self.slopes(e, symbols)
        crossed = None if slopes is None else self._crossed(symbols, slopes)
        if slopes is None or crossed is None:
            return None
        mean = e.xreplace({s: self.latents[s].mean for s in symbols})
        variance = sympy.Add(
            crossed,
            *(c**2 * self.latents[s].variance for s, c in zip(symbols, slopes, strict=True)),
        )
        return Latent(
            sympy.Dummy(real=True), mean, variance, self.roots(e),
            all(self.latents[s].gaussian for s in symbols), e,
        )  # fmt: skip

    def slopes(self, e: Expr, symbols: Iterable[Symbol]) -> list[Expr] | None:
        """∂e/∂u for each latent if e is affine in all of them, elementwise; else None."""
        if not elementwise_in(e, frozenset(self.latents)):
            return None
        found = []
        for s in symbols:
            slope = sympy.expand(sympy.diff(e, s)) if not e.is_Symbol else sympy.Integer(1)
            if self.random(slope):
                return None
            found.append(slope)
        return found

    def _crossed(self, symbols: Sequence[Symbol], slopes: Sequence[Expr]) -> Expr | None:
        """2 Σ cᵢcⱼ Cov(uᵢ, uⱼ) over pairs that are not independent; None if one is not known."""
        total: Expr = sympy.Integer(0)
        for k, s in enumerate(symbols):
            for j in range(k + 1, len(symbols)):
                if self.latents[s].roots & self.latents[symbols[j]].roots:
                    covariance = self._covariance(s, symbols[j])
                    if covariance is None:
                        return None
                    total += 2 * slopes[k] * slopes[j] * covariance
        return total

    def _covariance(self, s: Symbol, t: Symbol) -> Expr | None:
        """Cov(u, v) of two scalars of one factor; None if it is not known."""
        a, b = self.latents[s].coordinate, self.latents[t].coordinate
        if a is not None and b is not None and a[0] == b[0]:
            return cov_entry(self.latents[a[0]].covariance, a[1], b[1])
        return self.links.get(frozenset((s, t)))

    def _independent(self, symbols: Iterable[Symbol]) -> bool:
        seen: set[Root] = set()
        for s in symbols:
            roots = self.latents[s].roots
            if seen & roots:
                return False
            seen |= roots
        return True

    def _product(self, e: Expr) -> Expr:
        """A product: known factors out, then independent groups apart."""
        known = [a for a in e.args if not self.random(a)]
        groups: list[tuple[set[Root], list[Expr]]] = []
        for a in (a for a in e.args if self.random(a)):
            roots, members = set(self.roots(a)), [a]
            apart = []
            for other_roots, other in groups:
                if other_roots & roots:
                    roots |= other_roots
                    members = other + members
                else:
                    apart.append((other_roots, other))
            groups = [*apart, (roots, members)]
        parts = []
        for _, members in groups:
            part = sympy.Mul(*members)
            whole = len(groups) == 1 and part.is_Mul
            parts.append(self._group(part) if whole else self.of(part))
        return sympy.Mul(*known, *parts)

    def _group(self, e: Expr) -> Expr:
        """A function that is no sum, affine map or product of independent parts."""
        closed = self._closed(e) or self._lawful(e) or self._pair(e)
        if closed is not None:
            return closed
        sum_ = expanded(e)
        if sum_.is_Add and len(sum_.args) <= MAX_TERMS:
            before = dict(self.integrals)
            found = self.of(sum_)
            several = len(self.integrals) > len(before) + 1
            return (self._conditioned(e, before) if several else None) or found
        if isinstance(e, sympy.Abs):
            inner = self.affine(e.args[0])
            if inner is not None and inner.gaussian:
                return folded_mean(inner.mean, inner.variance)
        return self._integral(e)

    def _conditioned(self, e: Expr, before: Mapping[Expr, Integral]) -> Expr | None:
        """E[e] as one integral over one latent u of E[e | u], where that has a closed form.

        It replaces the integrals of the single terms, found since `before`, if there is such a u.
        """
        symbols = sorted(e.free_symbols & self.latents.keys(), key=str)
        for u in symbols:
            rest = {s: self.latents[s] for s in symbols if s != u}
            if any(latent.roots & self.latents[u].roots for latent in rest.values()):
                continue
            inner = Expectation(rest, f"{self.prefix}_given", self.span, links=self.links)
            given = inner.of(e)
            if inner.integrals or given.has(sympy.nan) or self._directions(given) is None:
                continue
            self.integrals = dict(before)
            return self._integral(given)
        return None

    def _closed(self, e: Expr) -> Expr | None:
        """E[∏ aⱼ^{kⱼ} exp(b)] for affine a, b: Gaussian moments under the measure tilted by b.

        E[P(u) e^b] = exp(E b + Var b / 2) · E[P(u + Cov(u, b))].
        """
        exponent, factors = sympy.Integer(0), []
        for a in sympy.Mul.make_args(e):
            if isinstance(a, sympy.exp):
                exponent += a.args[0]
                continue
            base, power = a.as_base_exp()
            if not (power.is_Integer and 0 < power <= MAX_POWER):
                return None
            factors.append((base, int(power)))
        tilt: dict[Symbol, Expr] = {}
        scale: Expr = sympy.Integer(1)
        if exponent != 0:
            exponent = sympy.expand(exponent)
            b = self.affine(exponent)
            if b is None or not b.gaussian:
                return None
            symbols = sorted(exponent.free_symbols & self.latents.keys(), key=str)
            slopes = self.slopes(exponent, symbols) or []
            tilt = dict(zip(symbols, slopes, strict=True))
            scale = sympy.exp(b.mean + b.variance / 2)
        moments = []
        seen: set[Root] = set()
        for base, power in factors:
            a = self.affine(base)
            if a is None or seen & a.roots or (power > 1 and a.variance is sympy.nan):
                return None
            if not a.gaussian and (power > 2 or tilt):
                return None
            seen |= a.roots
            mean = a.mean
            if tilt:
                if not self._aligned(base, tilt):
                    return None
                own = sorted(base.free_symbols & tilt.keys(), key=str)
                slopes = self.slopes(base, own) or []
                mean += sympy.Add(
                    *(
                        c * tilt[s] * self.latents[s].variance
                        for s, c in zip(own, slopes, strict=True)
                    )
                )
            moments.append(gaussian_moment(mean, a.variance, power))
        return scale * sympy.Mul(*moments)

    def _pair(self, e: Expr) -> Expr | None:
        """E ab = E a E b + Cov(a, b), with Cov(a, b) = (Var(a + b) − Var(a − b))/4."""
        known = [a for a in e.args if not self.random(a)] if e.is_Mul else []
        random = [a for a in e.args if self.random(a)] if e.is_Mul else []
        if len(random) != 2:
            return None
        a, b = random
        means = self.affine(a), self.affine(b)
        both, apart = self.affine(a + b), self.affine(a - b)
        if None in (*means, both, apart) or sympy.nan in (both.variance, apart.variance):  # type: ignore[union-attr]
            return None
        covariance = sympy.expand(both.variance - apart.variance) / 4  # type: ignore[union-attr]
        return sympy.Mul(*known) * (means[0].mean * means[1].mean + covariance)  # type: ignore[union-attr]

    def _lawful(self, e: Expr) -> Expr | None:
        """A product of functions of one latent each, some of them not Gaussian."""
        if all(self.latents[s].law == "normal" for s in e.free_symbols & self.latents.keys()):
            return None
        found = parts(e, self.latents)
        if found is None or not self._independent(found[1]):
            return None
        known, powers = found
        moments = [moment(self.latents[s], p) for s, p in powers.items()]
        return None if None in moments else known * sympy.Mul(*moments)

    def _aligned(self, base: Expr, tilt: Mapping[Symbol, Expr]) -> bool:
        """Whether base and tilt share latents by the same symbols, not by overlapping roots."""
        for s in base.free_symbols & self.latents.keys():
            for t in tilt:
                if s != t and self.latents[s].roots & self.latents[t].roots:
                    return False
        return True

    def _mvn(self, e: Expr) -> Expr:
        """E log N(x; mean, cov) = log N(E x; E mean, cov) − ½ Σᵢ (cov⁻¹)ᵢᵢ Var(xᵢ − meanᵢ)."""
        x, mean, cov = e.args
        delta = self.affine(x - mean) if not self.random(cov) else None
        spread = (x - mean).free_symbols & self.latents.keys()
        joint = [s for s in spread if self.latents[s].correlated]
        number = joint and (self.slopes(x - mean, joint) or [x])[0].is_number
        if delta is None or not (self._separate(x - mean) or (len(spread) == 1 and number)):
            return self._integral(e)
        level = terms.mvn_log_density(
            x.xreplace({s: self.latents[s].mean for s in spread}),
            mean.xreplace({s: self.latents[s].mean for s in spread}),
            cov,
        )
        if joint:
            slope = (self.slopes(x - mean, joint) or [sympy.nan])[0]
            return level - slope**2 * cov_trace(self.latents[joint[0]].covariance, cov) / 2
        return level - mvn_trace(delta.variance, cov) / 2

    def derive(self, e: Expr) -> Expr:
        """Name linear maps of latents (``W @ z``, ``z[0]``, ``sum(z)``) as latents of their own.

        A sum at the top of the expression stays: it is linear, and `of` goes through it.
        """
        if not self.random(e) or isinstance(e, Symbol):
            return e
        if e.is_Add or isinstance(e, terms.total):
            return e.func(*(self.derive(a) for a in e.args))
        return self._derive_inside(e)

    def _derive_inside(self, e: Expr) -> Expr:
        if not self.random(e) or isinstance(e, Symbol):
            return e
        e = e.func(*(self._derive_inside(a) for a in e.args))
        if not isinstance(e, (terms.matvec, terms.pick, terms.total)):
            return e
        mapped = e.args[-1] if isinstance(e, terms.matvec) else e.args[0]
        other = [a for a in e.args if a is not mapped]
        if any(self.random(a) for a in other):
            return e
        if isinstance(e, terms.pick) and mapped in self.latents:
            picked = self._picked(e, self.latents[mapped])
            if picked is not None:
                return picked
        inner = self.affine(mapped)
        if inner is not None and not self._separate(mapped):
            return self._of_correlated(e, mapped, other, inner)
        if inner is None:
            return e
        if isinstance(e, terms.matvec):
            mean = terms.matvec(other[0], inner.mean)
            variance = terms.matvec(other[0] ** 2, inner.variance)
        else:
            mean = e.func(inner.mean, *other)
            variance = e.func(inner.variance, *other)
        roots = inner.roots
        if isinstance(e, terms.pick) and isinstance(mapped, Symbol):
            roots = _coordinate(inner.roots, e.args[1])
        return self._named(Latent(self._fresh(), mean, variance, roots, True, e))

    def _of_correlated(self, e: Expr, mapped: Expr, other: list[Expr], inner: Latent) -> Expr:
        """A linear map of vectors of which some have correlated coordinates."""
        symbols = sorted(mapped.free_symbols & self.latents.keys(), key=str)
        matrices = [s for s in symbols if self.latents[s].correlated]
        if len(matrices) != 1 or not all(
            (self.latents[s].separate or s in matrices) and self.latents[s].gaussian
            for s in symbols
        ):
            return e
        (whole,) = matrices
        slope = (self.slopes(mapped, [whole]) or [sympy.nan])[0]
        matrix = self.latents[whole].covariance
        rest = inner.variance - slope**2 * self.latents[whole].variance
        coordinate = None
        if isinstance(e, terms.total):
            mean, variance = e.func(inner.mean), cov_form(slope, matrix) + e.func(rest)
        elif isinstance(e, terms.matvec) and slope.is_number:
            mean = terms.matvec(other[0], inner.mean)
            variance = slope**2 * cov_rows(other[0], matrix)
            variance += terms.matvec(other[0] ** 2, rest) if rest != 0 else 0
        elif isinstance(e, terms.pick):
            mean, variance = e.func(inner.mean, *other), e.func(inner.variance, *other)
            if mapped == whole and other[0].is_number:
                coordinate = (whole, int(other[0]))
        else:
            return e
        if isinstance(e, terms.total) and rest == 0:
            variance = cov_form(slope, matrix)
        return self._named(
            Latent(self._fresh(), mean, variance, inner.roots, True, e, coordinate=coordinate)
        )

    def _picked(self, e: Expr, whole: Latent) -> Symbol | None:
        """One coordinate of a vector that is not Gaussian has the same law."""
        k = e.args[1]
        if whole.law == "normal" or not whole.separate:
            return None
        own = (terms.pick(x, k) for x in (whole.mean, whole.variance, whole.alpha, whole.beta))
        mean, variance, alpha, beta = own
        roots = _coordinate(whole.roots, k)
        return self._named(
            Latent(
                self._fresh(), mean, variance, roots, False, e,
                law=whole.law, alpha=alpha, beta=beta,
            )
        )  # fmt: skip

    def _fresh(self) -> Symbol:
        return Symbol(f"_d{self.prefix}{len(self.latents)}", real=True)

    def _named(self, latent: Latent) -> Symbol:
        self.latents[latent.symbol] = latent
        return latent.symbol

    def _separate(self, e: Expr) -> bool:
        """Whether the coordinates of a vector expression are independent and Gaussian."""
        symbols = e.free_symbols & self.latents.keys()
        return all(self.latents[s].separate and self.latents[s].gaussian for s in symbols)

    def _integral(self, e: Expr) -> Expr:
        if e in self.integrals:
            return self.integrals[e].symbol
        count = len(self.integrals)
        symbol = Symbol(f"_q{self.prefix}{count}", real=True)
        directions = self._directions(e)
        if directions is None:
            self.integrals[e] = Integral(symbol, self.elementary(e), (), str(e))
            return symbol
        names = {
            part: Symbol(f"_a{self.prefix}{count}_{k}", real=True)
            for k, (part, _) in enumerate(directions)
        }
        found = tuple(_direction(names[p], latent) for p, latent in directions)
        self.integrals[e] = Integral(symbol, self._abstract(e, names), found, str(e))
        return symbol

    def elementary(self, e: Expr) -> Expr:
        """The expression with derived latents written out in elementary ones."""
        while True:
            derived = {
                s: self.latents[s].original
                for s in e.free_symbols & self.latents.keys()
                if self.latents[s].original is not None
            }
            if not derived:
                return e
            e = e.xreplace(derived)

    def _directions(self, e: Expr) -> list[tuple[Expr, Latent]] | None:
        """Independent affine combinations through which alone e depends on the latents.

        A latent that is not Gaussian is a direction of its own.
        """
        latents = frozenset(self.latents)
        if not elementwise_in(e, latents):
            return None
        parts = list(dict.fromkeys(self._affine_parts(e)))
        singly = sorted(e.free_symbols & self.latents.keys(), key=str)
        for candidate in (parts, singly):
            found = []
            seen: set[Root] = set()
            for part in candidate:
                latent = self.latents[part] if part in self.latents else self.affine(part)
                lawful = part in self.latents and latent is not None and latent.law != "normal"
                if latent is None or not (latent.gaussian or lawful) or seen & latent.roots:
                    break
                seen |= latent.roots
                found.append((part, latent))
            else:
                return found if len(found) <= MAX_DIRECTIONS else None
        return None

    def _affine_parts(self, e: Expr) -> list[Expr]:
        """Maximal affine subexpressions; the affine terms of a sum are one."""
        if not self.random(e):
            return []
        if self.affine(e) is not None:
            return [e]
        if e.is_Add:
            joined, rest = self._split_sum(e)
            inner = [p for a in rest for p in self._affine_parts(a)]
            return [joined, *inner] if joined != 0 else inner
        return [p for a in e.args for p in self._affine_parts(a)]

    def _split_sum(self, e: Expr) -> tuple[Expr, list[Expr]]:
        affine = [a for a in e.args if self.random(a) and self.affine(a) is not None]
        return sympy.Add(*affine), [a for a in e.args if a not in affine]

    def _abstract(self, e: Expr, names: Mapping[Expr, Symbol]) -> Expr:
        """The expression with each of its affine parts replaced by its name."""
        if e in names:
            return names[e]
        if not self.random(e):
            return e
        if e.is_Add:
            joined, rest = self._split_sum(e)
            if joined in names:
                return sympy.Add(names[joined], *(self._abstract(a, names) for a in rest))
        return e.func(*(self._abstract(a, names) for a in e.args))


def _coordinate(roots: frozenset[Root], k: Expr) -> frozenset[Root]:
    """The roots of one coordinate, all of them where it is not a number."""
    return (frozenset(r for r in roots if r[1] == int(k)) if k.is_number else roots) or roots


def _direction(name: Symbol, latent: Latent) -> Direction:
    if latent.law == "normal":
        return Direction(name, "normal", latent.mean, latent.variance)
    return Direction(name, latent.law, latent.alpha, latent.beta)
