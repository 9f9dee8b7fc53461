"""The five services as a physical model: a World that integrates instead of waiting."""

from __future__ import annotations

import functools
import math
from typing import assert_never

import numpy as np

from env.logs import digest
from env.objectives import OBJECTIVES, SERVICE_ROW
from env.simulator import kernel as k
from env.simulator.chronicle import LogState, lines
from env.simulator.dice import Dice
from env.simulator.parameters import Parameters, load_parameters
from env.simulator.profile import mean_s, paths, quantile, shares
from env.vocabulary import (
    NEXT_RELEASE,
    STEADY_RELEASE,
    Action,
    Breaks,
    CheckLogs,
    Deploys,
    Diagnose,
    DiagnoseNone,
    Event,
    Fault,
    FaultMode,
    Heals,
    Journey,
    Restart,
    Rollback,
    ScaleUp,
    Service,
    Wait,
)
from env.world import ActionResult, JourneyCount, LogLine, Snapshot, WorldError

_SERVICES = tuple(Service)
_WAITED = ActionResult(accepted=True, text="waited")
_BUCKETS = len(k.BOUNDS) + 1
_BROWSE, _SIGN_IN, _CHECK_OUT = Journey.BROWSE, Journey.SIGN_IN, Journey.CHECK_OUT
_NOT_LANDED_S = 30.0


@functools.cache
def _default_parameters() -> Parameters:
    return load_parameters()


