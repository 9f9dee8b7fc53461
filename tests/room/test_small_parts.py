"""The parts of a room that stand alone: codes, limits, the clock, hints."""

from __future__ import annotations

import pytest

from mirr.env.scenario import draw
from mirr.env.vocabulary import Fault, Tier
from mirr.room.clock import RoundClock
from mirr.room.incidents import Choice, hints_about, incident_of, packs
from mirr.room.keys import CODE_LENGTH, LETTERS, key_of, new_code, new_token, read_code, same
from mirr.room.limits import MOST_ADDRESSES, Limiter
from tests.room.rooms import Time


def test_a_join_code_is_one_of_a_million_millions() -> None:
    assert len(LETTERS) ** CODE_LENGTH > 10**12
    assert len({new_code() for _ in range(100)}) == 100


@pytest.mark.parametrize("typed", ["k7qd2mxa", " K7QD-2MXA ", "k7qd 2mxa", "K7QD\u20132MXA"])
def test_a_code_is_read_however_it_is_typed(typed: str) -> None:
    assert read_code(typed) == "K7QD-2MXA"


def test_a_key_does_not_show_its_token() -> None:
    token = new_token()
    assert len(token) >= 43
    assert token not in key_of(token)
    assert same(key_of(token), key_of(token))
    assert not same(key_of(token), key_of(token + "x"))


def test_a_limit_holds_for_each_address_and_ends_with_time() -> None:
    time = Time()
    limiter = Limiter(2, 60.0, now=time)
    assert [limiter.take("one") for _ in range(3)] == [True, True, False]
    assert limiter.take("other")
    time.s += 61
    assert limiter.take("one")


def test_a_limit_for_all_holds_against_many_addresses() -> None:
    limiter = Limiter(10, 60.0, most_of_all=3, now=Time())
    assert [limiter.take(f"address {number}") for number in range(4)] == [True, True, True, False]


def test_the_same_again_is_no_new_event_until_it_is_forgotten() -> None:
    time = Time()
    limiter = Limiter(2, 60.0, now=time)
    for _ in range(5):
        limiter.note("one", "a")
    assert not limiter.is_full("one")
    limiter.note("one", "b")
    assert limiter.is_full("one")
    time.s += 61
    limiter.note("one", "a")
    assert not limiter.is_full("one")


def test_a_limiter_forgets_addresses_so_that_it_does_not_grow() -> None:
    limiter = Limiter(1, 60.0, now=Time())
    for number in range(MOST_ADDRESSES + 1):
        limiter.note(str(number))
    assert limiter.take("0")
    assert not limiter.take(str(MOST_ADDRESSES))


def test_a_clock_without_a_limit_is_never_out() -> None:
    clock = RoundClock()
    clock.start(10.0)
    assert clock.elapsed_s(10_000.0) == 9_990.0
    assert not clock.is_out(10_000.0)


def test_a_clock_stands_at_its_limit_and_does_not_go_back_with_the_machines_clock() -> None:
    clock = RoundClock(limit_s=60.0)
    clock.start(100.0)
    assert clock.elapsed_s(90.0) == 0.0
    assert clock.elapsed_s(500.0) == 60.0
    clock.stop(500.0)
    assert clock.played_s == 60.0


@pytest.mark.parametrize("seed", range(20))
def test_the_first_hint_does_not_say_it_all(seed: int) -> None:
    scenario = draw(seed, tier=Tier.HARD)
    hints = hints_about(scenario)
    for fault in scenario.faults:
        assert str(fault.mode) not in " ".join(hint.text for hint in hints)
    if scenario.faults:
        assert hints[0].text.count(",") >= 1
    assert [hint.cost for hint in hints] == sorted(hint.cost for hint in hints)


def test_what_players_may_read_of_a_drawn_incident_is_the_same_for_all() -> None:
    incidents = [incident_of(Choice(tier=Tier.EASY, seed=seed)) for seed in range(50)]
    assert len({(incident.title, incident.symptom) for incident in incidents}) == 1
    assert incident_of(Choice(tier=Tier.EASY, seed=7)).debrief == f"Broken: {draw(7).faults[0]}."


def test_a_packs_own_hints_take_the_place_of_the_usual_ones() -> None:
    own = [pack for pack in packs().values() if pack.hints]
    assert own
    for pack in own:
        incident = incident_of(Choice(pack=pack.id, seed=pack.seed))
        assert [hint.text for hint in incident.hints] == [hint.text.strip() for hint in pack.hints]
        assert incident.debrief == pack.debrief.strip()


def test_nothing_is_said_of_a_fault_where_nothing_is_broken() -> None:
    incident = incident_of(Choice(pack="false-alarm"))
    assert incident.scenario.faults == ()
    assert Fault.parse("crashed:auth") not in incident.scenario.faults
    assert incident.hints[0].text == "Ask whether any user is hurt at all, and for how long."
