"""The composed containers as a World."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import assert_never

from mirr.bridge.logs import parse_line
from mirr.bridge.steady import wait_until_steady
from mirr.bridge.telemetry import Measures, Window
from mirr.chaos.chaos import Chaos
from mirr.chaos.errors import ChaosError
from mirr.chaos.fleet import Fleet
from mirr.env.logs import digest
from mirr.env.objectives import FEATURE_COLUMN, OBJECTIVES, SERVICE_ROW, breaches, service_breaches
from mirr.env.results import result_of
from mirr.env.vocabulary import (
    STEADY_RELEASE,
    Action,
    Breaks,
    CheckLogs,
    Deploys,
    Diagnose,
    DiagnoseNone,
    Ends,
    Event,
    Fault,
    FaultMode,
    Feature,
    Reason,
    Restart,
    Rollback,
    ScaleUp,
    Service,
    Wait,
)
from mirr.env.world import ActionResult, LogLine, Snapshot, WorldError

_LOG_LINES_READ = 400  # per check; the digest keeps the telling ones


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long DockerWorld waits for what. The defaults are the lab's."""

    steady_timeout_s: float = 30.0
    steady_window_s: float = 1.5  # steady state has to hold for this long
    recreate_after_s: float = 12.0  # what is not steady by then gets a new container with fresh data
    poll_s: float = 0.2
    landed_timeout_s: float = 15.0
    landed_window_s: float = 1.0
    leak_landed_share: float = 0.18  # of the memory limit, above where it was
    memory_share_fresh: float = 0.45  # above it, a process is not what steady state begins with
    opening_s: float = 6.0
    """From steady state to the first window, whatever is injected in between: how long `reset` takes tells nothing."""
    late_s: float = 0.5  # a caller that took longer than this between two steps gets a whole step all the same


@dataclass
class Stage:
    """A fault that begins in stages, while time passes."""

    fault: Fault
    due: float
    rest: Iterator[float]


