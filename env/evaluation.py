"""Statistics of many episodes of a policy, and the gap between two worlds on the same episodes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from mirr.env.reward import Outcome
from mirr.env.rollout import EpisodeResult
from mirr.env.vocabulary import FaultMode

Z_95 = 1.959963984540054  # two-sided 95% of the normal distribution

NO_FAULT = "none"  # the alarm was false

Statistics = dict[str, object]


def wilson_interval(successes: int, trials: int, z: float = Z_95) -> tuple[float, float] | None:
    """Wilson's score interval of a rate; None without trials."""
    if trials == 0:
        return None
    rate = successes / trials
    denominator = 1.0 + z * z / trials
    centre = (rate + z * z / (2.0 * trials)) / denominator
    half = z * math.sqrt(rate * (1.0 - rate) / trials + z * z / (4.0 * trials * trials)) / denominator
    return max(0.0, centre - half), min(1.0, centre + half)


def _mean(values: Iterable[float | None]) -> float | None:
    """Mean of the values that are not None; None if there are none."""
    defined = [value for value in values if value is not None]
    return round(math.fsum(defined) / len(defined), 6) if defined else None


def _interval(each: Sequence[bool]) -> list[float] | None:
    """Wilson's interval of the share of those that are true, as it is printed."""
    interval = wilson_interval(sum(each), len(each))
    return None if interval is None else [round(bound, 6) for bound in interval]


def statistics(results: Sequence[EpisodeResult]) -> Statistics:
    """The statistics of `results`. None of them may be void."""
    reports = [result.report for result in results]
    resolved = [report.outcome is Outcome.RESOLVED for report in reports]
    clean = [report.clean for report in reports]
    return {
        "episodes": len(reports),
        "success_rate": _mean(resolved),
        "success_interval": _interval(resolved),
        "clean_rate": _mean(clean),
        "clean_interval": _interval(clean),
        "diagnosis_accuracy": _mean(float(report.diagnosis_correct) for report in reports),
        "mean_reward": _mean(report.total_reward for report in reports),
        "mean_steps": _mean(report.steps for report in reports),
        "mean_time_to_mitigate_s": _mean(report.time_to_mitigate_s for report in reports),
        "mean_steps_to_mitigate": _mean(report.steps_to_mitigate for report in reports),
        "mean_failed_requests": _mean(report.harm.failed_requests for report in reports),
    }


def valid(results: Iterable[EpisodeResult]) -> list[EpisodeResult]:
    """The results that are not void. Only these say something about a policy."""
    return [result for result in results if result.report.outcome is not Outcome.VOID]


def lost_every_step(results: Iterable[EpisodeResult]) -> bool:
    """Whether the agent has not acted once. Then the results are those of `wait`, and say nothing about the agent."""
    stepped = [result for result in valid(results) if result.report.steps]
    return bool(stepped) and all(len(result.lost_steps) == result.report.steps for result in stepped)


def _kind(result: EpisodeResult) -> str:
    """The mode of the first fault."""
    faults = result.report.scenario.faults
    return str(faults[0].mode) if faults else NO_FAULT


def _tier(results: Sequence[EpisodeResult]) -> str | None:
    """The tier of all results; None if they have none, or not the same one."""
    tiers = {result.report.scenario.tier for result in results}
    return tiers.pop() if len(tiers) == 1 else None


def evaluation(world: str, policy: str, results: Sequence[EpisodeResult]) -> dict[str, object]:
    """The fields of `mirr evaluate --json`. `lost_steps` is left out if there are none."""
    counted = valid(results)
    lost = sum(len(result.lost_steps) for result in results)
    about_the_agent: dict[str, object] = {"lost_steps": lost} if lost else {}
    by_mode = {
        kind: statistics(of_kind)
        for kind in (*map(str, FaultMode), NO_FAULT)
        if (of_kind := [result for result in counted if _kind(result) == kind])
    }
    return {
        "world": world,
        "policy": policy,
        "tier": _tier(results),
        "episodes": len(results),
        "void": len(results) - len(counted),
        "overall": statistics(counted),
        "by_mode": by_mode,
    } | about_the_agent


def comparison(policy: str, sim: Sequence[EpisodeResult], docker: Sequence[EpisodeResult]) -> dict[str, object]:
    """One policy in both worlds, on the seeds that both finished: `sim`, `docker` and `gap` = docker - sim."""
    shared = {result.seed for result in valid(sim)} & {result.seed for result in valid(docker)}
    sides: dict[str, dict[str, object]] = {}
    for world, results in (("sim", sim), ("docker", docker)):
        paired = [result for result in valid(results) if result.seed in shared]
        side = evaluation(world, policy, paired)
        side["episodes"] = len(results)
        side["void"] = len(results) - len(valid(results))
        sides[world] = side
    gap: dict[str, object] = {
        "pairs": len(shared),
        "overall": _gap(sides["sim"]["overall"], sides["docker"]["overall"]),
        "by_mode": _gap(sides["sim"]["by_mode"], sides["docker"]["by_mode"]),
    }
    return {**sides, "gap": gap}


def _gap(sim: object, docker: object) -> object:
    """docker - sim for each number that both have."""
    if isinstance(sim, dict) and isinstance(docker, dict):
        pairs = {name: _gap(sim[name], docker[name]) for name in sim if name in docker and name != "episodes"}
        return {name: value for name, value in pairs.items() if name not in ("success_interval", "clean_interval")}
    if isinstance(sim, int | float) and isinstance(docker, int | float):
        return round(docker - sim, 6)
    return None
