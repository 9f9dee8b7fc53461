"""The five services as a model: a World that computes what happens instead of waiting for it."""

from __future__ import annotations

from typing import Any, assert_never

import numpy as np

from mirr.env.forms import form_number, severity_of
from mirr.env.logs import digest
from mirr.env.objectives import SERVICE_ROW
from mirr.env.results import result_of
from mirr.env.simulator.chronicle import lines, log_state
from mirr.env.simulator.fast import alone
from mirr.env.simulator.fast import rows as k
from mirr.env.simulator.fast.compiled import numbers, u64
from mirr.env.simulator.fast.lanes import which_parameters
from mirr.env.simulator.parameters import Parameters
from mirr.env.simulator.physics.profile import NOT_LANDED_S
from mirr.env.simulator.randomisation import ParameterSets, fixed_parameters
from mirr.env.vocabulary import (
    NEXT_RELEASE,
    REASONS,
    STEADY_RELEASE,
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
    Journey,
    Restart,
    Rollback,
    ScaleUp,
    Service,
    TrafficChanges,
    Wait,
)
from mirr.env.world import FEATURES_SHAPE, ActionResult, JourneyCount, LogLine, Snapshot, WorldError

_DEGRADED = f"runs release {NEXT_RELEASE}, steady is {STEADY_RELEASE}"
_BROWSE, _SIGN_IN, _CHECK_OUT = Journey  # looked up once, because a look-up takes longer than making a dict


class SimulatedWorld:
    """A World without containers. The same seed and actions give the same episode, to the last bit."""

    def __init__(self, parameters: Parameters | ParameterSets | None = None) -> None:
        self._sets = parameters if isinstance(parameters, ParameterSets) else fixed_parameters(parameters)
        self._s = numbers([0.0] * k.STATE_END)
        self._shown = numbers([0.0] * k.SHOWN_ROW)
        self.restore(0)

    def restore(self, key: int) -> None:
        """Start from a fresh steady state. This never fails."""
        self._key = u64(key)
        which = which_parameters(self._key, len(self._sets.sets))
        self.parameters, self._p = self._sets.sets[which], self._sets.rows[which]
        alone.steady(self._s, self._p)

    def close(self) -> None:
        """Do nothing, because this world holds nothing."""

    def inject(self, fault: Fault) -> None:
        self._play_by_ticks()
        form, i, severity = form_number(fault), SERVICE_ROW[fault.service], severity_of(fault)
        if not alone.inject(self._s, self._p, self._key, form, i, severity):
            raise WorldError(f"{fault} did not land within {NOT_LANDED_S:g} s; see env/simulator/parameters.json")

    def happen(self, event: Event) -> None:
        s, p = self._s, self._p
        self._play_by_ticks()
        match event:
            case Breaks(fault):
                alone.begin(s, p, form_number(fault), SERVICE_ROW[fault.service], severity_of(fault))
            case Ends(fault):
                alone.end(s, p, form_number(fault), SERVICE_ROW[fault.service])
            case Deploys(service):
                alone.deploy_next(s, p, SERVICE_ROW[service])
            case TrafficChanges(first, last, over_s):
                alone.change_traffic(s, p, first, last, over_s)
            case Bursts(service, load, for_s):
                alone.start_burst(s, p, SERVICE_ROW[service], load, for_s)
            case _:
                assert_never(event)

    def apply(self, action: Action) -> ActionResult:
        s, p = self._s, self._p
        self._play_by_ticks()
        logs: tuple[LogLine, ...] = ()
        result = k.ACCEPTED
        match action:
            case Wait() | Diagnose() | DiagnoseNone():
                pass
            case CheckLogs(service):
                logs = self._logs(service)
            case Restart(service):
                alone.restart(s, p, SERVICE_ROW[service])
            case Rollback(service):
                result = alone.roll_back(s, p, SERVICE_ROW[service])
            case ScaleUp(service):
                result = alone.scale_up(s, p, SERVICE_ROW[service])
            case _:
                assert_never(action)
        return result_of(action, REASONS[result], logs=logs)

    def advance(self, seconds: float) -> None:
        alone.advance(self._s, self._p, self._key, self._sets.ticks(seconds))

    def observe(self) -> Snapshot:
        alone.observe(self._s, self._p, self._key, self._shown)
        return snapshot_of(self._shown)

    def _play_by_ticks(self) -> None:
        """If the current window was drawn at once, play it again tick by tick: now something happens in it."""
        if self._s[k.DRAWN] == 1.0:
            alone.take_back(self._s, self._p, self._key)

    def _logs(self, service: Service) -> tuple[LogLine, ...]:
        row = numbers([0.0] * k.LOG_SIZE)
        alone.read_log(self._s, SERVICE_ROW[service], row)
        return digest(lines(log_state(service, row), int(self._s[k.NOW]), self.parameters.tick_s))


def snapshot_of(w: Any) -> Snapshot:
    """The snapshot of a window, as `windows.observe` wrote it."""
    users = w[k.SHOWN_REQUESTS : k.SHOWN_SIZE]
    browsed, signed_in, checked_out, lost_browsing, lost_signing_in, lost_checking_out, *bad = (
        users if isinstance(users, list) else users.tolist()
    )
    return Snapshot(
        features=np.array(w[: k.CELLS]).reshape(FEATURES_SHAPE),
        journeys={
            _BROWSE: JourneyCount(int(browsed), int(lost_browsing)),
            _SIGN_IN: JourneyCount(int(signed_in), int(lost_signing_in)),
            _CHECK_OUT: JourneyCount(int(checked_out), int(lost_checking_out)),
        },
        degraded=_degraded(bad) if 1.0 in bad else {},
    )


def _degraded(bad: list[float]) -> dict[Service, str]:
    return {service: _DEGRADED for service, runs_bad in zip(Service, bad, strict=True) if runs_bad == 1.0}
