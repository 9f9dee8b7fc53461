"""The episodes that the audit plays on the real lab. At the end of an episode, the contract has its turn.

It tries every fix against the fault. Where there was no fault, it lets one begin and end.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import numpy as np

from mirr.chaos.faults import costly, form_of, killed
from mirr.env.scenario import EpisodeConfig, Scenario, draw
from mirr.env.vocabulary import ACTIONS, Action, CheckLogs, Fault, FaultMode, Fix, Service
from mirr.env.world import World, WorldError
from tests.audit.faults import in_turn
from tests.audit.transcript import Transcript, record, without_fault
from tests.contract.remedies import after_every_fix, begun_and_ended, lost

CONFIG = EpisodeConfig(step_s=1.0, max_steps=80, none_diagnosis=True)
SERVICES_A_MODE = int(os.environ.get("MIRR_AUDIT", "2"))
LOGS = 3

FIXES: tuple[Fix, ...] = tuple(action for action in ACTIONS if isinstance(action, Fix))
FAULTS = in_turn(SERVICES_A_MODE)

# A few costly requests a second are sized by looks at a handful of them, which takes a lab with the machine to itself.
# `mirr lifecycle` plays them there. The crowd plays their mode here. tests/chaos/test_added_form.py ends a process on
# the lab, as `killed` does, and tries every fix.
NOT_FIXED = (costly.FORM, killed.FORM)

# The contract lets these begin and end after the episodes without a fault. `mirr lifecycle` lets every form begin on
# the lab, and tests/chaos lets every form end on the fake one. What ends a crowd and what ends a crash are together
# what ends a leak: its client is stopped, and its process is started again.
ENDED = tuple(Fault(mode, Service.INVENTORY) for mode in (FaultMode.MEMORY_LEAK, FaultMode.BAD_DEPLOY))


def fixed_faults() -> list[Fault]:
    """The faults against which the contract tries every fix: one of each form."""
    first = {form_of(fault).texts.title: fault for fault in reversed(FAULTS) if form_of(fault) not in NOT_FIXED}
    return [fault for fault in FAULTS if fault in first.values()]


def logs(number: int) -> list[Action]:
    """Some logs. Two consecutive numbers together give the logs of every service."""
    services = list(Service)
    return [CheckLogs(services[(LOGS * number + place) % len(services)]) for place in range(LOGS)]


def actions_of(number: int, fault: Fault) -> list[Action]:
    """The log of the faulty service, a fix, the log of the fixed service, and some other logs. Faults of every mode on
    every service together use every fix. Each mode reads the logs of every service."""
    fix = FIXES[(4 * number + 1) % len(FIXES)]
    return [CheckLogs(fault.service), fix, CheckLogs(fix.service), *logs(number)]


def episodes() -> list[tuple[Scenario, list[Action]]]:
    """The episodes in random order. In a fixed order, traces of one episode could look like a sign of the next mode."""
    found = [(without_fault(number), logs(number)) for number, _ in enumerate(ENDED)]
    found += [(draw(number, fault), actions_of(number, fault)) for number, fault in enumerate(FAULTS)]
    return [found[place] for place in np.random.default_rng(0).permutation(len(found))]


class Plays:
    """All episodes, played in one world."""

    def __init__(self, world: World, *, now: Callable[[], float] = time.perf_counter) -> None:
        self._world = world
        self._now = now
        self._transcripts: dict[Scenario, Transcript] = {}
        self._fixed: dict[Fault, list[str]] = {}
        self._ended: dict[Fault, list[str]] = {}
        for scenario, actions in episodes():
            self._play(scenario, actions)

    @property
    def transcripts(self) -> list[Transcript]:
        """What an agent saw in each episode, without what the contract did at its end."""
        return list(self._transcripts.values())

    def fixed(self, fault: Fault, *, again: bool = False) -> list[str]:
        """What the contract found when it tried every fix: [] if all is well. Perhaps the episode is played again."""
        if again:
            self._play_again(lambda scenario: fault in scenario.faults)
        return self._fixed[fault]

    def ended(self, fault: Fault, *, again: bool = False) -> list[str]:
        """What the contract found when the fault began and ended: [] if all is well."""
        if again:
            self._play_again(lambda scenario: not scenario.faults and ENDED[scenario.seed] == fault)
        return self._ended[fault]

    def _play_again(self, is_meant: Callable[[Scenario], bool]) -> None:
        for scenario, actions in episodes():
            if is_meant(scenario):
                self._play(scenario, actions)

    def _play(self, scenario: Scenario, actions: list[Action]) -> None:
        one = record(self._world, scenario, actions, name="lab", config=CONFIG, now=self._now)
        self._transcripts[scenario] = one
        if one.fault is None:
            self._ended[ENDED[scenario.seed]] = self._tried(begun_and_ended, ENDED[scenario.seed])
        elif one.fault in fixed_faults():
            shown = any(lost(snapshot, one.fault.service) for snapshot in one.measured)
            broke_nothing = [f"{one.fault} broke no objective"]
            self._fixed[one.fault] = self._tried(after_every_fix, one.fault) if shown else broke_nothing

    def _tried(self, contract: Callable[[World, Fault], list[str]], fault: Fault) -> list[str]:
        try:
            return contract(self._world, fault)
        except WorldError as error:  # it voids no more than this, and the test plays this episode again
            return [f"the world failed: {error}"]
