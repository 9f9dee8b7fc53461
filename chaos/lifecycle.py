"""The lifecycle of a fault, judged step by step on any World. Every form of every fault must pass it.

Steady state holds → inject → an objective is lost → each wrong fix leaves it lost → the right fix restores it →
everything is reverted → steady state again, and nothing is left behind. Time is counted in steps, so the rules for the
simulator and for the lab are the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from mirr.chaos.faults import form_of
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
    """How much time each part of a lifecycle has. The defaults are for the lab."""

    step_s: float = 2.0
    steps_to_be_steady: int = 5  # a machine that is busy for a moment does not make a row red
    steps_to_lose: int = 5  # memory that fills by 4% of its limit a second may take 10 s to miss its objective
    # From the right fix to the first of the good steps. A slow or busy machine drains the queue of an overload slowly.
    steps_to_restore: int = 10
    good_steps: int = 2  # so many good steps in a row are a recovery, as in an episode
    # A wrong fix that the world accepted gets as much time as the right one. A restart is over by then, so its own
    # outage is not counted. A fix that the world refused has started nothing.
    steps_for_a_wrong_fix: int = 4
    steps_for_a_refused_fix: int = 1


@dataclass(frozen=True, kw_only=True)
class WrongFix:
    """What an action did that must not help."""

    action: Action
    result: str  # as the world said
    lost: bool  # whether the objective is still lost, after the action had time to work
    symptoms: tuple[str, ...]  # the objectives that the culprit misses

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
    """One fault's lifecycle. It is filled step by step, so a lifecycle that fails shows how far it came."""

    fault: Fault
    steady: bool = False
    lost_after_s: float | None = None
    wrong_fixes: list[WrongFix] = field(default_factory=list)
    restored_after_s: float | None = None
    residue: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    void: bool = False  # the world failed
    seconds: float = 0.0  # of real time

    @property
    def green(self) -> bool:
        """Whether everything held."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """One element of `rows` of `mirr lifecycle --json`."""
        return {
            "mode": self.fault.mode.value,
            **({"form": self.fault.form} if self.fault.form else {}),
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
    """The service on which a person would wrongly try the right action: the first that calls the culprit.

    It shows the same errors. Nobody calls the gateway, so there it is the first service that the gateway calls."""
    callers = [caller for caller in Service if culprit in CALLS[caller]]
    return callers[0] if callers else CALLS[culprit][0]


def wrong_fixes(fault: Fault) -> tuple[Fix, ...]:
    """The right action on another service, then the other actions on the culprit."""
    remedy = REMEDY[fault.mode]
    others = (kind(fault.service) for kind in KINDS_OF_FIX if kind is not remedy)
    return (remedy(another_service(fault.service)), *others)


def symptoms(snapshot: Snapshot, culprit: Service) -> list[str]:
    """The objectives that the culprit misses as measured, as texts.

    Another release does not count, because that alone hurts nobody. Objectives that its neighbours or the users miss
    do not count either, because a wrong fix may be the cause."""
    return service_breaches(replace(snapshot, degraded={}), culprit)


class Lifecycle:
    """Plays lifecycles in one world. `footprint` reads what the world is made of: for the simulated one, nothing."""

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
        self._left_by_the_last_row: Footprint | None = None  # what the world is made of, if that row left it steady

    def rows(self, faults: Iterable[Fault]) -> Iterator[Row]:
        """Yields a row for each fault when it is done. If the world fails, the row is red, and the next one begins."""
        for fault in faults:
            yield self.row(fault)

    def row(self, fault: Fault) -> Row:
        """One fault's lifecycle."""
        row = Row(fault=fault)
        began = self._now()
        key = streams(self._seed).world
        before, self._left_by_the_last_row = self._left_by_the_last_row, None
        try:
            # A row ends with a restore and a look at steady state. The next row need not do both again.
            if before is None:
                self._world.restore(key)
                before = self._footprint()
                row.problems += self._not_steady("to begin with")
            row.steady = not row.problems
            try:
                self._break_and_fix(row)
            finally:
                self._restore(row, before, key)
        except WorldError as error:
            row.void = True
            row.problems.append(f"the world failed: {error}")
        row.seconds = self._now() - began
        return row

    def _break_and_fix(self, row: Row) -> None:
        """Play up to the right fix. Stop early if the rest would show nothing."""
        if not row.steady:
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
            tried = self._try_wrong(fix, row.fault)
            row.wrong_fixes.append(tried)
            if not tried.lost:
                row.problems.append(f"{action_text(fix)} helped against {row.fault}, and must not")
                return
        self._fix(row)

    def _until_lost(self, culprit: Service) -> float | None:
        for steps in range(1, self._pace.steps_to_lose + 1):
            if symptoms(self._step(Wait())[1], culprit):
                return steps * self._pace.step_s
        return None

    def _try_wrong(self, fix: Fix, fault: Fault) -> WrongFix:
        """The objective is lost if it is missed at the end and there was no recovery in between.

        If the fault's form gives a restart some time to help, there may be a recovery, but it must not last."""
        pace = self._pace
        result, snapshot = self._step(fix)
        snapshots, found = [snapshot], symptoms(snapshot, fault.service)
        steps = pace.steps_for_a_wrong_fix if result.accepted else pace.steps_for_a_refused_fix
        restarted = result.accepted and fix == Restart(fault.service)
        relief = form_of(fault).relief_steps if restarted else 0
        while len(snapshots) < steps or (not found and len(snapshots) < steps + relief):
            snapshots.append(self._step(Wait())[1])
            found = symptoms(snapshots[-1], fault.service)
        recovered = not relief and self._first_good([not breaches(one) for one in snapshots]) is not None
        return WrongFix(action=fix, result=result.text, lost=bool(found) and not recovered, symptoms=tuple(found))

    def _fix(self, row: Row) -> None:
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

    def _restore(self, row: Row, before: Footprint, key: int) -> None:
        self._world.restore(key)
        not_steady = self._not_steady("after everything was reverted")
        after = self._footprint()
        row.residue = differences(before, after)
        row.problems += not_steady
        if row.residue:
            row.problems.append(f"left behind: {'; '.join(row.residue)}")
        if not not_steady and not row.residue:
            self._left_by_the_last_row = after

    def _not_steady(self, when: str) -> list[str]:
        """Wait until one step meets all objectives. If none does in time, one text: what the last step missed."""
        missed: list[str] = []
        for _ in range(self._pace.steps_to_be_steady):
            missed = breaches(self._step(Wait())[1])
            if not missed:
                return []
        return [f"no steady state {when}: {'; '.join(missed)}"]

    def _step(self, action: Action) -> tuple[ActionResult, Snapshot]:
        result = self._world.apply(action)
        self._world.advance(self._pace.step_s)
        return result, self._world.observe()

    def _first_good(self, good: list[bool]) -> int | None:
        """The number of steps before the first run of good steps that is long enough for a recovery, or None."""
        run = self._pace.good_steps
        return next((first for first in range(len(good) - run + 1) if all(good[first : first + run])), None)

    def _seconds(self, steps: int) -> str:
        return f"{steps * self._pace.step_s:g} s"
