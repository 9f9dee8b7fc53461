"""The table of targets: verdicts, and what the documentation says about them."""

from __future__ import annotations

import pytest

from mirr.bridge.fidelity.figure import Figure
from mirr.bridge.fidelity.targets import TARGETS, Measure, Verdict, verdicts
from tests.paths import ROOT


@pytest.mark.parametrize(
    ("measure", "value", "verdict"),
    [
        (Measure.WASSERSTEIN, 0.015, Verdict.MET),
        (Measure.WASSERSTEIN, 0.0151, Verdict.MISSED),
        (Measure.KAPPA, 0.85, Verdict.MET),
        (Measure.KAPPA, 0.84, Verdict.MISSED),
        (Measure.DIFFERENT_CELLS, 0.0, Verdict.MET),
        (Measure.DIFFERENT_CELLS, 1.0, Verdict.MISSED),
        (Measure.KOLMOGOROV_SMIRNOV, 1.0, Verdict.NO_TARGET),
        (Measure.REGRET, None, Verdict.TOO_FEW),
    ],
)
def test_a_verdict_compares_the_figure_with_its_limit(measure: Measure, value: float | None, verdict: Verdict) -> None:
    assert TARGETS[measure].verdict(Figure(value=value)) is verdict


def test_every_measure_has_a_row_and_a_missing_figure_has_too_few_recordings() -> None:
    assert set(TARGETS) == set(Measure)
    assert set(verdicts({}).values()) == {Verdict.TOO_FEW}


def test_the_documentation_has_the_same_table() -> None:
    text = (ROOT / "docs" / "fidelity.md").read_text(encoding="utf-8")
    for target in TARGETS.values():
        assert f"| {target.level} | {target.says} | {target.text() or '-'} |" in text