class DockerWorld:
    """A World on the containers of one lab. Time, sleeping and everything that talks to the lab are passed in."""

    def __init__(
        self,
        *,
        fleet: Fleet,
        chaos: Chaos,
        telemetry: Measures,
        patience: Patience | None = None,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        wall_clock: Callable[[], float] = time.time,
        held: AbstractContextManager[object] | None = None,  # what to let go of on close, e.g. the lab's lock
    ) -> None:
        self._fleet = fleet
        self._chaos = chaos
        self._telemetry = telemetry
        self._patience = patience or Patience()
        self._now = now
        self._sleep = sleep
        self._wall_clock = wall_clock
        self._held = held or nullcontext()
        self._closed = False
        self._window = Window()
        self._episode_began = wall_clock()
        self._step_began: float | None = None  # when the step under way began: its action, or the end of the last one
        self.deadline = now()  # when the last advance was to end
        self._overrun_s = 0.0
        self._opens_at: float | None = None  # when the episode's first window begins
        self._stages: list[Stage] = []
        self._sound: set[Service] = set()  # run the next release, and there is nothing wrong with it

    def restore(self, key: int) -> None:
        """Steady state from whatever the lab was left in. The load generator has a seed of its own, so `key` is
        not drawn from."""
        self._stages.clear()
        self._sound.clear()
        try:
            done = self._chaos.revert()
            self._await_steady(hold_s=self._patience.steady_window_s if done else 0.0)
        except ChaosError as error:
            raise WorldError(str(error)) from error
        self._episode_began = self._wall_clock()
        self._opens_at = self._now() + self._patience.opening_s
        self._begin_window()

    def inject(self, fault: Fault) -> None:
        try:
            before = self._telemetry.last(self._patience.landed_window_s)
            self._stages.append(Stage(fault, self._now(), self._chaos.begin(fault)))
            self._await_landed(fault, before)
        except ChaosError as error:
            raise WorldError(str(error)) from error
        self._begin_window()

    def happen(self, event: Event) -> None:
        try:
            match event:
                case Breaks(fault):
                    self._stages.append(Stage(fault, self._now(), self._chaos.begin(fault)))
                    self._run_stages()
                case Ends(fault):
                    self._stages = [stage for stage in self._stages if stage.fault != fault]
                    self._chaos.end(fault)
                case Deploys(service):
                    self._chaos.deploy_sound(service)
                    self._sound.add(service)
                case _:
                    assert_never(event)
        except ChaosError as error:
            raise WorldError(str(error)) from error

    def _run_stages(self) -> None:
        """Let the faults that are about to begin go on as far as the time has come."""
        for stage in tuple(self._stages):
            while stage.due <= self._now():
                wait_s = next(stage.rest, None)
                if wait_s is None:
                    self._stages.remove(stage)
                    break
                stage.due = self._now() + wait_s

    def apply(self, action: Action) -> ActionResult:
        # A quick caller keeps the rhythm; a slow one (a person, a language model) still sees its action work for a
        # whole step, and the time it took shows as overrun.
        now = self._now()
        self._step_began = self.deadline if now - self.deadline < self._patience.late_s else now
        try:
            return self._apply(action)
        except ChaosError as error:
            raise WorldError(str(error)) from error

    def advance(self, seconds: float) -> None:
        self._open()
        began = self.deadline if self._step_began is None else self._step_began
        self._step_began = None
        previous = self.deadline
        self.deadline = began + seconds
        self._pass_time(self.deadline)
        self._overrun_s = max(0.0, self._now() - previous - seconds)

    def _open(self) -> None:
        """Before the first window: wait out what is left of the opening, and begin it anew."""
        if self._opens_at is not None and self._step_began is None:
            self._pass_time(self._opens_at)
            self._begin_window()
        self._opens_at = None

    def _pass_time(self, until: float) -> None:
        while (now := self._now()) < until:
            self._sleep(min([until, *(stage.due for stage in self._stages if stage.due > now)]) - now)
            try:
                self._run_stages()
            except ChaosError as error:
                raise WorldError(str(error)) from error

    def observe(self) -> Snapshot:
        lost = self._chaos.lost_lease()
        if lost is not None:
            raise WorldError(f"the fault did not hold: {lost}; next: play the episode again")
        return replace(self._telemetry.measure(self._window), overrun_s=self._overrun_s)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            self._chaos.revert()
        except ChaosError:
            pass  # the journal keeps what is open, and the next `up`, `reset` or `revert` starts from it
        finally:
            self._chaos.close()
            self._held.__exit__(None, None, None)

    def _begin_window(self) -> None:
        self._window = self._telemetry.open_window()
        self._window.sound = self._sound
        self._step_began = None
        self.deadline = self._now()

    def _apply(self, action: Action) -> ActionResult:
        match action:
            case Wait() | Diagnose() | DiagnoseNone():
                return result_of(action)
            case CheckLogs(service):
                return result_of(action, logs=self._logs(service))
            case Restart(service):
                self._fleet.restart(service)
                return result_of(action)
            case Rollback():
                return self._roll_back(action)
            case ScaleUp():
                return self._scale_up(action)
            case _:
                assert_never(action)

    def _roll_back(self, action: Rollback) -> ActionResult:
        state = self._fleet.state(action.service)
        if state is None or state.previous_release is None:
            return result_of(action, Reason.NO_EARLIER_RELEASE)
        self._fleet.deploy(action.service, state.previous_release, previous=None)
        return result_of(action, release=state.previous_release)

    def _scale_up(self, action: ScaleUp) -> ActionResult:
        state = self._fleet.state(action.service)
        if state is None or not state.running:
            return result_of(action, Reason.NOT_RUNNING)
        if state.cpu_quota_us > state.steady_cpu_quota_us:
            return result_of(action, Reason.LARGEST_SIZE)
        self._fleet.resize(action.service, 2 * state.steady_cpu_quota_us)
        return result_of(action)

    def _logs(self, service: Service) -> tuple[LogLine, ...]:
        now = self._wall_clock()
        # A little of what was before the fault: a log that ends with it must not be told by how short it is.
        since = self._episode_began - self._patience.steady_window_s
        raw = self._fleet.logs(service, since=since, tail=_LOG_LINES_READ)
        return digest([line for one in raw if (line := parse_line(one, now=now)) is not None])

    def _await_steady(self, *, hold_s: float) -> None:
        """Wait until every objective is met over a window that lies wholly behind what was just mended. What labels
        and journal do not show (a full disk, a process that hangs) shows here, and is mended in two degrees."""
        patience = self._patience
        began = self._now()
        not_before = began + hold_s
        restarted: set[Service] = set()
        recreated: set[Service] = set()

        def problems(snapshot: Snapshot) -> list[str]:
            nonlocal not_before
            swollen = self._swollen(snapshot) - restarted
            for service in swollen:
                self._chaos.restart(service)
            restarted.update(swollen)
            stuck = set()
            if not recreated and self._now() - began > patience.recreate_after_s:
                stuck = {service for service in Service if service_breaches(snapshot, service)}
            for service in stuck:
                self._fleet.recreate(service, STEADY_RELEASE)
            recreated.update(stuck)
            if swollen or stuck:
                not_before = self._now() + patience.steady_window_s
            found = breaches(snapshot)
            return found or (["it has not held long enough"] if self._now() < not_before else [])

        wait_until_steady(
            self._telemetry,
            timeout_s=patience.steady_timeout_s,
            window_s=patience.steady_window_s,
            poll_s=patience.poll_s,
            problems_in=problems,
            now=self._now,
            sleep=self._sleep,
        )

    def _swollen(self, snapshot: Snapshot) -> set[Service]:
        share = snapshot.features[:, FEATURE_COLUMN[Feature.MEMORY_SHARE]]
        return {service for service in Service if share[SERVICE_ROW[service]] > self._patience.memory_share_fresh}

    def _await_landed(self, fault: Fault, before: Snapshot) -> None:
        patience = self._patience
        began = self._now()
        while self._now() - began < patience.landed_timeout_s:
            self._run_stages()
            if self._landed(fault, before):
                return
            self._sleep(patience.poll_s)
        raise WorldError(f"{fault} did not land within {patience.landed_timeout_s:g} s; next: mirr status, mirr doctor")

    def _landed(self, fault: Fault, before: Snapshot) -> bool:
        if fault.mode is FaultMode.CRASHED:
            state = self._fleet.state(fault.service)
            return state is not None and not state.running
        snapshot = self._telemetry.last(self._patience.landed_window_s)
        row = SERVICE_ROW[fault.service]
        match fault.mode:
            case FaultMode.MEMORY_LEAK:
                grown = (snapshot.features - before.features)[row, FEATURE_COLUMN[Feature.MEMORY_SHARE]]
                return bool(grown >= self._patience.leak_landed_share)
            case FaultMode.OVERLOADED:
                up = snapshot.features[row, FEATURE_COLUMN[Feature.UP]] == 1.0
                return bool(up) and bool(service_breaches(snapshot, fault.service))
            case FaultMode.BAD_DEPLOY:
                errors = snapshot.features[row, FEATURE_COLUMN[Feature.ERROR_RATIO]]
                return fault.service in snapshot.degraded and bool(errors > OBJECTIVES.error_ratio)
            case _:
                assert_never(fault.mode)
