"""Measuring a machine within five minutes, and what is made of the profile."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from mirr.bridge.calibration import quick as measuring
from mirr.bridge.calibration.drift import drift, has_drifted
from mirr.bridge.calibration.errors import CalibrationError
from mirr.bridge.calibration.machine import REQUEST_TIMES, machine_of, parse_machine
from mirr.bridge.calibration.machine_names import MachineName, parse_machine_name
from mirr.bridge.calibration.profile import parameters_of, profile_path, read_profile, write_profile
from mirr.bridge.calibration.quick import LEAST_PLAYS, QUICK_PLAYS, quick
from mirr.bridge.calibration.values import changed, own, value_of
from mirr.bridge.collect_plays import Player, ProbePace
from mirr.env.simulator.randomisation import default_parameters
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import Service, UnknownName
from mirr.env.world import WorldError
from tests.bridge.calibration.other_machine import FASTER
from tests.bridge.collected import OtherUsers, shorten_plays
from tests.worlds import Altered

A_PLAY_S = 50.0


def clock(step_s: float) -> Iterator[float]:
    """Two readings for each play: its beginning, and its end."""
    now = 0.0
    while True:
        yield now
        now += step_s


@pytest.mark.thorough
def test_the_machine_is_recovered_from_five_plays() -> None:
    lab = OtherUsers(SimulatedWorld(FASTER.applied(default_parameters())))
    said: list[str] = []
    found = quick(Player(lab), default_parameters(), say=said.append)
    assert found.plays == len(QUICK_PLAYS) == len(said)
    assert found.machine.request_cpu == pytest.approx(FASTER.request_cpu, rel=0.05)
    assert found.machine.idle_cpu_cores == pytest.approx(FASTER.idle_cpu_cores, rel=0.05)
    assert found.machine.boot_cpu_s == pytest.approx(FASTER.boot_cpu_s, abs=0.12)
    assert found.machine.latency_p50_s == pytest.approx(FASTER.latency_p50_s, rel=0.15)
    assert found.machine.base_memory_mb == pytest.approx(FASTER.base_memory_mb, rel=0.01)
    assert found.machine.latency_sigma == pytest.approx(FASTER.latency_sigma, rel=0.15)
    value, low, high = found.measured["services.auth.request_cpu_s"]
    assert low <= value <= high
    assert value == pytest.approx(FASTER.request_cpu[Service.AUTH] * 0.0049, rel=0.05)


@pytest.mark.thorough
def test_three_short_plays_find_about_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "QUICK_PLAYS", QUICK_PLAYS[:LEAST_PLAYS])
    monkeypatch.setattr(measuring, "DRAWS", 2)  # nobody reads the intervals
    assert shorten_plays(monkeypatch) == 20.0
    found = quick(Player(OtherUsers(SimulatedWorld(FASTER.applied(default_parameters())))), default_parameters())
    assert found.machine.request_cpu == pytest.approx(FASTER.request_cpu, rel=0.12)
    assert found.machine.boot_cpu_s == pytest.approx(FASTER.boot_cpu_s, abs=0.12)
    assert found.machine.latency_p50_s == pytest.approx(FASTER.latency_p50_s, rel=0.3)


@pytest.mark.thorough
def test_no_play_begins_that_would_end_after_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "DRAWS", 2)  # nobody reads the intervals
    lab = OtherUsers(SimulatedWorld())
    ticking = clock(A_PLAY_S / 2.0)
    found = quick(Player(lab), default_parameters(), budget_s=280.0, now=lambda: next(ticking))
    assert found.plays < len(QUICK_PLAYS) or found.seconds <= 280.0
    with pytest.raises(CalibrationError) as refused:
        quick(Player(lab), default_parameters(), budget_s=60.0, now=lambda: next(ticking))
    assert str(refused.value) == "only 1 of 3 plays within 60 s; next: mirr doctor, then try again"


def test_five_plays_fit_into_five_minutes() -> None:
    played_s = len(QUICK_PLAYS) * ProbePace().steps * ProbePace().step_s
    assert played_s < 180.0  # the rest is for bringing the lab to steady state five times


def test_a_lab_that_fails_at_once_is_an_error_of_the_world() -> None:
    def fails() -> None:
        raise WorldError("the load generator is down")

    with pytest.raises(WorldError, match="the load generator is down"):
        quick(Player(Altered(SimulatedWorld(), after_restore=fails)), default_parameters())


def test_a_profile_is_kept_and_read(state_root: Path) -> None:
    assert read_profile() is None
    with pytest.raises(CalibrationError) as refused:
        parameters_of(MachineName.HERE)
    assert str(refused.value) == (
        "this machine has no profile yet; next, with the lab up: .venv/bin/mirr calibrate --quick"
    )
    assert write_profile(FASTER, {"mirr": "1"}) == state_root / "machine.json"
    assert read_profile() == FASTER
    profile_path().write_text(profile_path().read_text(encoding="utf-8"), encoding="utf-8-sig")
    assert read_profile() == FASTER  # an editor may have put a byte order mark before it
    assert parameters_of(MachineName.HERE) == FASTER.applied(default_parameters())
    assert parameters_of(MachineName.REFERENCE) == default_parameters()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "cannot read this machine's profile "),
        ("[]", "is no mirr-machine 2"),
        (json.dumps({"schema": "mirr-machine", "version": 3, "machine": {}}), "is no mirr-machine 2"),
        (json.dumps({"schema": "mirr-machine", "version": 2, "machine": {}}), "machine has the numbers request_cpu, "),
    ],
)
def test_a_damaged_profile_says_how_to_make_a_new_one(state_root: Path, content: str, why: str) -> None:
    profile_path().write_text(content)
    with pytest.raises(CalibrationError) as refused:
        read_profile()
    assert why in str(refused.value)
    assert str(refused.value).endswith("next: .venv/bin/mirr calibrate --quick")


def test_a_profile_with_one_speed_for_all_services_has_to_be_measured_again(state_root: Path) -> None:
    one = {"request_cpu": 0.9, "latency": 0.4, "latency_sigma": 0.9, "boot_cpu_s": 0.3, "idle_cpu_cores": 0.005}
    profile_path().write_text(json.dumps({"schema": "mirr-machine", "version": 1, "machine": one, "facts": {}}))
    with pytest.raises(CalibrationError) as refused:
        read_profile()
    assert str(refused.value) == (
        f"{state_root / 'machine.json'} is of an earlier version, with one speed for all services; "
        "next: .venv/bin/mirr calibrate --quick"
    )


def test_a_machine_is_written_and_read_as_json() -> None:
    assert parse_machine(json.loads(json.dumps(asdict(FASTER)))) == FASTER


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"boot_cpu_s": 0.0}, "machine.boot_cpu_s must be a positive number; got 0.0"),
        (
            {"latency_p50_s": dict.fromkeys(map(str, Service), 0.004) | {"auth": "fast"}},
            "machine.latency_p50_s.auth must be a positive number; got 'fast'",
        ),
        (
            {"latency_p50_s": {"auth": 0.004}},
            "machine.latency_p50_s has the services gateway, auth, inventory, orders, payments",
        ),
        ({"request_cpu": 0.6}, "machine.request_cpu has the services gateway, auth, inventory, orders, payments"),
        (
            {"latency": 0.4},
            "machine has the numbers request_cpu, latency_p50_s, base_memory_mb, latency_sigma, start_s, "
            "boot_cpu_s, idle_cpu_cores",
        ),
    ],
)
def test_a_machine_has_numbers_of_each_service_and_all_are_positive(other: dict[str, object], why: str) -> None:
    with pytest.raises(CalibrationError) as refused:
        parse_machine(asdict(FASTER) | other)
    assert str(refused.value) == why


def test_a_machine_changes_the_requests_of_each_service_and_what_all_share_as_much_as_these_on_average() -> None:
    system = default_parameters()
    here = FASTER.applied(system)
    for service in Service:
        assert here.services[service].latency_p50_s == FASTER.latency_p50_s[service]
        times = here.services[service].request_cpu_s / system.services[service].request_cpu_s
        assert times == pytest.approx(FASTER.request_cpu[service])
        assert here.services[service].surge_request_cpu_s == times * system.services[service].surge_request_cpu_s
        assert here.services[service].base_memory_mb == FASTER.base_memory_mb[service]
        assert here.services[service].request_cpu_cv == system.services[service].request_cpu_cv
    assert 0.5 < here.shed_cpu_s / system.shed_cpu_s < 0.72
    again = FASTER.system_of(here)
    assert [value_of(again, name) for name in REQUEST_TIMES] == pytest.approx(
        [value_of(system, name) for name in REQUEST_TIMES]
    )
    assert machine_of(here, system, own("request_cpu_s").values()).numbers() == pytest.approx(FASTER.numbers())


def test_what_a_crowd_costs_does_not_say_how_fast_the_machine_is() -> None:
    """A crowd comes to one service. Its cost there is in the system."""
    usual = default_parameters()
    crowds = changed(usual, {name: 1.6 * value_of(usual, name) for name in own("surge_request_cpu_s").values()})
    names = [*own("request_cpu_s").values(), *own("surge_request_cpu_s").values()]
    assert machine_of(crowds, usual, names).request_cpu == dict.fromkeys(Service, 1.0)


def test_a_service_whose_requests_were_not_seen_has_changed_as_the_others_have() -> None:
    here = FASTER.applied(default_parameters())
    names = own("request_cpu_s")
    found = machine_of(here, default_parameters(), [names[Service.GATEWAY], names[Service.ORDERS]])
    assert found.request_cpu[Service.AUTH] == pytest.approx(0.6)  # the root of 0.5 times 0.72
    assert machine_of(here, default_parameters(), []).request_cpu == dict.fromkeys(Service, 1.0)


def test_an_unknown_machine_lists_those_that_there_are() -> None:
    with pytest.raises(UnknownName) as refused:
        parse_machine_name("there")
    assert str(refused.value) == "unknown machine 'there'; one of: reference, here"


def test_a_lab_drifts_if_it_needs_more_cpu_time_for_the_same_requests() -> None:
    world = SimulatedWorld()
    world.restore(3)
    world.advance(10.0)
    snapshot = world.observe()
    times = drift(snapshot, default_parameters())
    assert times == pytest.approx(1.0, abs=0.08)  # requests do not all cost the same
    assert times is not None
    assert not has_drifted(times)
    faster = drift(snapshot, FASTER.applied(default_parameters()))
    assert faster is not None
    assert faster > 1.5
    assert has_drifted(faster)
    snapshot.features[:] = np.nan
    assert drift(snapshot, default_parameters()) is None
