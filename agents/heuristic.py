"""What an experienced engineer does: look, read a log if in doubt, diagnose, fix, and check whether it helped."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np

from mirr.agents.reading import DEEPEST_FIRST, Reading
from mirr.env.environment import Observation
from mirr.env.vocabulary import (
    CALLS,
    REMEDY,
    STEADY_RELEASE,
    Action,
    CheckLogs,
    Diagnose,
    DiagnoseNone,
    Fault,
    FaultMode,
    Feature,
    Service,
    Wait,
)
from mirr.env.world import Level, LogLine

PATIENCE_STEPS = 6  # after this many steps without effect, a fix counts as wrong
CALM_STEPS = 2  # steps in which nothing stands out, before an alarm is called false

_RELEASE = re.compile(r"\d+\.\d+\.\d+")


@dataclass
class Evidence:
    """What was seen earlier in this episode."""

    swollen: set[Service] = field(default_factory=set)  # at any time in this episode
    redeployed: set[Service] = field(default_factory=set)  # its log names another release than steady state's
    raising: set[Service] = field(default_factory=set)  # its log has exceptions
    read: set[Service] = field(default_factory=set)
    last_down_step: dict[Service, int] = field(default_factory=dict)
    down_steps: dict[Service, int] = field(default_factory=dict)  # in a row, until now
    alarmed: bool = False  # whether anything has stood out so far
    excluded: set[Fault] = field(default_factory=set)  # its fix did not help
    recovered: set[Fault] = field(default_factory=set)  # it was fixed, and its service did well afterwards

    def note(self, observation: Observation, reading: Reading) -> None:
        """Take in one observation."""
        for service in Service:
            up = reading.up(service)
            self.down_steps[service] = 0 if up else self.down_steps.get(service, 0) + 1
            if not up:
                self.last_down_step[service] = observation.step
        self.alarmed = self.alarmed or not reading.looks_well()
        self.swollen |= set(reading.swollen())
        if observation.logs_of is not None:
            self.read.add(observation.logs_of)
            self._note_logs(observation.logs_of, observation.logs)

    def forget(self, service: Service) -> None:
        """Forget what was known about a service, because a fix has changed it."""
        for services in (self.redeployed, self.raising, self.read, self.swollen):
            services.discard(service)

    def _note_logs(self, service: Service, logs: tuple[LogLine, ...]) -> None:
        started = [line for line in logs if line.event == "started"]
        if started:
            release = _RELEASE.search(started[-1].text)
            known = release is not None and release.group() != STEADY_RELEASE
            (self.redeployed.add if known else self.redeployed.discard)(service)
        if any(line.level is Level.ERROR and line.event != "started" for line in logs):
            self.raising.add(service)


class HeuristicPolicy:
    """Applies rules of thumb, the most certain rule first. With `alarms_may_be_false` it may also diagnose that nothing
    is broken, and it does not mistake a service that is being deployed for one that crashed."""

    def __init__(self, *, alarms_may_be_false: bool = False) -> None:
        self._alarms_may_be_false = alarms_may_be_false
        self._begin()

    def _begin(self) -> None:
        self._evidence = Evidence()
        self._said: set[Fault] = set()
        self._stood_down = False
        self._committed: Fault | None = None  # being fixed, or about to be
        self._fixed_step: int | None = None
        self._next: Fault | None = None  # what the last observation pointed to, after a first recovery
        self._idle_steps = 0

    def reset(self, rng: np.random.Generator) -> None:
        """Forget the last episode."""
        self._begin()

    def act(self, observation: Observation) -> Action:
        """The next action, from this observation and what was seen before."""
        reading = Reading(observation.features)
        self._evidence.note(observation, reading)
        if self._fixed_step is not None and not self._fix_is_judged(observation, reading):
            return Wait()
        if self._committed is None:
            suspicion = self._suspect(observation, reading)
            if not isinstance(suspicion, Fault):
                return suspicion
            if not self._is_sure(suspicion):
                return Wait()
            self._committed = suspicion
            if suspicion not in self._said and (not self._said or self._evidence.recovered):
                self._said.add(suspicion)
                return Diagnose(suspicion.service, suspicion.mode)
        self._fixed_step = observation.step
        return REMEDY[self._committed.mode](self._committed.service)

    def _fix_is_judged(self, observation: Observation, reading: Reading) -> bool:
        """Whether it is clear what the last fix did. If it was refused or did not help, its fault is excluded."""
        assert self._fixed_step is not None
        assert self._committed is not None
        waited = observation.step - self._fixed_step
        refused = waited == 1 and not observation.last_accepted
        if waited >= 2 and not refused and reading.is_well(self._committed.service):
            self._evidence.forget(self._committed.service)
            self._evidence.recovered.add(self._committed)
        elif refused or waited >= PATIENCE_STEPS:
            self._evidence.excluded.add(self._committed)
        else:
            return False
        self._committed = None
        self._fixed_step = None
        return True

    def _is_sure(self, suspicion: Fault) -> bool:
        """Whether to act on a suspicion now. After a first recovery, services still settle: it looks twice."""
        seen_before, self._next = self._next == suspicion, suspicion
        return seen_before or not self._evidence.recovered

    def _suspect(self, observation: Observation, reading: Reading) -> Fault | Action:
        """What is most likely broken, or what to do to find out."""
        for fault in (*self._clear_cases(observation, reading), *self._named_by_logs(reading)):
            if fault not in self._evidence.excluded:
                return fault
        failing = reading.failing()
        unread = [service for service in failing if service not in self._evidence.read]
        if unread:
            return CheckLogs(unread[0])
        for service in failing:
            # It runs, has spare CPU, and raises errors of its own. So its code must be wrong.
            fault = Fault(FaultMode.BAD_DEPLOY, service)
            if fault not in self._evidence.excluded:
                return fault
        self._next = None
        if self._alarms_may_be_false and not self._evidence.alarmed:
            return self._stand_down(observation)
        return Wait() if self._evidence.recovered else self._search(reading)

    def _stand_down(self, observation: Observation) -> Action:
        """Nothing has stood out so far: watch for a while, then diagnose once that nothing is broken."""
        if self._stood_down or observation.step < CALM_STEPS:
            return Wait()
        self._stood_down = True
        return DiagnoseNone()

    def _clear_cases(self, observation: Observation, reading: Reading) -> list[Fault]:
        evidence = self._evidence
        found = []
        for service in reading.down():
            if self._may_be_booting(service, observation):
                continue
            leaked = service in evidence.swollen
            found.append(Fault(FaultMode.MEMORY_LEAK if leaked else FaultMode.CRASHED, service))
        found += [Fault(FaultMode.MEMORY_LEAK, service) for service in reading.swollen()]
        for service in reading.swamped():
            # A cold start also uses all its CPU. A leak may look like a crowd until its memory shows.
            booted = observation.step - evidence.last_down_step.get(service, -9) <= 2
            if not booted and reading.memory_rise(service) < 1.3 and not self._explained(service, reading):
                found.append(Fault(FaultMode.OVERLOADED, service))
        return found

    def _explained(self, service: Service, reading: Reading) -> bool:
        """Whether something that `service` calls is swamped itself."""
        return any(upstream in reading.swamped() for upstream in CALLS[service])

    def _may_be_booting(self, service: Service, observation: Observation) -> bool:
        """Whether it may be down because of a deploy. For the gateway, waiting to find out would cost too much."""
        if not self._alarms_may_be_false or service is Service.GATEWAY:
            return False
        return observation.step > 0 and self._evidence.down_steps[service] < 2

    def _named_by_logs(self, reading: Reading) -> list[Fault]:
        redeployed = self._evidence.redeployed
        # A new release is guilty only if the service does something wrong.
        guilty = {
            service for service in redeployed if service in self._evidence.raising or not reading.is_well(service)
        }
        return [Fault(FaultMode.BAD_DEPLOY, service) for service in DEEPEST_FIRST if service in guilty]

    def _search(self, reading: Reading) -> Action:
        """Nothing stands out: wait two steps, then read one log after the other, the service with most errors first."""
        self._idle_steps += 1
        unread = [service for service in Service if service not in self._evidence.read]
        if self._idle_steps <= 2 or not unread:
            return Wait()
        return CheckLogs(max(unread, key=lambda service: _loudness(service, reading)))


def _loudness(service: Service, reading: Reading) -> float:
    errors = reading.value(service, Feature.ERROR_RATIO)
    return errors if errors == errors else 1.0
