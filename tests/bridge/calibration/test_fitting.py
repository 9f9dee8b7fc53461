"""Fitting recovers parameters that are known: those of a simulator on another machine that stands in for the lab."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mirr.bridge.calibration.calibrating import Calibration, Settings, calibrate
from mirr.bridge.calibration.closed_form import evidence, intervals, solved
from mirr.bridge.calibration.errors import CalibrationError
from mirr.bridge.calibration.fitters import COUPLED, FITTERS, kinds
from mirr.bridge.calibration.machine import REQUEST_TIMES, machine_of
from mirr.bridge.calibration.splits import HELD_OUT_SERVICE, Split, in_split, split_of
from mirr.bridge.calibration.values import changed, value_of
from mirr.bridge.recording import PlayKind, Recordings
from mirr.env.reward import Outcome
from mirr.env.scenario import draw
from mirr.env.simulator.randomisation import Randomisation, default_parameters, randomisable
from mirr.env.vocabulary import Service
from tests.bridge.calibration.other_machine import FASTER, PLAYS, faster_lab, recorded, truth

pytestmark = pytest.mark.thorough

CLOSED = [name for fitter in FITTERS for name in fitter.names]
NEAR = 0.1  # of the true value
LEAK_NEAR = 0.15  # three numbers are read from the same few leaks
START_NEAR = 0.25  # half a tick of the simulator, during which nobody knows when a boot ends
BOOT_NEAR = 0.15  # nobody knows how long before the end of a window its last scrape came
QUICKLY = Settings(draws=10, evaluations=0)


@pytest.fixture(scope="module")
def closed() -> Calibration:
    return calibrate(faster_lab(), default_parameters(), QUICKLY)


def test_every_parameter_with_a_closed_form_is_recovered() -> None:
    """With the coupled ones known, nothing is left that the closed forms cannot see."""
    found = evidence(in_split(faster_lab().by_key.values(), Split.TRAINING))
    known = {name: value_of(truth(), name) for name in COUPLED}
    fitted = solved(found, default_parameters(), fixed=known)
    ends = intervals(found, default_parameters(), fixed=known, draws=20, rng=np.random.default_rng(0))
    names = [name for name in CLOSED if name not in COUPLED]
    times = {name: fitted.values[name] / value_of(truth(), name) for name in names}
    near = {name: LEAK_NEAR if name.startswith("leak") else NEAR for name in names}
    near |= {"start_s": START_NEAR, "boot_cpu_s": BOOT_NEAR}
    assert {name: value for name, value in times.items() if abs(value - 1.0) > near[name]} == {}
    outside = [name for name in names if not ends[name][0] <= value_of(truth(), name) <= ends[name][1]]
    assert len(names) > 25
    assert len(outside) <= 5, outside  # those of the leak are read from the same few plays


def test_a_lab_that_is_the_reference_has_the_machine_of_the_reference() -> None:
    lab = recorded(PLAYS[:60], default_parameters())
    found = solved(evidence(list(lab.by_key.values())), default_parameters())
    machine = machine_of(found.parameters, default_parameters(), found.values)
    assert machine.request_cpu == pytest.approx(dict.fromkeys(Service, 1.0), rel=0.05)
    usual = {service: own.latency_p50_s for service, own in default_parameters().services.items()}
    assert machine.latency_p50_s == pytest.approx(usual, rel=0.08)
    assert machine.idle_cpu_cores == pytest.approx(default_parameters().idle_cpu_cores, rel=0.01)


def test_what_belongs_to_the_machine_is_told_apart_from_the_system(closed: Calibration) -> None:
    machine = closed.machine
    assert machine.request_cpu == pytest.approx(FASTER.request_cpu, rel=0.05)
    assert machine.latency_p50_s == pytest.approx(FASTER.latency_p50_s, rel=0.08)
    assert machine.idle_cpu_cores == pytest.approx(FASTER.idle_cpu_cores, rel=0.05)
    again = machine.applied(closed.system)
    for name in REQUEST_TIMES:
        assert value_of(again, name) == pytest.approx(value_of(closed.parameters, name))
    assert machine.latency_sigma == pytest.approx(FASTER.latency_sigma, rel=0.1)
    # What the system does is the same as on the reference machine, but for a leak, which keeps less.
    assert closed.system.services[Service.AUTH].request_cpu_s == pytest.approx(0.0049)
    assert closed.system.services[Service.AUTH].surge_request_cpu_s == pytest.approx(0.0085, rel=NEAR)
    assert closed.system.leak_body_mb == pytest.approx(0.7, rel=LEAK_NEAR)


def test_the_fit_holds_on_what_it_has_not_seen(closed: Calibration) -> None:
    training, held_out = closed.losses[Split.TRAINING], closed.losses[Split.HELD_OUT]
    for losses in (training, held_out):
        assert losses.tuned is not None
        assert losses.untuned is not None
        assert losses.itself is not None
        assert losses.tuned < 0.5 * losses.untuned
    assert training.plays + held_out.plays == len(PLAYS)


def test_whether_an_episode_was_resolved_and_its_reward_make_no_difference(closed: Calibration) -> None:
    lab = faster_lab()
    other = {
        key: one
        if one.ending is None
        else replace(one, ending=replace(one.ending, outcome=Outcome.COLLAPSED, clean=False, reward=-100.0))
        for key, one in lab.by_key.items()
    }
    assert any(one.ending is not None for one in other.values())
    again = calibrate(replace(lab, by_key=other), default_parameters(), QUICKLY)
    assert again.parameters == closed.parameters
    assert again.losses == closed.losses


def test_what_is_held_out_makes_no_difference_to_the_fit(closed: Calibration) -> None:
    lab = faster_lab()
    seen = {key: one for key, one in lab.by_key.items() if split_of(one.play) is Split.TRAINING}
    again = calibrate(Recordings(sessions=lab.sessions, by_key=seen), default_parameters(), QUICKLY)
    assert again.parameters == closed.parameters
    assert again.losses[Split.HELD_OUT].plays == 0


def test_one_service_and_severe_faults_are_held_out() -> None:
    held_out = {play.key for play in PLAYS if split_of(play) is Split.HELD_OUT}
    for play in PLAYS:
        if play.kind is PlayKind.STEADY:
            assert play.key not in held_out
        if play.kind is PlayKind.PROBE:
            assert play.fault is not None
            assert (play.key in held_out) == (play.fault.service is HELD_OUT_SERVICE)
    severe = [
        play
        for play in PLAYS
        if play.kind is PlayKind.RANDOMISED
        and play.tier is not None
        and play.key in held_out
        and all(fault.service is not HELD_OUT_SERVICE for fault in draw(play.seed, tier=play.tier).faults)
    ]
    assert severe


def test_the_ranges_are_those_that_randomisation_draws_from(closed: Calibration) -> None:
    ranges = {name: {"between": [one.low, one.high]} for name, one in closed.fitted.items() if one.low is not None}
    assert set(ranges) == set(CLOSED)
    drawn = Randomisation.from_json({"ranges": ranges, "sets": 3}).draw(closed.parameters)
    assert len(drawn.sets) == 3


def test_the_names_of_the_table_are_parameters_that_may_vary() -> None:
    assert set(kinds()) <= set(randomisable())


def test_recordings_without_probes_are_refused() -> None:
    with pytest.raises(CalibrationError) as refused:
        calibrate(Recordings(sessions=(), by_key={}), default_parameters(), QUICKLY)
    assert str(refused.value) == (
        "the recordings have no probe that tells a parameter; next: mirr collect --part probes"
    )


def test_simulated_moments_find_what_the_closed_forms_cannot_see() -> None:
    pytest.importorskip("cma", reason="cma is not installed: pip install 'mirr-lab[calibrate]'")
    coupled = {"timeout_spread": 0.45, "shed_cpu_s": 0.0016}
    lab = recorded(PLAYS, changed(default_parameters(), coupled))
    before = calibrate(lab, default_parameters(), QUICKLY)
    found = calibrate(lab, default_parameters(), Settings(draws=20, evaluations=60, most_plays=90))
    after, start = found.losses[Split.TRAINING].tuned, before.losses[Split.TRAINING].tuned
    assert after is not None
    assert start is not None
    assert after < start
    assert found.evaluations >= 60
    for name, value in coupled.items():
        one = found.fitted[name]
        assert one.low is not None
        assert one.high is not None
        assert abs(one.value - value) < abs(one.before - value), name
