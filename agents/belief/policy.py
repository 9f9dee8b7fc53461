"""The belief policy: it commits once one answer is likely enough, and until then takes the look that tells most."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mirr.agents.belief.belief import CALM, SIZE, Belief, fault_of_answer
from mirr.agents.belief.episodes import opened
from mirr.env.environment import Observation
from mirr.env.vocabulary import (
    REMEDY,
    Action,
    CheckLogs,
    Diagnose,
    DiagnoseNone,
    Fault,
    FaultMode,
    Feature,
    Service,
    Tier,
    Wait,
)

ASSURED: Final = 0.98  # so likely, an answer is worth committing to without another look
LIKELY: Final = 0.7  # the same, if no look would tell much
GAIN: Final = 0.02  # of the best answer's odds: so much, a look has to bring on average; it costs a step
HURRY: Final = 0.5  # so likely a collapse has begun: there is no time for another look
FALSE_ALARM: Final = 0.995
SETTLING_STEPS: Final = 3  # after a fix; until then, a service that looks unwell may just be booting
SETTLING: Final = 0.98  # so likely, another service is broken all the same
STALE_STEPS: Final = 4  # after so many, a log is worth another look
FULL_AGAIN: Final = 0.5  # of the memory limit, at which a leak that came back is worth another restart
FULL_TOO: Final = 0.35  # the same, if another leak was restarted in the last step
SHOWN: Final = 4  # answers, to people who watch
WORTH_SHOWING: Final = 0.005

LOOKS: Final[tuple[Action, ...]] = (Wait(), *(CheckLogs(service) for service in Service))
"""The actions that change nothing and may tell something."""


class BeliefPolicy:
    """Knows the tier as anybody may: how likely each incident is there. Of the episode it knows observations only."""

    def __init__(self, tier: Tier, *, alarms_may_be_false: bool, size: int = SIZE) -> None:
        self._tier = tier
        self._alarms_may_be_false = alarms_may_be_false
        self._size = size
        opened(tier, size)  # takes a while the first time: not during an episode
        self._begin(np.random.default_rng(0))

    def reset(self, rng: np.random.Generator) -> None:
        """Believe what the tier says, and nothing else."""
        self._begin(rng)

    def _begin(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._believed: Belief | None = None  # made with the first observation
        self._named: Fault | None = None  # said in the last step, and not fixed yet
        self._said: set[Fault] = set()
        self._fixed_at: int | None = None  # the step of the last fix
        self._fixed: Fault | None = None
        self._leaks: set[Service] = set()
        self._read_at: dict[Service, int] = {}  # steps after which logs were read
        self._stood_down = False

    @property
    def _belief(self) -> Belief:
        if self._believed is None:
            self._believed = Belief(self._tier, self._rng, self._size)
        return self._believed

    def act(self, observation: Observation) -> Action:
        """The next action, from this observation and what is believed."""
        belief = self._belief
        belief.note(observation)
        if observation.logs_of is not None:
            self._read_at[observation.logs_of] = belief.step
        if self._named is not None:
            return self._fix(self._named)
        odds = belief.odds()
        answer = int(odds[:CALM].argmax())
        best, fault = float(odds[answer]), fault_of_answer(answer)
        if best > odds[CALM] and belief.odds_of_a_collapse() >= HURRY and not self._settling():
            return self._commit(fault)
        if odds[CALM] >= 0.5:
            return self._when_calm(observation)
        if self._settling():
            other = self._fixed is not None and fault.service is not self._fixed.service
            return self._commit(fault) if other and best >= SETTLING else Wait()
        if best >= ASSURED:
            return self._commit(fault)
        looks = [look for look in LOOKS if self._is_news(look)]
        now, then = belief.foresee(looks)
        best_look = int(then.argmax()) if then.max() >= then[0] + GAIN else 0  # the first is to wait
        if then[best_look] >= now + GAIN:
            return looks[best_look]
        return self._commit(fault) if best >= LIKELY else Wait()

    def thoughts(self) -> tuple[str, ...]:
        """The likeliest answers, with how likely each is."""
        return told(self._belief.odds())

    def _is_news(self, look: Action) -> bool:
        """Whether a look may tell what is not known yet. A log was just read, or not for a while."""
        if not isinstance(look, CheckLogs):
            return True
        return self._belief.step - self._read_at.get(look.service, -STALE_STEPS) >= STALE_STEPS

    def _settling(self) -> bool:
        return self._fixed_at is not None and self._belief.step - self._fixed_at < SETTLING_STEPS

    def _when_calm(self, observation: Observation) -> Action:
        """Nothing seems to be broken now: say so once that is certain, keep a leak that was found low, or watch."""
        false = self._belief.odds_of_a_false_alarm()
        if self._alarms_may_be_false and false >= FALSE_ALARM and not self._stood_down and not self._said:
            self._stood_down = True
            return DiagnoseNone()
        returned = self._leak_that_is_back(observation)
        return Wait() if returned is None else self._fix(returned)

    def _leak_that_is_back(self, observation: Observation) -> Fault | None:
        """A leak whose client has filled the memory again. As long as a second fault is open, it is restarted again."""
        last = self._fixed if self._fixed_at == self._belief.step - 1 else None
        # Two leaks are restarted in a row. Else one of them would always be above its objective.
        limit = FULL_TOO if last is not None and last.service in self._leaks else FULL_AGAIN
        for service in Service:
            just_restarted = last is not None and last.service is service
            full = observation.value(service, Feature.MEMORY_SHARE) >= limit
            if service in self._leaks and full and not just_restarted:
                return Fault(FaultMode.MEMORY_LEAK, service)
        return None

    def _commit(self, fault: Fault) -> Action:
        """Diagnose and fix in the next step. What was said already is not said again. If another fault was said before,
        this may be a second one, whose diagnosis counts; if it is not, that costs a step."""
        if fault in self._said:
            return self._fix(fault)
        self._said.add(fault)
        self._named = fault
        return Diagnose(fault.service, fault.mode)

    def _fix(self, fault: Fault) -> Action:
        self._named = None
        self._fixed, self._fixed_at = fault, self._belief.step
        if fault.mode is FaultMode.MEMORY_LEAK:
            self._leaks.add(fault.service)
        return REMEDY[fault.mode](fault.service)


def told(odds: NDArray[np.float64]) -> tuple[str, ...]:  # (answers + 1,)
    """The likeliest answers for people, with how likely each is."""
    likeliest = (int(answer) for answer in np.argsort(-odds, kind="stable")[:SHOWN] if odds[answer] >= WORTH_SHOWING)
    return tuple(f"{_named(answer)}: {odds[answer]:.0%}" for answer in likeliest)


def _named(answer: int) -> str:
    if answer == CALM:
        return "nothing is broken now"
    fault = fault_of_answer(answer)
    return f"{fault.mode} on {fault.service}"
