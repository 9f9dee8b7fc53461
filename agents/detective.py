"""The detective: keeps hypotheses for every service, and pays for the log that tells them apart.

It knows the table of forms (`casebook`) and writes down what it sees (`notebook`). For a service in trouble, it strikes
out every case that does not fit. When only one mode is left and proved, it commits, fixes, and goes on watching: there
may be a second fault, or its fix may have been wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mirr.agents.casebook import IN_THE_LOG, Case, Sign, open_cases, verdict
from mirr.agents.notebook import BOOT_STEPS, LOOKS_TWICE, Notebook
from mirr.agents.reading import DEEPEST_FIRST
from mirr.env.environment import Observation
from mirr.env.vocabulary import (
    REMEDY,
    Action,
    CheckLogs,
    Diagnose,
    DiagnoseNone,
    Fault,
    FaultMode,
    Service,
    Wait,
)

PATIENCE_STEPS = 8  # after so many steps without effect, a fix counts as wrong; a long queue takes time to drain
CALM_STEPS = 14  # by then, the slowest leak that begins latest has shown: the alarm was false
QUIET_STEPS = 6  # for so long, nothing must have stood out
FULL_AGAIN = 0.5  # of the memory limit, at which a leak that came back is worth another restart; the objective is 0.6
FULL_TOO = 0.35  # the same, if another leak was just restarted
MOST_RESTARTS = 6  # of a leak that comes back; then it may be something else
ODD_RISE = 1.2  # times the memory of the other services: the log may be worth a look
SUSPICIOUS = (Sign.DOWN, Sign.SWOLLEN, Sign.SWAMPED, Sign.FAILING)
"""The signs by which a service is suspected, the most certain first."""


@dataclass
class Treatment:
    """A fix of which nobody knows yet whether it helps."""

    fault: Fault
    since_step: int


class DetectivePolicy:
    """Commits only to what is proved. With `alarms_may_be_false` it knows that some releases are harmless, and that
    there may be nothing broken."""

    def __init__(self, *, alarms_may_be_false: bool = False) -> None:
        self._alarms_may_be_false = alarms_may_be_false
        self._begin()

    def _begin(self) -> None:
        self._notebook = Notebook(harmless_deploys=self._alarms_may_be_false)
        self._diagnosed: Fault | None = None  # said in the last step, and not fixed yet
        self._treated: dict[Service, Treatment] = {}
        self._excluded: dict[Service, set[FaultMode]] = {service: set() for service in Service}  # a fix did not help
        self._named: set[Service] = set()  # by a diagnosis, and not well since
        self._leaks: dict[Service, int] = {}  # services that a restart helped for a while, with the number of restarts
        self._untouched = True  # nothing was fixed so far
        self._stood_down = False
        self._thoughts: tuple[str, ...] = ()

    def reset(self, rng: np.random.Generator) -> None:
        """Forget the last episode."""
        self._begin()

    def act(self, observation: Observation) -> Action:
        """The next action, from this observation and what was written down before."""
        self._notebook.note(observation)
        self._judge_treatments(observation)
        if self._diagnosed is not None:
            self._thoughts = (f"{_named(self._diagnosed)}: proved, or the last guess left",)
            return self._fix(self._diagnosed)
        hypotheses = self._hypotheses()
        self._thoughts = self._told(hypotheses)
        for service, cases in hypotheses:
            action = self._pursue(service, cases)
            if action is not None:
                return action
        returned = self._leak_that_is_back()
        return self._watch() if returned is None else self._fix(returned)

    def thoughts(self) -> tuple[str, ...]:
        """The cases that are open for each service in trouble, and the fixes that it waits for."""
        return self._thoughts

    def _told(self, hypotheses: list[tuple[Service, list[Case]]]) -> tuple[str, ...]:
        waits = (
            f"{_named(each.fault)}: fixed at step {each.since_step}, not judged yet" for each in self._treated.values()
        )
        is_open = (f"{service}: {' or '.join(_names(cases))}" for service, cases in hypotheses)
        return (*is_open, *waits) or ("nothing stands out",)

    # Hypotheses

    def _hypotheses(self) -> list[tuple[Service, list[Case]]]:
        """The services in trouble, with the cases that are open for them, the most certain suspicion first."""
        found: dict[Service, list[Case]] = {}
        for sign in SUSPICIOUS:
            for service in DEEPEST_FIRST:
                if service in found or service in self._treated or service in self._leaks:
                    continue
                if self._notebook.known(service)[sign]:
                    found[service] = self._open_cases(service)
        return [(service, cases) for service, cases in found.items() if cases]

    def _open_cases(self, service: Service) -> list[Case]:
        known, excluded = self._notebook.known(service), self._excluded[service]
        cases = open_cases(known, excluded)
        if not cases:
            # The signs contradict each other, or a fix has failed. So what the log told was not the whole truth.
            self._notebook.doubt_log(service)
            cases = open_cases({sign: true for sign, true in known.items() if sign not in IN_THE_LOG}, excluded)
        return cases

    def _pursue(self, service: Service, cases: list[Case]) -> Action | None:
        """What to do about a service in trouble. None: nothing for now."""
        known = self._notebook.known(service)
        if service is Service.GATEWAY and known[Sign.DOWN] and not self._notebook.users_are_served():
            return self._commit(Fault(self._mode_of_dead_gateway(cases), service))
        mode = verdict(cases, known)
        if mode is None and self._excluded[service]:
            mode = cases[0].mode  # a fix has failed: what is left is tried in the order of the table
        if mode is not None:
            return self._commit(Fault(mode, service))
        return CheckLogs(service) if any(case.asks_the_log(known) for case in cases) else None

    def _mode_of_dead_gateway(self, cases: list[Case]) -> FaultMode:
        """The best guess, without a look into the log. Without a gateway nothing works for users, and after three
        windows of that it is too late. A diagnosis and a boot take two."""
        modes = [case.mode for case in cases]
        return FaultMode.BAD_DEPLOY if FaultMode.BAD_DEPLOY in modes and self._notebook.was_cut_off() else modes[0]

    # Fixes

    def _commit(self, fault: Fault) -> Action:
        """Diagnose, then fix in the next step. If the service was named already, fix at once: a second name would not
        count."""
        if fault.service in self._named:
            return self._fix(fault)
        self._named.add(fault.service)
        self._diagnosed = fault
        return Diagnose(fault.service, fault.mode)

    def _fix(self, fault: Fault) -> Action:
        self._diagnosed = None
        self._untouched = False
        self._treated[fault.service] = Treatment(fault, self._notebook.step)
        self._notebook.begin_change(fault.service)
        return REMEDY[fault.mode](fault.service)

    def _judge_treatments(self, observation: Observation) -> None:
        """See which fixes have helped, and exclude the modes of those that have not."""
        book = self._notebook
        for service, treatment in list(self._treated.items()):
            waited = book.step - treatment.since_step
            refused = waited == 1 and not observation.last_accepted
            dead = not book.is_up(service) and (
                waited >= BOOT_STEPS or book.was_up_since(service, treatment.since_step)
            )
            if waited >= LOOKS_TWICE and book.looks_well(service):
                self._close(service, treatment.fault.mode)
            elif refused or dead or waited >= PATIENCE_STEPS:
                self._excluded[service].add(treatment.fault.mode)
                del self._treated[service]

    def _close(self, service: Service, mode: FaultMode) -> None:
        """The service is well again. If something is wrong with it later, that is a new case."""
        del self._treated[service]
        self._notebook.forget(service)
        self._excluded[service].clear()
        self._named.discard(service)
        if mode is FaultMode.MEMORY_LEAK:
            self._leaks[service] = self._leaks.get(service, 0) + 1

    def _leak_that_is_back(self) -> Fault | None:
        """A leak whose client is still there, and has filled the memory again. In an incident with one fault, its fix
        would have been the end. So it was no leak."""
        book = self._notebook
        # Two leaks are restarted in a row. Else one of them would always be above its objective.
        limit = FULL_AGAIN
        if any(each in self._leaks and fix.since_step == book.step - 1 for each, fix in self._treated.items()):
            limit = FULL_TOO
        for service, restarts in list(self._leaks.items()):
            if service in self._treated or (book.is_up(service) and not book.memory(service) >= limit):
                continue
            if self._alarms_may_be_false and restarts < MOST_RESTARTS:
                return Fault(FaultMode.MEMORY_LEAK, service)
            del self._leaks[service]
            self._excluded[service].add(FaultMode.MEMORY_LEAK)
        return None

    # Nothing to fix

    def _watch(self) -> Action:
        """Read a log if one may tell something; else wait, or say that nothing is broken."""
        book = self._notebook
        if self._treated:
            return Wait()
        for service in DEEPEST_FIRST:
            if book.in_trouble(service) and not book.log_is_fresh(service):
                return CheckLogs(service)
        calm = self._untouched and book.step >= CALM_STEPS and book.quiet_steps >= QUIET_STEPS
        if self._alarms_may_be_false and calm and not self._stood_down:
            self._stood_down = True
            return DiagnoseNone()
        odd = [each for each in DEEPEST_FIRST if not book.log_is_fresh(each) and self._is_worth_a_look(each)]
        return CheckLogs(max(odd, key=book.memory_rise)) if odd else Wait()

    def _is_worth_a_look(self, service: Service) -> bool:
        """Whether to read its log although nothing stands out. If something must be broken, every log is worth it."""
        if self._alarms_may_be_false or not self._untouched:
            return self._notebook.memory_rise(service) >= ODD_RISE
        return True


def _names(cases: list[Case]) -> list[str]:
    """The modes and forms of cases, each once."""
    return list(dict.fromkeys(f"{case.mode}/{case.form}" for case in cases))


def _named(fault: Fault) -> str:
    return f"{fault.mode} on {fault.service}"
