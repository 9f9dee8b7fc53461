"""A recorded episode looked at again: each step with what the judge says about it, and how users fared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mirr.env.environment import EpisodeReport
from mirr.env.objectives import OBJECTIVES, breaches
from mirr.env.record import RecordError, Rollout
from mirr.env.recorded import play_back
from mirr.env.reward import REWARDS, Judge, Merit, Outcome
from mirr.env.vocabulary import Action, Breaks, Ends, Event, Fault
from mirr.env.world import Snapshot


@dataclass(frozen=True, kw_only=True)
class Moment:
    """One step of the incident, and how users and services fared in its window."""

    step: int
    begun_s: float  # seconds from the alarm, which is step 0, to the step's action; real seconds on a real lab
    ended_s: float  # the same to the end of its window
    action: Action | None  # None at step 0
    result: str
    merit: Merit
    events: tuple[Event, ...]
    snapshot: Snapshot
    missed: tuple[str, ...]  # a sentence for each objective that the window misses
    open: bool  # whether a fault was there that was not over, when the action was taken


@dataclass(frozen=True, kw_only=True)
class Incident:
    """A whole episode."""

    rollout: Rollout
    report: EpisodeReport
    moments: tuple[Moment, ...]

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The faults in the order in which they begin."""
        return self.rollout.scenario.faults

    @property
    def policy(self) -> str:
        """Who was on call."""
        return str(self.rollout.header["policy"]) or "nobody named"

    def by_merit(self, *merits: Merit) -> list[Moment]:
        """The steps whose action was one of these."""
        return [moment for moment in self.moments if moment.merit in merits]


def incident_of(rollout: Rollout) -> Incident:
    """The incident of a record. Raises RecordError unless the record is whole and plays back."""
    if rollout.end is None:
        raise RecordError(f"{rollout.path} is cut off {rollout.last_seen}: there is no end to write about")
    playback = play_back(rollout)
    if playback.report is None or not playback.same:
        raise RecordError(
            f"{rollout.path} does not play back: {playback.differences[0]}; next: mirr records check {rollout.path}"
        )
    if playback.report.outcome is Outcome.VOID:
        raise RecordError(f"{rollout.path} is void, so it says nothing about an incident: {playback.report.reason}")
    return Incident(rollout=rollout, report=playback.report, moments=tuple(_moments(rollout)))


def _moments(rollout: Rollout) -> Iterator[Moment]:
    """Each step, judged again."""
    scenario, objectives = rollout.scenario, rollout.objectives or OBJECTIVES
    judge, begun = Judge(scenario.faults, rollout.rewards or REWARDS), set[Fault]()
    begun_s = ended_s = 0.0
    for step in rollout.steps:
        events, merit = scenario.at(step.step), Merit.HARMLESS
        still_open = any(fault in begun for fault in judge.unsettled())
        if step.action is not None:
            _, merit = judge.judge_action(step.action, bool(step.accepted))
            begun_s, ended_s = ended_s, ended_s + rollout.config.step_s + step.overrun_s
        for event in events:
            if isinstance(event, Breaks):
                judge.begin(event.fault)
                begun.add(event.fault)
            elif isinstance(event, Ends):
                judge.end(event.fault)
        snapshot = Snapshot(
            features=step.measured, journeys=step.journeys, overrun_s=step.overrun_s, degraded=step.degraded or {}
        )
        yield Moment(
            step=step.step,
            begun_s=begun_s,
            ended_s=ended_s,
            action=step.action,
            result=step.result,
            merit=merit,
            events=events,
            snapshot=snapshot,
            missed=tuple(breaches(snapshot, objectives)),
            open=still_open,
        )
