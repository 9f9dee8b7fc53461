"""The composed containers as a World."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import assert_never

from mirr.bridge.landing import Landing, LandingPatience
from mirr.bridge.logs import read_log
from mirr.bridge.restoring import Restoring, SteadyPatience
from mirr.bridge.stages import Stages
from mirr.bridge.step_clock import StepClock
from mirr.bridge.telemetry import Measures, Window
from mirr.chaos.chaos import Chaos
from mirr.chaos.errors import ChaosError
from mirr.chaos.fleet import Fleet
from mirr.env.results import result_of
from mirr.env.scenario import TRAFFIC
from mirr.env.vocabulary import (
    Action,
    Breaks,
    Bursts,
    CheckLogs,
    Deploys,
    Diagnose,
    DiagnoseNone,
    Ends,
    Event,
    Fault,
    Reason,
    Restart,
    Rollback,
    ScaleUp,
    Service,
    TrafficChanges,
    Wait,
)
from mirr.env.world import ActionResult, LogLine, Snapshot, WorldError
from mirr.lab.hints import for_lab
from mirr.lab.lock import Reverted
from mirr.lab.names import DEFAULT_LAB
from mirr.lab.releases import shown

_MOST_NAMED = 3  # of the containers that do not run


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long DockerWorld waits for each thing. The defaults fit the lab."""

    steady: SteadyPatience = field(default_factory=SteadyPatience)
    landing: LandingPatience = field(default_factory=LandingPatience)
    opening_s: float = 6.0
    """From steady state to the first window. It is the same for every fault, so the time that `reset` takes says
    nothing about the fault."""
    deploys_s: float = 4.0
    """How much of the opening harmless deploys get, which come before any fault. It is the same for every number of
    them. If they take longer, that is taken from the time in which they boot."""
    opening_after_deploys_s: float = opening_s / TRAFFIC[0]
    """What follows until the first window. Where there are deploys, fewer users may come than usual, and then a fault
    takes longer to land."""
    late_s: float = 0.5  # a caller that took longer than this between two steps is slow, and still gets a whole step


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
        wall_clock: Callable[[], float] = time.time,  # that of the containers: their logs have its times
        held: AbstractContextManager[object] | None = None,  # what to let go of on close, e.g. the lab's lock
        reverted: Reverted = lambda: None,  # what somebody else did, with another journal perhaps
        lab: str = DEFAULT_LAB,
    ) -> None:
        self._lab = lab
        self._fleet = fleet
        self._chaos = chaos
        self._telemetry = telemetry
        self._patience = patience or Patience()
        self._now = now
        self._sleep = sleep
        self._wall_clock = wall_clock
        self._held = held or nullcontext()
        self._reverted = reverted
        self._closed = False
        self._clock = StepClock(now=now, late_s=self._patience.late_s)
        self._stages = Stages(now=now)
        self._restoring = Restoring(
            fleet=fleet, chaos=chaos, telemetry=telemetry, patience=self._patience.steady, now=now, sleep=sleep
        )
        self._landing = Landing(fleet=fleet, telemetry=telemetry, patience=self._patience.landing, now=now, sleep=sleep)
        self._window = Window()
        self._episode_began = now()
        self._sound: set[Service] = set()  # these run the next release, and there is nothing wrong with it

    @property
    def deadline(self) -> float:
        """When the last advance had to end."""
        return self._clock.deadline

    def restore(self, key: int) -> None:
        """Bring the lab to steady state from whatever state it is in. The load generator has a seed of its own, so this
        draws no random numbers from `key`."""
        self._stages.clear()
        self._sound.clear()
        self._reverted()  # a revert from before this episode is none of its business
        with self._as_world_errors():
            done = self._chaos.revert()
            self._restoring.wait(hold_s=self._patience.steady.window_s if done else 0.0)
        self._episode_began = self._now()
        self._clock.open_in(self._patience.opening_s)
        self._begin_window()

    def inject(self, fault: Fault) -> None:
        with self._as_world_errors():
            before = self._landing.look()
            self._stages.add(Breaks(fault), self._chaos.begin(fault))
            self._landing.wait(fault, before, go_on=self._stages.run)
        self._begin_window()

    def happen(self, event: Event) -> None:
        with self._as_world_errors():
            match event:
                case Breaks(fault):
                    self._stages.add(event, self._chaos.begin(fault))
                    self._stages.run()
                case Ends(fault):
                    self._stages.drop(Breaks(fault))
                    self._chaos.end(fault)
                case Deploys(service):
                    self._clock.open_in_two_parts(self._patience.deploys_s, self._patience.opening_after_deploys_s)
                    self._chaos.deploy_sound(service)
                    self._sound.add(service)
                case TrafficChanges():
                    self._chaos.change_traffic(event)
                case Bursts():
                    self._stages.add(event, self._chaos.burst(event))
                    self._stages.run()
                case _:
                    assert_never(event)

    def apply(self, action: Action) -> ActionResult:
        self._clock.begin_step()
        with self._as_world_errors():
            return self._apply(action)

    def advance(self, seconds: float) -> None:
        opens_at = self._clock.opening()
        if opens_at is not None:
            self._pass_time(opens_at)
            self._begin_window(opens_at if self._clock.has_second_part else None)
        self._clock.end_step(seconds, self._pass_time)

    def observe(self) -> Snapshot:
        with self._as_world_errors():
            lost = self._chaos.lost_lease()
            if lost is not None:
                raise WorldError(f"what was begun did not hold: {lost}; next: play the episode again")
            if (what := self._reverted()) is not None:
                raise WorldError(f"{what}; next: play the episode again")
            with self._naming_what_stopped():
                return replace(self._telemetry.measure(self._window), overrun_s=self._clock.overrun_s)

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

    def _begin_window(self, at: float | None = None) -> None:
        self._window = self._telemetry.open_window()
        self._window.sound = self._sound
        self._clock.begin_window(at)

    def _pass_time(self, until: float) -> None:
        """Sleep until then. Meanwhile, events that happen in stages go on."""
        while (now := self._now()) < until:
            self._sleep(self._stages.next_due(now, until) - now)
            with self._as_world_errors():
                self._stages.run()

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
        return result_of(action, release=shown(state.previous_release))

    def _scale_up(self, action: ScaleUp) -> ActionResult:
        state = self._fleet.state(action.service)
        if state is None or not state.running:
            return result_of(action, Reason.NOT_RUNNING)
        if state.cpu_quota_us > state.steady_cpu_quota_us:
            return result_of(action, Reason.LARGEST_SIZE)
        self._fleet.resize(action.service, 2 * state.steady_cpu_quota_us)
        return result_of(action)

    def _logs(self, service: Service) -> tuple[LogLine, ...]:
        # From a little before the episode on, so the length of the log does not show when a fault began.
        length_s = self._now() - self._episode_began + self._patience.steady.window_s
        # It is counted back from now, because the clock may have been set since the episode began.
        wall_now = self._wall_clock()
        return read_log(self._fleet, service, since=wall_now - length_s, now=wall_now)

    @contextmanager
    def _as_world_errors(self) -> Iterator[None]:
        """If the lab fails, the episode is void."""
        try:
            yield
        except (ChaosError, WorldError) as error:
            raise WorldError(for_lab(str(error), self._lab)) from error

    @contextmanager
    def _naming_what_stopped(self) -> Iterator[None]:
        """If nothing can be measured, name the containers around the services that do not run."""
        try:
            yield
        except WorldError as error:
            stopped = [str(part) for part in self._fleet.parts() if not part.running]
            if not stopped:
                raise
            # The last of them are those that an episode cannot do without.
            named = ", ".join(stopped[: -_MOST_NAMED - 1 : -1])
            more = f" and {len(stopped) - _MOST_NAMED} more" if len(stopped) > _MOST_NAMED else ""
            what = f"what the services of lab {self._lab} need does not run: {named}{more}"
            raise WorldError(f"{what}; so {error}") from error
