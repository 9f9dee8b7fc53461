"""An episode as a person watches it: the table and the action of each step, and how it ended."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mirr.env.environment import EpisodeReport, Observation
from mirr.env.objectives import FEATURE_COLUMN, OBJECTIVES
from mirr.env.rendering import COLUMNS, cell, log_text, printable
from mirr.env.reward import Outcome
from mirr.env.rollout import EpisodeResult, Move
from mirr.env.scenario import Scenario
from mirr.env.vocabulary import (
    Breaks,
    Bursts,
    Deploys,
    Diagnose,
    DiagnoseNone,
    Diagnosis,
    Ends,
    Feature,
    Service,
    TrafficChanges,
    action_text,
)
from mirr.env.world import Level

LOG_LINES_SHOWN = 6
LEVEL_COLOURS = {Level.INFO: "dim", Level.WARNING: "yellow", Level.ERROR: "red"}
OUTCOME_COLOURS = {
    Outcome.RESOLVED: "bold green",
    Outcome.COLLAPSED: "bold red",
    Outcome.EXHAUSTED: "bold yellow",
    Outcome.VOID: "bold magenta",
}

# Above the first value a cell is shown as a warning. Above the second it misses its objective.
_LIMITS: dict[Feature, tuple[float, float]] = {
    Feature.ERROR_RATIO: (0.5 * OBJECTIVES.error_ratio, OBJECTIVES.error_ratio),
    Feature.LATENCY_P95_S: (0.5 * OBJECTIVES.latency_p95_s, OBJECTIVES.latency_p95_s),
    Feature.CPU_SHARE: (0.6, 0.85),
    Feature.MEMORY_SHARE: (0.75 * OBJECTIVES.memory_share, OBJECTIVES.memory_share),
    Feature.IN_FLIGHT: (8.0, 20.0),
}


class Watcher:
    """Prints an episode as it is played. The output has no colours if it does not go to a terminal."""

    def __init__(
        self, *, pace_s: float, console: Console | None = None, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._console = console or Console(highlight=False)
        self._pace_s = pace_s
        self._sleep = sleep

    def opening(self, world: str, policy: str, seed: int) -> None:
        """Print who plays and where."""
        where = "the real containers" if world == "docker" else "the simulator"
        self._console.print(f"[bold]Five services run on {where}[/]; {policy} plays, seed {seed}.\n")

    def step(self, observation: Observation, move: Move | None) -> None:
        """Print the action, and what the metrics show after it."""
        if move is None:
            self._console.print("[bold]An alarm has gone off.[/] This is what Prometheus shows:")
        else:
            colour = "green" if move.reward > 0 else "red" if move.reward < 0 else "dim"
            self._console.print(
                f"\n[bold cyan]step {observation.step}: {action_text(move.action)}[/]  {escape(printable(move.result))}"
                f"  [{colour}]reward {move.reward:+.1f}[/]",
                soft_wrap=True,
            )
        self._print_logs(observation)
        self._console.print(_table(observation))
        if self._pace_s > 0:
            self._sleep(self._pace_s)

    def _print_logs(self, observation: Observation) -> None:
        # Warnings and errors first. The latest of the other lines fill the rest.
        ranked = sorted(observation.logs, key=lambda line: (line.level is Level.INFO, line.age_s))
        started = [line for line in ranked if line.event == "started"]
        shown = (started + [line for line in ranked if line not in started])[:LOG_LINES_SHOWN]
        for line in sorted(shown, key=lambda each: -each.age_s):
            self._console.print(f"  [{LEVEL_COLOURS[line.level]}]{escape(log_text(line))}[/]", soft_wrap=True)

    def ending(self, result: EpisodeResult) -> None:
        """Print the outcome and what really happened."""
        report = result.report
        self._console.print(
            f"\n[{OUTCOME_COLOURS[report.outcome]}]{report.outcome}[/]: {escape(printable(report.reason))}"
        )
        self._console.print(escape(report_text(result)))


def report_text(result: EpisodeResult) -> str:
    """The facts of an episode, one fact on each line."""
    report = result.report
    diagnosis = report.diagnosis
    diagnosed = _diagnosis_text(diagnosis)
    verdict = "" if diagnosis is None else (" (correct)" if report.diagnosis_correct else " (does not count)")
    when = _after(report.time_to_diagnose_s, report.steps_to_diagnose)
    diagnosed_at = f"  diagnosed   {when}\n" if when else ""
    lost = f"\n  lost        {len(result.lost_steps)} steps of the agent" if result.lost_steps else ""
    mitigated = _after(report.time_to_mitigate_s, report.steps_to_mitigate) or "never"
    return (
        f"  fault       {faults_text(report.scenario)}\n"
        f"  diagnosis   {diagnosed}{verdict}\n"
        f"{diagnosed_at}"
        f"  mitigated   {mitigated}\n"
        f"  clean       {_clean_text(report)}\n"
        f"  reward      {report.total_reward:.1f} in {report.steps} steps\n"
        f"  harm        {report.harm.failed_requests} failed user requests, "
        f"{report.harm.objective_lost_s:.0f} s outside objectives, {report.harm.needless_actions} needless actions"
        f"{lost}"
    )


def _clean_text(report: EpisodeReport) -> str:
    """Whether the episode was clean, or else the first reason why not."""
    if report.clean:
        return "yes"
    if report.outcome is not Outcome.RESOLVED:
        return "no: it was not resolved"
    if not report.diagnosis_correct:
        return "no: it was not diagnosed before the fix"
    return f"no: {report.wrong_fixes} wrong {'fix' if report.wrong_fixes == 1 else 'fixes'}"


def _after(seconds: float | None, steps: int | None) -> str:
    """When it happened, in real seconds and in steps; empty if it never did."""
    if seconds is None or steps is None:
        return ""
    return f"after {seconds:.0f} s, {steps} {'step' if steps == 1 else 'steps'}"


def _diagnosis_text(diagnosis: Diagnosis | None) -> str:
    match diagnosis:
        case None:
            return "never made"
        case Diagnose(service, mode):
            return f"{mode}:{service}"
        case DiagnoseNone():
            return "nothing is broken"


def faults_text(scenario: Scenario) -> str:
    """What happened, as in `bad_deploy:inventory, crashed:payments at step 8`."""
    events = []
    for entry in scenario.timeline:
        when = f" at step {entry.step}" if entry.step else ""
        match entry.event:
            case Breaks(fault):
                events.append(f"{fault}{when}")
            case Ends(fault):
                events.append(f"{fault} ends by itself{when}")
            case Deploys(service):
                events.append(f"harmless deploy of {service}{when}")
            case TrafficChanges(first, last, over_s):
                events.append(f"traffic {first:.2f} to {last:.2f} times the usual over {over_s:g} s{when}")
            case Bursts(service, _, for_s):
                events.append(f"harmless burst on {service} for {for_s:g} s{when}")
    return ", ".join(events) if scenario.faults else ", ".join(["none", *events])


def trajectory_text(result: EpisodeResult) -> str:
    """A finished episode as text: every action, then the facts."""
    lines = [f"{result.policy} in {result.world}, seed {result.seed}"]
    lost = {each.step: f" (step lost: {printable(each.why)})" for each in result.lost_steps}
    for number, move in enumerate(result.trajectory, start=1):
        text = printable(move.result) + lost.get(number, "")
        lines.append(f"{number:4d}  {action_text(move.action):<32} {move.reward:+6.1f}  {text}")
    report = result.report
    return "\n".join([*lines, f"{report.outcome}: {printable(report.reason)}", report_text(result)])


def _table(observation: Observation) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("service")
    for heading, _, _ in COLUMNS.values():
        table.add_column(heading, justify="right")
    for row, service in zip(observation.features.tolist(), Service, strict=True):
        table.add_row(str(service), *(_coloured(feature, row[FEATURE_COLUMN[feature]]) for feature in COLUMNS))
    return table


def _coloured(feature: Feature, value: float) -> str:
    text = cell(feature, value)
    if feature is Feature.UP:
        return f"[green]{text}[/]" if value >= 1.0 else f"[bold red]{text}[/]"
    look, out = _LIMITS.get(feature, (float("inf"), float("inf")))
    if value != value:
        return f"[dim]{text}[/]"
    return f"[bold red]{text}[/]" if value > out else f"[yellow]{text}[/]" if value > look else text
