"""The lifecycle of a fault, from steady state back to it without a trace, judged step by step on any World.

Steady state holds → inject → the objective is lost → each wrong fix leaves it lost → the right fix restores it →
everything is put back → steady state again, and nothing is left behind. Time is counted in steps, so that the
simulator and the lab are held to the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from mirr.env.objectives import breaches, service_breaches
from mirr.env.scenario import streams
from mirr.env.vocabulary import (
    CALLS,
    REMEDY,
    Action,
    Fault,
    Fix,
    Restart,
    Rollback,
    ScaleUp,
    Service,
    Wait,
    action_text,
)
from mirr.env.world import ActionResult, Snapshot, World, WorldError
from mirr.lab.footprint import Footprint, differences

KINDS_OF_FIX: tuple[type[Restart] | type[Rollback] | type[ScaleUp], ...] = (Restart, Rollback, ScaleUp)


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How much time each part of a lifecycle has. The defaults are what the lab is held to."""

    step_s: float = 2.0
    steps_to_be_steady: int = 5  # a machine that is short of breath for a moment makes no row red
    steps_to_lose: int = 3
    steps_to_restore: int = 4  # from the right fix to the beginning of good steps that last
    good_steps: int = 2  # running: what counts as restored, as in an episode
    # A wrong fix that the world accepted is given as long as the right one has: a restart is back by then, so what
    # is still lost is not lost for the restart's own outage. One that the world refused has started nothing.
    steps_for_a_wrong_fix: int = 4
    steps_for_a_refused_fix: int = 1


@dataclass(frozen=True, kw_only=True)
class WrongFix:
    """What became of an action that must not help."""

    action: Action
    result: str  # as the world said
    lost: bool  # the objective, still, after the action had the time to act
    symptoms: tuple[str, ...]  # by which it is

    def to_json(self) -> dict[str, Any]:
        """As `mirr lifecycle --json` prints it."""
        return {
            "action": action_text(self.action),
            "result": self.result,
            "lost": self.lost,
            "symptoms": list(self.symptoms),
        }


@dataclass(kw_only=True)
class Row:
    """One fault's lifecycle. Filled in as it goes, so that one that fails half-way says how far it came."""

    fault: Fault
    steady: bool = False
    lost_after_s: float | None = None
    wrong_fixes: list[WrongFix] = field(default_factory=list)
    restored_after_s: float | None = None
    residue: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    void: bool = False  # the world failed underneath
    seconds: float = 0.0  # of real time

    @property
    def green(self) -> bool:
        """Whether everything held."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """One element of `rows` of `mirr lifecycle --json`."""
        return {
            "mode": self.fault.mode.value,
            "service": self.fault.service.value,
            "steady": self.steady,
            "lost_after_s": self.lost_after_s,
            "wrong_fixes": [fix.to_json() for fix in self.wrong_fixes],
            "restored_after_s": self.restored_after_s,
            "residue": self.residue,
            "green": self.green,
            "reason": "; ".join(self.problems),
            "seconds": round(self.seconds, 1),
        }


def another_service(culprit: Service) -> Service:
    """Where a person would try the right action wrongly: the first service that calls the culprit, for it shows the
    same errors; for the gateway, which nobody calls, the first that it calls."""
    callers = [caller for caller in Service if culprit in CALLS[caller]]
    return callers[0] if callers else CALLS[culprit][0]


def wrong_fixes(fault: Fault) -> tuple[Fix, ...]:
    """The right action on another service, then the other actions on the culprit."""
    remedy = REMEDY[fault.mode]
    others = (kind(fault.service) for kind in KINDS_OF_FIX if kind is not remedy)
    return (remedy(another_service(fault.service)), *others)


def symptoms(snapshot: Snapshot, culprit: Service) -> list[str]:
    """In words, how the culprit misses its objectives as measured. Neither that another release runs counts, which
    hurts nobody by itself, nor what its neighbours or the users miss, which may be a wrong fix's own doing."""
    return service_breaches(replace(snapshot, degraded={}), culprit)


