"""What somebody who relies on the simulator should not rely on, as sentences. The worst comes first."""

from __future__ import annotations

from mirr.bridge.fidelity.compare import Fidelity
from mirr.bridge.fidelity.targets import TARGETS, Measure, Verdict
from mirr.bridge.recording import SIMULATED

CELLS_SHOWN = 10
GAP_OF_A_POLICY = 0.1
FAR = 0.1  # spreads of a metric


def distrusted(fidelity: Fidelity) -> list[str]:
    """A sentence for each thing to distrust; empty if there is none."""
    return [
        *_worlds(fidelity),
        *_outcomes(fidelity),
        *_policies(fidelity),
        *_forms(fidelity),
        *_metrics(fidelity),
        *_cells(fidelity),
        *_unknown(fidelity),
    ]


def _worlds(fidelity: Fidelity) -> list[str]:
    """Whether a simulator stands in the place of the lab. That shows what the comparison can see, and nothing more."""
    if fidelity.lab.world != SIMULATED:
        return []
    return ["what stands here for the lab was recorded on a simulator: nothing was measured on containers"]


def _outcomes(fidelity: Fidelity) -> list[str]:
    found = []
    for deed in fidelity.transitions.different:
        cell = fidelity.transitions.grid[deed]
        lab, sim = (max(counts, key=lambda one: counts[one]) for counts in (cell.reference, cell.other))
        target = f" on the {deed.role}" if deed.role else ""
        found.append(f"{deed.form}: {deed.action}{target} is {lab} on the lab, and {sim} simulated")
    return found


def _policies(fidelity: Fidelity) -> list[str]:
    return [
        f"{point.policy} succeeds in {point.real:.0%} on the lab, and in {point.sim:.0%} simulated"
        for point in sorted(fidelity.policies.points, key=lambda one: -abs(one.real - one.sim))
        if abs(point.real - point.sim) > GAP_OF_A_POLICY
    ]


def _forms(fidelity: Fidelity) -> list[str]:
    limit = TARGETS[Measure.WORST_FORM_RATIO].limit
    assert limit is not None
    return [
        f"{form}: its metrics are {ratio:.1f} times as far off as those of the lab itself"
        for form, ratio in sorted(fidelity.signal.ratio_of.items(), key=lambda one: -one[1])
        if ratio > limit
    ]


def _metrics(fidelity: Fidelity) -> list[str]:
    limit = TARGETS[Measure.AUC].limit
    assert limit is not None
    alone = [(figure.value, feature) for feature, figure in fidelity.signal.auc_of.items() if figure.value is not None]
    return [
        f"{feature} alone tells the worlds apart: AUC {value:.2f}"
        for value, feature in sorted(alone, reverse=True)
        if value > limit
    ]


def _cells(fidelity: Fidelity) -> list[str]:
    """The samples that are far apart, and farther than those of the lab itself."""
    far = [
        (distances.wasserstein, cell, distances.itself)
        for cell, distances in fidelity.signal.cells.items()
        if distances.wasserstein > max(FAR, 2.0 * (distances.itself or 0.0))
    ]
    found = []
    for value, cell, itself in sorted(far, key=lambda one: (-one[0], one[1]))[:CELLS_SHOWN]:
        beside = "" if itself is None else f" ({itself:.2f} of the lab itself)"
        found.append(f"{cell.form}: {cell.metric} of the {cell.role} is {value:.2f} spreads off{beside}")
    return found


def _unknown(fidelity: Fidelity) -> list[str]:
    lacking = [TARGETS[measure].says for measure, verdict in fidelity.verdicts.items() if verdict is Verdict.TOO_FEW]
    return [f"not known, for want of recordings: {', '.join(lacking)}"] if lacking else []
