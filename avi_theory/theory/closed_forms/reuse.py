"""Linear-Gaussian models in reuse: one f for all data sets, without q(θ), θ from its prior."""

from __future__ import annotations

from avi_theory.results.prediction import Kind
from avi_theory.theory.closed_forms.averaged import TooLarge
from avi_theory.theory.closed_forms.population import averaged, describe
from avi_theory.theory.design import clean
from avi_theory.theory.gaussian import Joint
from avi_theory.theory.limits import gap_limit
from avi_theory.theory.moments import Improper, draws_from_prior
from avi_theory.theory.question import Answer, Question
from avi_theory.theory.team import DENSE

REFERENCE = "static team problem over θ's prior, Radner (1962), theorem 4"


class GaussianReuse:
    """The static team optimum over θ's prior, q(θ) free on each data set."""

    def accepts(self, question: Question) -> str:
        """The reuse regime of a jointly Gaussian model."""
        if question.regime != "reuse":
            return "it is not asked about reuse"
        return question.joint if isinstance(question.joint, str) else ""

    def apply(self, question: Question) -> Answer:
        """Solve the team problem in which q(θ) sees all data and f only its inputs."""
        assert isinstance(question.joint, Joint)
        try:
            draws = draws_from_prior(question.joint)
            average = averaged(question, draws)
            gap = average.gap(None)
        except Improper as e:
            words = f"{e}. Give it a proper prior, or ask for the population at a set value."
            return Answer(None, "none", (words,), REFERENCE)
        except TooLarge:
            words = f"More than {DENSE} functions share globals; ask for a smaller size."
            return Answer(None, "none", (words,), REFERENCE)
        total = clean(gap + average.scales, draws.locals)
        limited = question.function.degree in {0, 1}
        single = len(average.design.classes) == average.design.classes.max() + 1
        sure = limited or single or average.same_law()
        kind: Kind = "exact" if sure or total == 0.0 else "upper"
        words = "f does not see q(θ), which is free on each data set; θ is averaged over its prior."
        limit = gap_limit(question, draws.theta_mean, draws.theta)
        said = (words, *describe(question, kind), *limit.remarks)
        return Answer(total, kind, said, REFERENCE, limit.value, latex=limit.latex)
