"""The five services as a physical model: a World that integrates instead of waiting."""

from __future__ import annotations

import functools
from typing import assert_never

import numpy as np

from env.dice import key_of
from env.logs import digest
from env.objectives import SERVICE_ROW
from env.simulator import layout as k
from env.simulator import operations as ops
from env.simulator.chronicle import lines, recent
from env.simulator.compiled import numbers, u64
from env.simulator.gauges import observe
from env.simulator.kernel import advance
from env.simulator.parameters import Parameters, load_parameters
from env.simulator.profile import NOT_LANDED_S, rules
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
from env.world import FEATURES_SHAPE, ActionResult, JourneyCount, LogLine, Snapshot, WorldError

_WAITED = ActionResult(accepted=True, text="waited")
_MODE = {mode: number for number, mode in enumerate(FaultMode)}


@functools.cache
def _default_parameters() -> Parameters:
    return load_parameters()


class SimulatedWorld:
    """A World without containers. Same seed and same actions, same episode, to the last bit."""

    def __init__(self, parameters: Parameters | None = None) -> None:
        self.parameters = p = parameters or _default_parameters()
        self._p = numbers(rules(p))
        self._s = numbers([0.0] * k.STATE)
        self.restore(np.random.default_rng(0))

    def restore(self, rng: np.random.Generator) -> None:
        """Everything new: a simulated world is never left in a state that could not be mended."""
        ops.steady(self._s, self._p)
        self._key = u64(key_of(rng))

    def close(self) -> None:
        """Nothing is held."""

    def inject(self, fault: Fault) -> None:
        if not ops.inject(self._s, self._p, self._key, _MODE[fault.mode], SERVICE_ROW[fault.service]):
            raise WorldError(f"{fault} did not land within {NOT_LANDED_S:g} s; see env/simulator/parameters.json")

    def happen(self, event: Event) -> None:
        s, p = self._s, self._p
        match event:
            case Breaks(fault):
                ops.begin(s, p, _MODE[fault.mode], SERVICE_ROW[fault.service])
            case Heals(fault):
                ops.heal(s, p, _MODE[fault.mode], SERVICE_ROW[fault.service])
            case Deploys(service):
                ops.deploy(s, p, SERVICE_ROW[service], True, True)
            case _:
                assert_never(event)

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
                ops.boot(self._s, self._p, SERVICE_ROW[service])
                return ActionResult(accepted=True, text=f"{service} is restarting")
            case Rollback(service):
                return self._roll_back(service, SERVICE_ROW[service])
            case ScaleUp(service):
                return self._scale_up(service, SERVICE_ROW[service])
            case _:
                assert_never(action)

    def _roll_back(self, service: Service, i: int) -> ActionResult:
        if not ops.roll_back(self._s, self._p, i):
            return ActionResult(accepted=False, text=f"{service} has no earlier release")
        return ActionResult(accepted=True, text=f"{service} is going back to release {STEADY_RELEASE}")

    def _scale_up(self, service: Service, i: int) -> ActionResult:
        if ops.scale_up(self._s, self._p, i):
            return ActionResult(accepted=True, text=f"{service} has twice the CPU quota now")
        if self._s[k.STATUS + i] == k.DOWN:
            return ActionResult(accepted=False, text=f"{service} is not running, nothing to scale")
        return ActionResult(accepted=False, text=f"{service} is already at its largest size")

    def advance(self, seconds: float) -> None:
        ticks = seconds / self.parameters.tick_s
        if ticks != int(ticks) or ticks < 1:
            raise ValueError(f"the simulator advances in whole ticks of {self.parameters.tick_s:g} s; got {seconds!r}")
        advance(self._s, self._p, self._key, int(ticks))

    def observe(self) -> Snapshot:
        shown = numbers([0.0] * k.SHOWN)
        observe(self._s, self._p, self._key, shown)
        counts = {
            journey: JourneyCount(
                requests=int(shown[k.SHOWN_REQUESTS + place]), failed=int(shown[k.SHOWN_FAILED + place])
            )
            for place, journey in enumerate(Journey)
        }
        features = np.array(shown[: k.SHOWN_REQUESTS]).reshape(FEATURES_SHAPE)
        return Snapshot(features=features, journeys=counts, degraded=self._degraded())

    def _degraded(self) -> dict[Service, str]:
        s = self._s
        return {
            service: f"runs release {NEXT_RELEASE}, steady is {STEADY_RELEASE}"
            for i, service in enumerate(Service)
            if s[k.NEXT + i] == 1.0 and s[k.SOUND + i] == 0.0
        }

    def _logs(self, i: int) -> tuple[LogLine, ...]:
        return digest(lines(recent(self._s, i), int(self._s[k.NOW]), self.parameters.tick_s))
