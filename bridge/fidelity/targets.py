"""What is measured and what it should reach: the one table of targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from mirr.bridge.fidelity.figure import Figure


class Level(StrEnum):
    """What is compared: numbers, what comes of actions, or how policies do."""

    SIGNAL = "signal"
    TRANSITION = "transition"
    POLICY = "policy"


class Measure(StrEnum):
    """One figure of the comparison."""

    WASSERSTEIN = "wasserstein"
    WASSERSTEIN_RATIO = "wasserstein_ratio"
    WORST_FORM_RATIO = "worst_form_ratio"
    KOLMOGOROV_SMIRNOV = "kolmogorov_smirnov"
    TRACK_RMSE = "track_rmse"
    ONSET_ERROR_STEPS = "onset_error_steps"
    RECOVERY_ERROR_STEPS = "recovery_error_steps"
    AUC = "auc"
    MISSING_GAP = "missing_gap"
    KAPPA = "kappa"
    KAPPA_LOW = "kappa_low"
    SIGN_AGREEMENT = "sign_agreement"
    DIFFERENT_CELLS = "different_cells"
    PEARSON = "pearson"
    SPEARMAN = "spearman"
    RANK_VIOLATION = "rank_violation"
    REGRET = "regret"
    MEAN_GAP = "mean_gap"
    EQUIVALENCE_P = "equivalence_p"


class Bound(StrEnum):
    """On which side of its limit a figure should be."""

    AT_MOST = "at most"
    AT_LEAST = "at least"


class Verdict(StrEnum):
    """Whether a target is met."""

    MET = "met"
    MISSED = "missed"
    TOO_FEW = "too few recordings"
    NO_TARGET = "no target"


@dataclass(frozen=True, kw_only=True)
class Target:
    """What a measure says, and what it should reach."""

    level: Level
    says: str
    bound: Bound = Bound.AT_MOST
    limit: float | None = None  # None: it is only reported

    def text(self) -> str:
        """As in `at most 0.75`."""
        return "" if self.limit is None else f"{self.bound} {self.limit:g}"

    def verdict(self, figure: Figure) -> Verdict:
        """Whether the figure itself is on the right side. Its interval says how sure that is."""
        if figure.value is None:
            return Verdict.TOO_FEW
        if self.limit is None:
            return Verdict.NO_TARGET
        within = figure.value <= self.limit if self.bound is Bound.AT_MOST else figure.value >= self.limit
        return Verdict.MET if within else Verdict.MISSED


EQUIVALENCE_MARGIN = 0.10

TARGETS: dict[Measure, Target] = {
    Measure.WASSERSTEIN: Target(level=Level.SIGNAL, says="Wasserstein-1, in spreads of a metric", limit=0.015),
    Measure.WASSERSTEIN_RATIO: Target(level=Level.SIGNAL, says="the same / that of the lab itself", limit=1.5),
    Measure.WORST_FORM_RATIO: Target(level=Level.SIGNAL, says="the same ratio, of the worst form alone", limit=3.0),
    Measure.KOLMOGOROV_SMIRNOV: Target(level=Level.SIGNAL, says="Kolmogorov-Smirnov"),
    Measure.TRACK_RMSE: Target(level=Level.SIGNAL, says="RMSE of mean courses from the onset on"),
    Measure.ONSET_ERROR_STEPS: Target(level=Level.SIGNAL, says="error of the onset, median steps", limit=1.0),
    Measure.RECOVERY_ERROR_STEPS: Target(level=Level.SIGNAL, says="error of the recovery, median steps", limit=1.0),
    Measure.AUC: Target(level=Level.SIGNAL, says="AUC of a classifier of the worlds", limit=0.75),
    Measure.MISSING_GAP: Target(level=Level.SIGNAL, says="gap in the share of missing values"),
    Measure.KAPPA: Target(level=Level.TRANSITION, says="Cohen's kappa of outcomes", bound=Bound.AT_LEAST, limit=0.85),
    Measure.KAPPA_LOW: Target(
        level=Level.TRANSITION, says="the lower end of its interval", bound=Bound.AT_LEAST, limit=0.75
    ),
    Measure.SIGN_AGREEMENT: Target(
        level=Level.TRANSITION, says="actions with the same sign", bound=Bound.AT_LEAST, limit=0.97
    ),
    Measure.DIFFERENT_CELLS: Target(level=Level.TRANSITION, says="cells with another usual outcome", limit=0.0),
    Measure.PEARSON: Target(level=Level.POLICY, says="Pearson of success", bound=Bound.AT_LEAST, limit=0.95),
    Measure.SPEARMAN: Target(level=Level.POLICY, says="Spearman of success", bound=Bound.AT_LEAST, limit=0.90),
    Measure.RANK_VIOLATION: Target(level=Level.POLICY, says="mean maximum rank violation", limit=0.04),
    Measure.REGRET: Target(level=Level.POLICY, says="regret of choosing by the simulator", limit=0.02),
    Measure.MEAN_GAP: Target(level=Level.POLICY, says="mean gap of success", limit=0.06),
    Measure.EQUIVALENCE_P: Target(
        level=Level.POLICY, says=f"p that the gap is not within ±{EQUIVALENCE_MARGIN:.2f}", limit=0.05
    ),
}
"""Every measure, in the order of the report."""


def verdicts(figures: Mapping[Measure, Figure]) -> dict[Measure, Verdict]:
    """The verdict on each measure. One that has no figure has too few recordings."""
    return {measure: target.verdict(figures.get(measure, Figure(value=None))) for measure, target in TARGETS.items()}