class Lifecycle:
    """Plays lifecycles in one world. `footprint` tells what the world is made of; one that is made of nothing, as
    the simulated one, leaves nothing behind."""

    def __init__(
        self,
        world: World,
        *,
        footprint: Callable[[], Footprint],
        pace: Pace | None = None,
        seed: int = 0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._world = world
        self._footprint = footprint
        self._pace = pace or Pace()
        self._seed = seed
        self._now = now

    def rows(self, faults: Iterable[Fault]) -> Iterator[Row]:
        """A row for each fault, as it ends. A world that fails makes its row red, and the next one begins."""
        for fault in faults:
            yield self.row(fault)

    def row(self, fault: Fault) -> Row:
        """One fault's lifecycle."""
        row = Row(fault=fault)
        began = self._now()
        key = streams(self._seed).world
        try:
            self._world.restore(key)
            before = self._footprint()
            try:
                self._break_and_mend(row)
            finally:
                self._put_back(row, before, key)
        except WorldError as error:
            row.void = True
            row.problems.append(f"the world failed: {error}")
        row.seconds = self._now() - began
        return row

    def _break_and_mend(self, row: Row) -> None:
        """Up to the right fix; ends early where what follows would say nothing."""
        missed = self._missed_at_steady_state()
        row.steady = not missed
        if missed:
            row.problems.append(f"no steady state to begin with: {'; '.join(missed)}")
            return
        self._world.inject(row.fault)
        row.lost_after_s = self._until_lost(row.fault.service)
        if row.lost_after_s is None:
            row.problems.append(
                f"{row.fault.service} still meets its objectives {self._seconds(self._pace.steps_to_lose)} "
                f"after {row.fault} was injected"
            )
            return
        for fix in wrong_fixes(row.fault):
            tried = self._try_wrong(fix, row.fault.service)
            row.wrong_fixes.append(tried)
            if not tried.lost:
                row.problems.append(f"{action_text(fix)} helped against {row.fault}, and must not")
                return
        self._mend(row)

    def _until_lost(self, culprit: Service) -> float | None:
        for steps in range(1, self._pace.steps_to_lose + 1):
            if symptoms(self._step(Wait())[1], culprit):
                return steps * self._pace.step_s
        return None

    def _try_wrong(self, fix: Fix, culprit: Service) -> WrongFix:
        """Lost is what is lost at the end, with no recovery in between that an episode would have called one."""
        pace = self._pace
        result, snapshot = self._step(fix)
        snapshots = [snapshot]
        while len(snapshots) < (pace.steps_for_a_wrong_fix if result.accepted else pace.steps_for_a_refused_fix):
            snapshots.append(self._step(Wait())[1])
        found = symptoms(snapshots[-1], culprit)
        recovered = self._first_good([not breaches(one) for one in snapshots]) is not None
        return WrongFix(action=fix, result=result.text, lost=bool(found) and not recovered, symptoms=tuple(found))

    def _mend(self, row: Row) -> None:
        pace = self._pace
        remedy = REMEDY[row.fault.mode](row.fault.service)
        result, snapshot = self._step(remedy)
        if not result.accepted:
            row.problems.append(f"{action_text(remedy)} was refused: {result.text}")
            return
        missed = [breaches(snapshot)]
        while (first := self._first_good([not one for one in missed])) is None:
            if len(missed) == pace.steps_to_restore + pace.good_steps:
                break
            missed.append(breaches(self._step(Wait())[1]))
        if first is not None:
            row.restored_after_s = first * pace.step_s
            return
        last = next(one for one in reversed(missed) if one)
        row.problems.append(
            f"not restored {self._seconds(pace.steps_to_restore)} after {action_text(remedy)}: {'; '.join(last)}"
        )

    def _put_back(self, row: Row, before: Footprint, key: int) -> None:
        self._world.restore(key)
        missed = self._missed_at_steady_state()
        if missed:
            row.problems.append(f"no steady state after everything was put back: {'; '.join(missed)}")
        row.residue = differences(before, self._footprint())
        if row.residue:
            row.problems.append(f"left behind: {'; '.join(row.residue)}")

    def _missed_at_steady_state(self) -> list[str]:
        """Which objectives are missed by every step of those that steady state may take; empty at the first good
        one."""
        missed: list[str] = []
        for _ in range(self._pace.steps_to_be_steady):
            missed = breaches(self._step(Wait())[1])
            if not missed:
                break
        return missed

    def _step(self, action: Action) -> tuple[ActionResult, Snapshot]:
        result = self._world.apply(action)
        self._world.advance(self._pace.step_s)
        return result, self._world.observe()

    def _first_good(self, good: list[bool]) -> int | None:
        """How many steps passed before the first of as many good ones running as a recovery takes."""
        run = self._pace.good_steps
        return next((first for first in range(len(good) - run + 1) if all(good[first : first + run])), None)

    def _seconds(self, steps: int) -> str:
        return f"{steps * self._pace.step_s:g} s"