class SimulatedWorld:
    """A World without containers. Same seed and same actions, same episode, to the last bit."""

    def __init__(self, parameters: Parameters | None = None) -> None:
        self.parameters = p = parameters or _default_parameters()
        found = paths(p)
        # Row for row in the kernel's order, which is the vocabulary's.
        self._unloaded = [shares(found[service], p.latency_sigma) for service in Service]
        self._unloaded_p95_s = [quantile(0.95, counts) for counts in self._unloaded]
        own = [p.services[service] for service in Service]
        self._request_cpu = [each.request_cpu_s for each in own]
        self._own_latency = [mean_s([(1.0, each.latency_p50_s)], p.latency_sigma) for each in own]
        self._unloaded_mean_s = [mean_s(found[service], p.latency_sigma) for service in Service]
        self._rules = self._make_rules()
        self._reset(np.random.default_rng(0))

    def _make_rules(self) -> list[float]:
        p = self.parameters
        rules = [0.0] * k.RULES
        rules[k.TICK_S] = p.tick_s
        rules[k.LIMIT] = p.in_flight_limit
        rules[k.SHED_CPU] = p.shed_cpu_s
        rules[k.IDLE_CPU] = p.idle_cpu_cores * p.tick_s
        rules[k.MEMORY_LIMIT] = p.memory_limit_mb
        rules[k.GATEWAY_TIMEOUT] = p.gateway_timeout_s
        rules[k.ORDERS_TIMEOUT] = p.orders_timeout_s
        rules[k.SPREAD] = p.timeout_spread
        rules[k.RETRY] = p.retry_delay_s
        rules[k.USER_LIMIT] = OBJECTIVES.user_latency_s
        return rules

    def _reset(self, rng: np.random.Generator) -> None:
        p = self.parameters
        n = k.SERVICES
        self._own = own = [[0.0] * n for _ in range(k.STATE_ROWS)]
        own[k.STATUS] = [k.UP] * n
        own[k.QUOTA] = [p.cpu_quota_cores] * n
        own[k.MEMORY] = [p.services[service].base_memory_mb for service in Service]
        own[k.ACCEPT] = [1.0] * n
        own[k.REQUEST_CPU] = list(self._request_cpu)
        own[k.OWN_LATENCY] = list(self._own_latency)
        own[k.TOTAL] = list(self._unloaded_mean_s)
        self._window = [[0.0] * n for _ in range(k.WINDOW_ROWS)]
        self._late = [[0.0] * _BUCKETS for _ in range(n)]
        self._flow = [1.0] * k.FLOWS
        self._failed = [0.0] * 6
        self._begun = [0.0, 0.0, 0.0]
        self._pending = [0.0, 0.0, 0.0]
        self._now = 0  # ticks since restore
        self._since = [0] * n  # the tick at which each service's window begins
        self._release = [STEADY_RELEASE] * n
        self._sound = [False] * n  # whether the next release, where it runs, is a good one
        self._rows_spoiled = [0.0] * n
        self._booted = [False] * n
        self._last_words: list[LogState | None] = [None] * n
        rates = p.journeys_per_s
        self._dice = Dice(rng, [rates[journey] * p.tick_s for journey in Journey])

    def restore(self, rng: np.random.Generator) -> None:
        """Everything new: a simulated world is never left in a state that could not be mended."""
        self._reset(rng)

    def close(self) -> None:
        """Nothing is held."""

    def inject(self, fault: Fault) -> None:
        s = SERVICE_ROW[fault.service]
        p = self.parameters
        memory_before_mb = self._own[k.MEMORY][s]
        self._begin(fault, s)
        match fault.mode:
            case FaultMode.CRASHED:
                pass
            case FaultMode.MEMORY_LEAK:
                while self._own[k.MEMORY][s] < memory_before_mb + p.leak_landed_share * p.memory_limit_mb:
                    self._tick_towards(fault)
            case FaultMode.OVERLOADED:
                while not (self._own[k.SHED][s] > 0.0 or self._own[k.WAIT][s] > OBJECTIVES.latency_p95_s):
                    self._tick_towards(fault)
            case FaultMode.BAD_DEPLOY:
                while self._own[k.STATUS][s] != k.UP:
                    self._tick_towards(fault)
            case _:
                assert_never(fault.mode)
        self._forget_window()

    def happen(self, event: Event) -> None:
        match event:
            case Breaks(fault):
                self._begin(fault, SERVICE_ROW[fault.service])
            case Heals(fault):
                self._heal(fault, SERVICE_ROW[fault.service])
            case Deploys(service):
                self._deploy(SERVICE_ROW[service], NEXT_RELEASE, sound=True)
            case _:
                assert_never(event)

    def _begin(self, fault: Fault, s: int) -> None:
        p = self.parameters
        match fault.mode:
            case FaultMode.CRASHED:
                self._stop(s)
            case FaultMode.MEMORY_LEAK:
                self._start_campaign(s, p.leak_requests_per_s, p.leak_request_cpu_s, p.leak_body_mb)
            case FaultMode.OVERLOADED:
                self._start_campaign(s, p.surge_rate(fault.service), p.services[fault.service].surge_request_cpu_s, 0.0)
            case FaultMode.BAD_DEPLOY:
                self._deploy(s, NEXT_RELEASE, sound=False)
            case _:
                assert_never(fault.mode)

    def _heal(self, fault: Fault, s: int) -> None:
        match fault.mode:
            case FaultMode.CRASHED:
                if self._own[k.STATUS][s] == k.DOWN:
                    self._boot(s)
            case FaultMode.MEMORY_LEAK:
                self._start_campaign(s, 0.0, 0.0, 0.0)
                self._boot(s)
            case FaultMode.OVERLOADED:
                self._start_campaign(s, 0.0, 0.0, 0.0)
            case FaultMode.BAD_DEPLOY:
                if self._release[s] != STEADY_RELEASE:
                    self._deploy(s, STEADY_RELEASE, sound=False)
            case _:
                assert_never(fault.mode)

    def _deploy(self, s: int, release: str, *, sound: bool) -> None:
        self._release[s] = release
        self._sound[s] = sound
        self._boot(s)

    def _tick_towards(self, fault: Fault) -> None:
        if self._now * self.parameters.tick_s > _NOT_LANDED_S:
            raise WorldError(f"{fault} did not land within {_NOT_LANDED_S:g} s; see env/simulator/parameters.json")
        self._advance_ticks(1)

    def _start_campaign(self, s: int, rate: float, cpu_s: float, memory_mb: float) -> None:
        self._own[k.CAMPAIGN][s] = rate
        self._own[k.CAMPAIGN_CPU][s] = cpu_s
        self._own[k.CAMPAIGN_MB][s] = memory_mb

    def _stop(self, s: int) -> None:
        if self._own[k.STATUS][s] == k.UP:
            self._last_words[s] = self._log_state(s, self._now)
        k.stop(self._own, s, float(self._now))
        self._flow[k.STALE] = 1.0

    def _boot(self, s: int) -> None:
        """End the process, if there is one, and begin another of the current release."""
        self._stop(s)
        own, p = self._own, self.parameters
        own[k.STATUS][s] = k.BOOTING
        own[k.BOOT_LEFT][s] = p.boot_cpu_s
        own[k.MEMORY][s] = p.services[_SERVICES[s]].base_memory_mb
        faulty = self._release[s] == NEXT_RELEASE and not self._sound[s]
        if faulty:
            # Its migration runs at every boot, on whatever rows are left.
            self._rows_spoiled[s] += p.spoiled_at_boot * (1.0 - self._rows_spoiled[s])
        own[k.SPOILED][s] = self._rows_spoiled[s] if faulty else 0.0
        self._booted[s] = True
        self._clear_counters(s)

    def _clear_counters(self, s: int) -> None:
        for row in self._window:
            row[s] = 0.0
        self._late[s] = [0.0] * _BUCKETS
        self._since[s] = self._now

    def _forget_window(self) -> None:
        for s in range(k.SERVICES):
            self._clear_counters(s)
        self._failed = [0.0] * 6
        self._begun = [0.0, 0.0, 0.0]

    def apply(self, action: Action) -> ActionResult:
        match action:
            case Wait():
                return _WAITED
            case Diagnose(service, mode):
                return ActionResult(accepted=True, text=f"diagnosis noted: {mode} on {service}")
            case DiagnoseNone():
                return ActionResult(accepted=True, text="diagnosis noted: nothing is broken")
            case CheckLogs(service):
                found = self._logs(SERVICE_ROW[service])
                return ActionResult(accepted=True, text=f"{len(found)} lines of {service}'s log", logs=found)
            case Restart(service):
                self._boot(SERVICE_ROW[service])
                return ActionResult(accepted=True, text=f"{service} is restarting")
            case Rollback(service):
                return self._roll_back(service, SERVICE_ROW[service])
            case ScaleUp(service):
                return self._scale_up(service, SERVICE_ROW[service])
            case _:
                assert_never(action)

    def _roll_back(self, service: Service, s: int) -> ActionResult:
        if self._release[s] == STEADY_RELEASE:
            return ActionResult(accepted=False, text=f"{service} has no earlier release")
        self._deploy(s, STEADY_RELEASE, sound=False)
        return ActionResult(accepted=True, text=f"{service} is going back to release {STEADY_RELEASE}")

    def _scale_up(self, service: Service, s: int) -> ActionResult:
        p = self.parameters
        if self._own[k.STATUS][s] == k.DOWN:
            return ActionResult(accepted=False, text=f"{service} is not running, nothing to scale")
        if self._own[k.QUOTA][s] > p.cpu_quota_cores:
            return ActionResult(accepted=False, text=f"{service} is already at its largest size")
        self._own[k.QUOTA][s] = p.cpu_quota_cores * p.scale_up_factor
        return ActionResult(accepted=True, text=f"{service} has twice the CPU quota now")

    def advance(self, seconds: float) -> None:
        ticks = seconds / self.parameters.tick_s
        if ticks != int(ticks) or ticks < 1:
            raise ValueError(f"the simulator advances in whole ticks of {self.parameters.tick_s:g} s; got {seconds!r}")
        self._advance_ticks(int(ticks))

    def _advance_ticks(self, ticks: int) -> None:
        dice, begun, failed = self._dice, self._begun, self._failed
        own, window, late, flow, rules = self._own, self._window, self._late, self._flow, self._rules
        tick = k.tick
        now = self._now
        pending = self._pending
        for _ in range(ticks):
            if dice.place >= dice.size:
                dice.throw()
            users = dice.users[dice.place]
            surge = dice.surges[dice.place]
            dice.place += 1
            now += 1
            tick(own, window, late, flow, users, pending, failed, surge, float(now), rules)
            begun[0] += users[0]
            begun[1] += users[1]
            begun[2] += users[2]
        self._now = now
        k.settle(own, window, late, flow, pending, failed, rules)

    def observe(self) -> Snapshot:
        draws, jitters, levels = self._dice.gauges()
        begun, failed = self._begun, self._failed
        journeys = {
            _BROWSE: _count(begun[0], failed[0], draws[0] * math.sqrt(failed[3])),
            _SIGN_IN: _count(begun[1], failed[1], draws[1] * math.sqrt(failed[4])),
            _CHECK_OUT: _count(begun[2], failed[2], draws[2] * math.sqrt(failed[5])),
        }
        self._begun, self._failed = [0.0, 0.0, 0.0], [0.0] * 6
        features = np.array([self._features(s, jitters[s], levels[s]) for s in range(k.SERVICES)])
        return Snapshot(features=features, journeys=journeys, degraded=self._degraded())

    def _features(self, s: int, jitter: float, level: float) -> list[float]:
        """One row, in the order of `Feature`, as two scrapes would show it."""
        own = self._own
        if own[k.STATUS][s] != k.UP:
            return _UNSEEN
        window = self._window
        answers_row, cpu_row, errors_row, calm_row = window[k.ANSWERS], window[k.CPU], window[k.ERRORS], window[k.CALM]
        answers, quota = answers_row[s], own[k.QUOTA][s]
        tick_s = self.parameters.tick_s
        elapsed_s = (self._now - self._since[s]) * tick_s
        in_flight = own[k.QUEUE][s] + answers / elapsed_s * own[k.ACCEPT][s] * (own[k.TOTAL][s] - own[k.WAIT][s])
        if answers > 0.0:
            error_ratio = errors_row[s] / answers
            calm = calm_row[s]
            if calm >= 0.999 * answers:
                p95_s = self._unloaded_p95_s[s]
            else:
                counts = [share * calm + count for share, count in zip(self._unloaded[s], self._late[s], strict=True)]
                p95_s = quantile(0.95, counts)
                self._late[s] = [0.0] * _BUCKETS
            p95_s *= 1.0 + 0.05 * jitter  # some hundred requests at most: a quantile of so few scatters
        else:
            error_ratio = p95_s = 0.0
        row = [
            1.0,
            answers / elapsed_s,
            error_ratio,
            p95_s,
            cpu_row[s] / (elapsed_s * quota),
            own[k.MEMORY][s] / self.parameters.memory_limit_mb,
            float(int(in_flight + level)),
        ]
        # The next window begins with this scrape; what was counted in this one is done with.
        answers_row[s] = errors_row[s] = cpu_row[s] = calm_row[s] = 0.0
        self._since[s] = self._now
        return row

    def _degraded(self) -> dict[Service, str]:
        if NEXT_RELEASE not in self._release:
            return {}
        return {
            service: f"runs release {release}, steady is {STEADY_RELEASE}"
            for service, release, sound in zip(Service, self._release, self._sound, strict=True)
            if release != STEADY_RELEASE and not sound
        }

    def _log_state(self, s: int, at_tick: int) -> LogState:
        alive = self._own[k.STATUS][s] == k.UP
        return LogState(
            service=_SERVICES[s],
            at_tick=at_tick,
            release=self._release[s],
            ready_tick=int(self._own[k.READY_TICK][s]) if self._booted[s] else None,
            spoiled=self._own[k.SPOILED][s],
            shedding=self._own[k.SHED][s] > 0.0,
            # What became of the others' calls after its end, a process that is gone cannot have written.
            flow=tuple(self._flow) if alive else (1.0,) * k.FLOWS,
        )

    def _logs(self, s: int) -> tuple[LogLine, ...]:
        if self._own[k.STATUS][s] == k.UP:
            state = self._log_state(s, self._now)
        else:
            # A process that is gone has left its last lines; one that has yet to listen has written none of its own.
            stopped = int(self._own[k.STOPPED_TICK][s])
            words = self._last_words[s]
            state = words if words is not None and words.at_tick >= stopped else self._log_state(s, stopped)
        return digest(lines(state, self._now, self.parameters.tick_s))


_UNSEEN = [0.0, *[float("nan")] * 6]


def _count(begun: float, failed: float, scatter: float) -> JourneyCount:
    """A whole number of failures out of `begun` users of whom `failed` were expected to fail."""
    whole = int(failed + scatter + 0.5)
    return JourneyCount(requests=int(begun), failed=min(max(whole, 0), int(begun)))
