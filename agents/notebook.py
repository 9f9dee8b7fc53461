"""What an engineer on call writes down during an incident: how each service looked in each window, and what logs said.

Every threshold is far from steady state and far from what faults show, because machines differ by a factor of two.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise

import numpy as np

from mirr.agents.casebook import Sign
from mirr.agents.reading import DEEPEST_FIRST, Reading
from mirr.env.environment import Observation
from mirr.env.logs import STARTED
from mirr.env.scenario import EpisodeConfig
from mirr.env.vocabulary import CALLS, STEADY_RELEASE, Feature, Service
from mirr.env.world import Level, LogLine

STEP_S = EpisodeConfig().step_s

USUAL_RATES_PER_S: dict[Service, float] = {
    Service.GATEWAY: 38.0,
    Service.AUTH: 19.0,
    Service.INVENTORY: 30.0,
    Service.ORDERS: 11.0,
    Service.PAYMENTS: 11.0,
}
"""What users ask for on an ordinary day."""

NEEDED = (Service.AUTH, Service.INVENTORY)
"""The services to which the gateway passes on almost everything that users ask for."""

EXITING = "exiting"  # the event of a process that ends itself
NOT_RAISED = frozenset({STARTED, EXITING, "stderr"})  # events that say nothing about how requests went
_RELEASE = re.compile(r"release=(\S+)")


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """Where a sign begins."""

    full_cpu: float = 0.75  # of the quota; with the most users and a burst, a healthy service comes near it
    late_p95_s: float = 0.5  # the objective; steady below 0.1
    queueing: float = 15.0  # requests in flight; steady about one
    crowded: float = 1.8  # times the usual rate; users alone come at most 1.3 times as often
    refusing: float = 0.65  # error ratio; a crowd of twice the quota gets half of its answers
    failing: float = 0.08  # error ratio
    quiet: float = 0.04  # error ratio
    swollen: float = 0.45  # of the memory limit, in one window; steady 0.2 to 0.4
    swollen_rise: float = 1.3  # times the other services, in one window
    climbed_rise: float = 1.45  # times the other services, over several windows in which memory climbs
    climb: float = 0.012  # of the memory limit, in a step
    early_rise: float = 1.28  # times the other services, in the first two windows
    risen_at_first: float = 1.25  # the same, if the climb since then is taken back
    cut_off: float = 0.6  # of the requests that the gateway passed on before
    served: float = 0.5  # of the requests that it usually passes on


THRESHOLDS = Thresholds()
SMOOTHED = 3  # windows over which memory is averaged
FITTED = 6  # windows through which a line is laid, to see whether memory climbs
STALE_STEPS = 4  # after so many steps, a log is worth another look
BOOT_STEPS = 3  # a process that was started so long ago does not boot any more
LOOKS_BACK = 5  # windows in which a deploy of the gateway is looked for
LOOKS_TWICE = 2  # windows in a row in which a sign has to be seen that chance can bring once
SETTLED_S = 6.25  # before the first observation: a release that is older did not begin the trouble
CLIMBED_S = 8.75  # the same, if memory had climbed by then: that takes a while


@dataclass
class LogNotes:
    """What the log of one service has told. What it did not tell is only known for the time before the reading."""

    read_at_step: int | None = None
    exited: bool = False
    raising: bool = False
    deployed_at_s: float | None = None  # the last start of another release, unless a fix did it: seconds after step 0


@dataclass
class Notes:
    """What is written down about one service."""

    log: LogNotes = field(default_factory=LogNotes)
    swollen: bool = False
    trouble_since: int | None = None  # the first step of the trouble that it is in
    untouched_from: int = 0  # windows before this step are from before the last fix
    changed_at_step: int | None = None  # when the last fix began


@cache
def below(service: Service) -> frozenset[Service]:
    """Every service that `service` depends on."""
    return frozenset(CALLS[service]).union(*(below(each) for each in CALLS[service]))


def _measured(readings: Sequence[Reading], service: Service) -> list[float]:
    """The memory shares of a service, as far as they could be measured."""
    values = [reading.value(service, Feature.MEMORY_SHARE) for reading in readings]
    return [value for value in values if value > 0.0]


def _rise(shares: Mapping[Service, Sequence[float]], service: Service) -> float:
    """The mean memory share of a service, divided by the median of the others. 1 if it is not known."""
    own, others = shares[service], [np.mean(seen) for each, seen in shares.items() if seen and each is not service]
    return float(np.mean(own) / np.median(others)) if own and others else 1.0


class Notebook:
    """All that is known in this episode."""

    def __init__(self, *, harmless_deploys: bool) -> None:
        self._harmless_deploys = harmless_deploys
        self._readings: list[Reading] = []  # one for each step, from step 0
        self._seen: list[dict[Service, frozenset[Sign]]] = []  # the same, as signs of that window alone
        self._notes = {service: Notes() for service in Service}
        self.quiet_steps = 0  # steps in a row, until now, in which nothing stood out

    @property
    def step(self) -> int:
        """The step of the last observation."""
        return len(self._readings) - 1

    def note(self, observation: Observation) -> None:
        """Take in one observation."""
        reading = Reading(observation.features)
        self._readings.append(reading)
        self._seen.append(self._signs_of_the_window())
        if observation.logs_of is not None:
            self._note_log(observation.logs_of, observation.logs)
        quiet = True
        for service in Service:
            notes = self._notes[service]
            notes.swollen = notes.swollen or self._is_swollen(service)
            if self.in_trouble(service):
                quiet = False
                notes.trouble_since = self.step if notes.trouble_since is None else notes.trouble_since
            elif not self._seen[-2:][0][service]:
                notes.trouble_since = None
        self.quiet_steps = self.quiet_steps + 1 if quiet else 0

    # What is known

    def known(self, service: Service) -> dict[Sign, bool]:
        """Every sign that is known to be true or not. A sign that only a log could tell may be missing."""
        seen, notes = self._seen[-1][service], self._notes[service]
        known = {
            Sign.DOWN: Sign.DOWN in seen,
            Sign.SWOLLEN: notes.swollen,
            Sign.SWAMPED: self._stands(Sign.SWAMPED, service),
            Sign.CROWDED: any(Sign.CROWDED in window[service] for window in self._seen[-LOOKS_TWICE:]),
            Sign.REFUSING: self._stands(Sign.REFUSING, service),
            Sign.FAILING: self._stands(Sign.FAILING, service),
        }
        log, read = notes.log, self._has_read_since_trouble(notes)
        told = {Sign.EXITED: log.exited, Sign.RAISING: log.raising, Sign.DEPLOYED: self._deployed(service)}
        return known | {sign: true for sign, true in told.items() if true or read}

    def in_trouble(self, service: Service) -> bool:
        """Whether something stood out about it in the last window, or its memory has ever grown too far."""
        return bool(self._seen[-1][service]) or self._notes[service].swollen

    def looks_well(self, service: Service) -> bool:
        """Whether nothing stood out about it in the last window, its memory included."""
        return not self._seen[-1][service] and not self._is_swollen(service)

    def is_up(self, service: Service) -> bool:
        """Whether it could be scraped."""
        return self._readings[-1].up(service)

    def was_up_since(self, service: Service, step: int) -> bool:
        """Whether it could be scraped in any window after that step."""
        return any(reading.up(service) for reading in self._readings[step + 1 :])

    def memory(self, service: Service) -> float:
        """Its memory share in the last window; NaN if that could not be measured."""
        return self._readings[-1].value(service, Feature.MEMORY_SHARE)

    def log_is_fresh(self, service: Service) -> bool:
        """Whether there is no use in another look into its log now."""
        notes = self._notes[service]
        if self.in_trouble(service):
            return self._has_read_since_trouble(notes)
        return notes.log.read_at_step is not None and self.step - notes.log.read_at_step < STALE_STEPS

    def memory_rise(self, service: Service) -> float:
        """Its memory share divided by that of the other services, both over several windows. 1 if it is not known."""
        return _rise({each: self._memories(each, SMOOTHED) for each in Service}, service)

    def was_cut_off(self) -> bool:
        """Whether the gateway was away for a moment in one of the last windows, and came back: it was deployed."""
        passed_on = [self._passed_on(reading) for reading in self._readings[:-1]][-LOOKS_BACK:]
        return any(
            all(now < THRESHOLDS.cut_off * earlier for earlier, now in zip(before, after, strict=True))
            for before, after in pairwise(passed_on)
        )

    def users_are_served(self) -> bool:
        """Whether the gateway passed on users' requests for most of the last window."""
        return all(share >= THRESHOLDS.served for share in self._passed_on(self._readings[-1]))

    def begin_change(self, service: Service) -> None:
        """A fix was chosen for it. What is seen until it has settled is the fix's doing."""
        self._notes[service].changed_at_step = self.step
        self._notes[service].untouched_from = self.step + 1 + LOOKS_TWICE

    def forget(self, service: Service) -> None:
        """Forget what was known about it, because a fix has changed it."""
        old = self._notes[service]
        self._notes[service] = Notes(untouched_from=self.step, changed_at_step=old.changed_at_step)

    def doubt_log(self, service: Service) -> None:
        """What its log told cannot be the whole truth: it has to be read again."""
        self._notes[service].log = LogNotes()

    # What a window shows

    def _signs_of_the_window(self) -> dict[Service, frozenset[Sign]]:
        """The signs of each service that show in the last window alone."""
        reading = self._readings[-1]
        found: dict[Service, frozenset[Sign]] = {}
        for service in DEEPEST_FIRST:
            disturbed = any(found[each] & {Sign.DOWN, Sign.SWAMPED, Sign.FAILING} for each in below(service))
            found[service] = frozenset(self._signs(service, reading, disturbed=disturbed))
        return found

    def _signs(self, service: Service, reading: Reading, *, disturbed: bool) -> set[Sign]:
        """`disturbed` says that a service below explains late answers and errors."""
        at = THRESHOLDS
        if not reading.up(service):
            return {Sign.DOWN}
        if disturbed:
            return set()
        errors = reading.value(service, Feature.ERROR_RATIO)
        late = (
            reading.value(service, Feature.LATENCY_P95_S) >= at.late_p95_s
            or reading.value(service, Feature.IN_FLIGHT) >= at.queueing
        )
        if reading.value(service, Feature.CPU_SHARE) >= at.full_cpu and late:
            found = {Sign.SWAMPED}
            if reading.value(service, Feature.REQUEST_RATE) >= at.crowded * USUAL_RATES_PER_S[service]:
                found.add(Sign.CROWDED)
            if errors >= at.refusing:
                found.add(Sign.REFUSING)
            return found
        calm_below = all(
            reading.value(each, Feature.ERROR_RATIO) < at.quiet
            and reading.value(each, Feature.LATENCY_P95_S) < at.late_p95_s
            for each in below(service)
        )
        return {Sign.FAILING} if errors >= at.failing and calm_below else set()

    def _stands(self, sign: Sign, service: Service) -> bool:
        """Whether a sign is more than chance, or the cold start of a new process. At the very first observation once is
        enough: the trouble is older than that."""
        if self.step < self._notes[service].untouched_from:
            return False
        windows = self._seen[-LOOKS_TWICE:]
        return all(sign in window[service] for window in windows) and (len(windows) == LOOKS_TWICE or self.step == 0)

    def _is_swollen(self, service: Service) -> bool:
        """Whether it needs far more memory than the others."""
        at = THRESHOLDS
        if self.memory(service) >= at.swollen and self._readings[-1].memory_rise(service) >= at.swollen_rise:
            return True
        return self.memory_rise(service) >= at.climbed_rise and self._climb(service) >= at.climb

    def _had_climbed_at_first(self, service: Service) -> bool:
        """Whether its memory was already above that of the others at the first observation: by what was seen then, and
        by the line on which it climbs now. Either alone may be noise."""
        first = {each: _measured(self._readings[:LOOKS_TWICE], each) for each in Service}
        seen = self._memories(service, FITTED)
        before = self.step - 0.5 * (len(seen) - 1)  # from step 0 to the middle of the windows
        taken_back = float(np.mean(seen)) - before * self._climb(service) if seen else 0.0
        return (
            _rise(first, service) >= THRESHOLDS.early_rise
            and _rise(first | {service: [taken_back]}, service) >= THRESHOLDS.risen_at_first
        )

    def _memories(self, service: Service, windows: int) -> list[float]:
        """Its memory shares in the last windows, as far as they were measured, and are from after its last change."""
        changed = self._notes[service].changed_at_step
        first = max(len(self._readings) - windows, 0 if changed is None else changed + 1)
        return _measured(self._readings[first:], service)

    def _climb(self, service: Service) -> float:
        """By how much its memory share climbs in a step. 0 if there are too few windows to say."""
        seen = self._memories(service, FITTED)
        if len(seen) <= SMOOTHED:
            return 0.0
        steps = np.arange(len(seen)) - 0.5 * (len(seen) - 1)
        return float(steps @ seen / (steps @ steps))  # least squares

    def _passed_on(self, reading: Reading) -> tuple[float, ...]:
        """What the gateway passes on to each of the services that users always need, as a share of the usual. One that
        cannot be measured gets 1: it says nothing."""
        shares = [reading.value(each, Feature.REQUEST_RATE) / USUAL_RATES_PER_S[each] for each in NEEDED]
        return tuple(share if share >= 0.0 else 1.0 for share in shares)

    # What a log tells

    def _note_log(self, service: Service, lines: tuple[LogLine, ...]) -> None:
        notes = self._notes[service]
        log, since = notes.log, notes.trouble_since
        if not lines and since is not None and self.step - since < BOOT_STEPS:
            return  # a new container whose process has not started yet: this says nothing
        log.read_at_step = self.step
        log.exited = log.exited or any(line.event == EXITING for line in lines)
        log.raising = any(line.level is Level.ERROR and line.event not in NOT_RAISED for line in lines)
        # The log was read at the end of the step before this one.
        read_at_s = (self.step - 1) * STEP_S
        fixed_at_s = math.inf if notes.changed_at_step is None else notes.changed_at_step * STEP_S
        for line in sorted(lines, key=lambda line: -line.age_s):
            if line.event != STARTED:
                continue
            release = _RELEASE.search(line.text)
            is_other = release is not None and release.group(1) != STEADY_RELEASE
            started_at_s = read_at_s - line.age_s
            if is_other and started_at_s < fixed_at_s:
                log.deployed_at_s = started_at_s

    def _deployed(self, service: Service) -> bool:
        """Whether the release that its log names began the trouble. Harmless ones went out before."""
        deployed_at_s = self._notes[service].log.deployed_at_s
        if deployed_at_s is None:
            return False
        climbed = self._notes[service].swollen and self._had_climbed_at_first(service)
        return not self._harmless_deploys or deployed_at_s >= -(CLIMBED_S if climbed else SETTLED_S)

    def _has_read_since_trouble(self, notes: Notes) -> bool:
        read, since = notes.log.read_at_step, notes.trouble_since
        return read is not None and since is not None and read > since
