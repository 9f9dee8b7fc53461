"""What an experienced engineer does: look, read a log where in doubt, say what is broken, fix it, see if it helped."""

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

PATIENCE_STEPS = 6  # a fix that has not helped by then was not it
CALM_STEPS = 2  # without anything that stands out, before an alarm is called false

_RELEASE = re.compile(r"\d+\.\d+\.\d+")


@dataclass
class Evidence:
    """What has been seen in this episode, beyond the last observation."""

    swollen: set[Service] = field(default_factory=set)  # at any time while it ran
    redeployed: set[Service] = field(default_factory=set)  # its log names another release
    raising: set[Service] = field(default_factory=set)  # its log holds exceptions of its own
    read: set[Service] = field(default_factory=set)
    last_down_step: dict[Service, int] = field(default_factory=dict)
    down_steps: dict[Service, int] = field(default_factory=dict)  # running, up to now
    alarmed: bool = False  # whether anything stood out, at any time
    excluded: set[Fault] = field(default_factory=set)  # was fixed, did not help
    mended: set[Fault] = field(default_factory=set)  # was fixed, and its service did well afterwards

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
        """What its log has told is over."""
        for told in (self.redeployed, self.raising, self.read, self.swollen):
            told.discard(service)

    def _note_logs(self, service: Service, logs: tuple[LogLine, ...]) -> None:
        started = [line for line in logs if line.event == "started"]
        if started:
            release = _RELEASE.search(started[-1].text)
            known = release is not None and release.group() != STEADY_RELEASE
            (self.redeployed.add if known else self.redeployed.discard)(service)
        if any(line.level is Level.ERROR and line.event != "started" for line in logs):
            self.raising.add(service)


class HeuristicPolicy:
    """Looks at rules of thumb in the order in which they are certain. With `alarms_may_be_false` it may also say that
    nothing is broken, and does not take a service that is just being deployed for one that crashed."""

    def __init__(self, *, alarms_may_be_false: bool = False) -> None:
        self._alarms_may_be_false = alarms_may_be_false
        self._begin()

    def _begin(self) -> None:
        self._evidence = Evidence()
        self._said: set[Fault] = set()
        self._stood_down = False
        self._committed: Fault | None = None  # being fixed, or about to be
        self._fixed_step: int | None = None
        self._next: Fault | None = None  # what the last observation pointed to, once something had been mended
        self._idle_steps = 0

    def reset(self, rng: np.random.Generator) -> None:
        """Forget the last episode."""
        self._begin()

    def act(self, observation: Observation) -> Action:
        """The next action; one look at the observation, one at what was seen before."""
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
            if suspicion not in self._said and (not self._said or self._evidence.mended):
                self._said.add(suspicion)
                return Diagnose(suspicion.service, suspicion.mode)
        self._fixed_step = observation.step
        return REMEDY[self._committed.mode](self._committed.service)

    def _fix_is_judged(self, observation: Observation, reading: Reading) -> bool:
        """Whether the last fix has worked, or was refused or has not helped; then that fault is out of the question."""
        assert self._fixed_step is not None
        assert self._committed is not None
        waited = observation.step - self._fixed_step
        refused = waited == 1 and not observation.last_accepted
        if waited >= 2 and not refused and reading.is_well(self._committed.service):
            self._evidence.forget(self._committed.service)
            self._evidence.mended.add(self._committed)
        elif refused or waited >= PATIENCE_STEPS:
            self._evidence.excluded.add(self._committed)
        else:
            return False
        self._committed = None
        self._fixed_step = None
        return True

    def _is_sure(self, suspicion: Fault) -> bool:
        """After a fix that worked, what its outage left behind still settles: there it takes two looks."""
        seen_before, self._next = self._next == suspicion, suspicion
        return seen_before or not self._evidence.mended

    def _suspect(self, observation: Observation, reading: Reading) -> Fault | Action:
        """What is most likely broken, or what to do to find out."""
        for fault in (*self._clear_cases(observation, reading), *self._told_by_logs(reading)):
            if fault not in self._evidence.excluded:
                return fault
        failing = reading.failing()
        unread = [service for service in failing if service not in self._evidence.read]
        if unread:
            return CheckLogs(unread[0])
        for service in failing:
            # Errors of its own, CPU to spare, and it runs: the code is what is left.
            fault = Fault(FaultMode.BAD_DEPLOY, service)
            if fault not in self._evidence.excluded:
                return fault
        self._next = None
        if self._alarms_may_be_false and not self._evidence.alarmed:
            return self._stand_down(observation)
        return Wait() if self._evidence.mended else self._search(reading)

    def _stand_down(self, observation: Observation) -> Action:
        """Nothing stood out so far: watch for a while, then say so, once."""
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
            # A cold start uses all its CPU too; and a leak may look like a crowd until its memory shows.
            booted = observation.step - evidence.last_down_step.get(service, -9) <= 2
            if not booted and reading.memory_rise(service) < 1.3 and not self._explained(service, reading):
                found.append(Fault(FaultMode.OVERLOADED, service))
        return found

    def _explained(self, service: Service, reading: Reading) -> bool:
        """Whether something that `service` calls is swamped itself."""
        return any(upstream in reading.swamped() for upstream in CALLS[service])

    def _may_be_booting(self, service: Service, observation: Observation) -> bool:
        """Whether it may have gone down for a deploy; for the gateway, nobody has the time to wait and see."""
        if not self._alarms_may_be_false or service is Service.GATEWAY:
            return False
        return observation.step > 0 and self._evidence.down_steps[service] < 2

    def _told_by_logs(self, reading: Reading) -> list[Fault]:
        told = self._evidence.redeployed
        # A new release is guilty only where the service does something wrong.
        guilty = {service for service in told if service in self._evidence.raising or not reading.is_well(service)}
        return [Fault(FaultMode.BAD_DEPLOY, service) for service in DEEPEST_FIRST if service in guilty]

    def _search(self, reading: Reading) -> Action:
        """Nothing stands out: give it two steps, then read one log after the other, the loudest first."""
        self._idle_steps += 1
        unread = [service for service in Service if service not in self._evidence.read]
        if self._idle_steps <= 2 or not unread:
            return Wait()
        return CheckLogs(max(unread, key=lambda service: _loudness(service, reading)))


def _loudness(service: Service, reading: Reading) -> float:
    errors = reading.value(service, Feature.ERROR_RATIO)
    return errors if errors == errors else 1.0
