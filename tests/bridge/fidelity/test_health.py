"""What came of an action: onset, recovery, and the class of the outcome."""

from __future__ import annotations

import pytest

from mirr.bridge.fidelity.health import OutcomeClass, course, onset, outcome, recovery
from mirr.bridge.fidelity.pairs import Pair
from mirr.bridge.fidelity.timing import timing
from mirr.bridge.recording import Recording
from tests.bridge.collected import probe_of

BROKEN = [0.0, 0.5, 0.5, 0.5]  # steady, and three windows with the fault


def came_of(after: list[float], before: list[float] | None = None) -> OutcomeClass:
    return outcome(course(probe_of([*(before or BROKEN), *after])))


@pytest.mark.parametrize(
    ("after", "came"),
    [
        ([0.5, 0.0, 0.0, 0.0, 0.0, 0.0], OutcomeClass.RESOLVED),
        ([0.5, 0.5, 0.0, 0.0, 0.5, 0.5], OutcomeClass.RESOLVED),  # an episode would have ended there
        ([0.5, 0.2, 0.2, 0.2, 0.2, 0.2], OutcomeClass.IMPROVED),
        ([0.5, 0.3, 0.3, 0.3, 0.3, 0.3], OutcomeClass.UNCHANGED),
        ([1.0, 1.0, 0.5, 0.5, 0.5, 0.5], OutcomeClass.UNCHANGED),  # a restart's own outage is over at the end
        ([0.5, 0.0, 0.5, 0.0, 0.5, 0.5], OutcomeClass.UNCHANGED),
        ([0.5, 0.9, 0.9, 0.9, 0.9, 0.9], OutcomeClass.WORSE),
    ],
)
def test_an_outcome_is_judged_against_the_windows_before_the_action(after: list[float], came: OutcomeClass) -> None:
    assert came_of(after) is came


def test_where_nothing_hurt_before_nothing_can_be_resolved() -> None:
    assert came_of([0.0] * 6, before=[0.0] * 4) is OutcomeClass.UNCHANGED
    assert came_of([0.0, 0.0, 0.9, 0.9, 0.9, 0.9], before=[0.0] * 4) is OutcomeClass.WORSE


def test_a_service_that_is_down_weighs_a_fifth_of_all_users() -> None:
    recording = probe_of([*[0.0] * 4, *[0.1] * 6], down=[False] * 4 + [True] * 6)
    assert course(recording).burden[-1] == pytest.approx(0.1 + 0.2)
    assert outcome(course(recording)) is OutcomeClass.WORSE


def test_a_faulty_release_that_hurts_nobody_is_no_symptom_and_no_recovery_either() -> None:
    recording = probe_of([0.0, 0.9, *[0.0] * 8], degraded=[False] + [True] * 9)
    assert course(recording).symptoms == (False, True, *[False] * 8)
    assert not any(course(recording).good[1:])
    assert outcome(course(recording)) is OutcomeClass.IMPROVED


def test_onset_and_recovery_are_counted_from_the_injection_and_the_action() -> None:
    late = course(probe_of([0.0, 0.0, 0.0, 0.5, 0.5, 0.5, 0.0, 0.0, 0.0, 0.0]))
    assert (onset(late), recovery(late)) == (2, 2)
    never = course(probe_of([0.0, 0.0, 0.0, 0.0, 0.5, 0.0, 0.5, 0.0, 0.5, 0.0]))
    assert (onset(never), recovery(never)) == (None, None)


def apart(one: Recording, two: Recording) -> tuple[int | None, int | None]:
    found = timing(Pair(reference=one, other=two, stratum=0))
    return found.onset_steps, found.recovery_steps


def test_errors_of_onset_and_recovery_are_differences_in_steps() -> None:
    quick = probe_of([0.0, 0.5, 0.5, 0.5, 0.5, 0.0, 0.0, 0.0])
    slow = probe_of([0.0, 0.0, 0.0, 0.5, 0.5, 0.5, 0.0, 0.0])
    assert apart(quick, slow) == (2, 1)


def test_what_happens_in_one_world_alone_is_off_by_every_window_that_could_show_it() -> None:
    breaks = probe_of([0.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5])
    heals = probe_of([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    assert apart(breaks, heals) == (3, 4)
    assert apart(breaks, breaks) == (0, None)
