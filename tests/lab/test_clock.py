"""The clock of the engine's machine: how it differs from this machine's is measured, and named."""

from __future__ import annotations

import pytest
from docker.errors import APIError

from mirr.lab.clock import EngineClock, in_words, system_time
from mirr.lab.doctor import Check, Verdict, _clock
from tests.fakes.clock import FakeClock


class Machine:
    """This machine, whose clock can be set, and an engine whose clock is `ahead_s` ahead of it."""

    def __init__(self, ahead_s: float) -> None:
        self.wall, self.ticks, self.engine = FakeClock(), FakeClock(), FakeClock()
        self.engine.sleep(ahead_s)
        self.asked = 0
        self.engine_is_gone = False
        self.clock = EngineClock(self._ask, now=self.wall.now, ticks=self.ticks.now)

    def _ask(self) -> float:
        self.asked += 1
        if self.engine_is_gone:
            raise APIError("gone")
        return self.engine.now()

    def sleep(self, seconds: float) -> None:
        for clock in (self.wall, self.ticks, self.engine):
            clock.sleep(seconds)


@pytest.mark.parametrize("ahead_s", [-3600.0, -1.0, 1.0, 3600.0])
def test_the_engines_time_is_reckoned_from_this_machines(ahead_s: float) -> None:
    machine = Machine(ahead_s)
    assert machine.clock.now() == machine.engine.now()
    machine.sleep(100.0)
    assert (machine.clock.now(), machine.asked) == (machine.engine.now(), 1)


def test_the_time_that_the_engine_takes_to_answer_is_no_difference() -> None:
    assert Machine(0.3).clock.skew_s() == 0.0


def test_the_difference_is_measured_again_when_this_machines_clock_is_set() -> None:
    machine = Machine(0.0)
    assert machine.clock.skew_s() == 0.0
    machine.wall.sleep(-3600.0)
    assert (machine.clock.skew_s(), machine.asked) == (3600.0, 2)
    assert (machine.clock.skew_s(), machine.asked) == (3600.0, 2)


def test_the_difference_is_measured_again_after_a_while() -> None:
    machine = Machine(0.0)
    assert machine.clock.skew_s() == 0.0
    machine.engine.sleep(10.0)
    machine.sleep(301.0)
    assert machine.clock.skew_s() == 10.0


def test_the_last_difference_holds_if_the_engine_does_not_answer() -> None:
    machine = Machine(60.0)
    assert machine.clock.skew_s() == 60.0
    machine.engine_is_gone = True
    machine.sleep(301.0)
    assert machine.clock.skew_s() == 60.0


def test_the_engines_time_is_read_to_the_nanosecond() -> None:
    assert system_time({"SystemTime": "1970-01-01T00:01:00.123456789Z"}) == pytest.approx(60.123456)
    assert system_time({"SystemTime": "1970-01-01T01:01:00+01:00"}) == 60.0


def test_doctor_names_a_difference_of_the_clocks() -> None:
    assert _clock(Machine(0.0).clock).status is Verdict.PASS
    assert _clock(Machine(-3600.0).clock) == Check(
        code="clock",
        status=Verdict.WARN,
        text="the engine's clock is 3,600 s behind this machine's",
        remedy="set both clocks, as with: sudo timedatectl set-ntp true; or restart Docker Desktop",
    )
    assert in_words(61.0) == "the engine's clock is 61 s ahead of this machine's"
