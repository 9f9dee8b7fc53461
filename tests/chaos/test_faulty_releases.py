"""The forms of a bad deploy on a fake lab: how severe they are, when they show, what helps and for how long."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from mirr.bridge.docker_world import DockerWorld
from mirr.bridge.status import status
from mirr.chaos.chaos import Chaos
from mirr.chaos.docker_fleet import DockerFleet
from mirr.chaos.errors import ImageMissing
from mirr.chaos.faults import all_forms, crashing, errors, leaky, severity_on_containers, slow
from mirr.chaos.journal import Journal
from mirr.chaos.sight import Sight
from mirr.chaos.tools import Tools
from mirr.env.forms import all_forms as all_simulated_forms
from mirr.env.objectives import FEATURE_COLUMN, SERVICE_ROW
from mirr.env.vocabulary import Breaks, Ends, Fault, FaultMode, Feature, Restart, Rollback, ScaleUp, Service
from mirr.env.world import FEATURES_SHAPE, Snapshot
from mirr.lab.errors import ImageError
from mirr.lab.releases import LAYERS
from mirr.lab.sources import release_tree
from tests.chaos.engine import LabEngine
from tests.fakes.assembly import fake_chaos, fake_docker_world
from tests.fakes.lab import FakeLab
from tests.fakes.meter import FakeMeter

RELEASES = {"errors": errors.RELEASE, "slow": slow.RELEASE, "leaky": leaky.RELEASE, "crashing": crashing.RELEASE}
CONSTANTS = {"errors": "share", "slow": "strength", "leaky": "room", "crashing": "numbers"}
"""The module of each release that says how strong it is."""

every_form = pytest.mark.parametrize("name", RELEASES)


@pytest.fixture
def chaos(lab: FakeLab, journal: Journal) -> Chaos:
    return fake_chaos(lab, journal)


@pytest.fixture
def world(lab: FakeLab, journal: Journal) -> DockerWorld:
    return fake_docker_world(lab, journal)


def tools_of(lab: FakeLab) -> Tools:
    return Tools(
        fleet=lab,
        meter=FakeMeter(lab),
        run_campaign=lambda _: None,
        end_campaign=lambda _: None,
        alone=True,
        severity=14.0,
    )


def fault(name: str, severity: str = "") -> Fault:
    return Fault.parse(f"bad_deploy/{name}{severity}:payments")


@every_form
def test_the_builds_of_a_form_reach_from_its_least_to_its_most_severity(name: str) -> None:
    can = all_simulated_forms()[FaultMode.BAD_DEPLOY][name].severity
    assert can is not None
    assert all_forms()[name].severities == tuple(sorted((can.least, can.usual, can.most)))


@every_form
def test_the_constant_of_every_build_is_its_severity(name: str) -> None:
    for severity, release in RELEASES[name].builds.items():
        module = release_tree(release)[f"services/data/{CONSTANTS[name]}.py"].decode()
        constant = re.search(r"^[A-Z_]+ = ([\d.]+)", module, re.MULTILINE)
        assert constant is not None
        assert float(constant[1]) == severity


@every_form
def test_a_fault_without_a_severity_deploys_an_image_that_every_lab_has(name: str, chaos: Chaos, lab: FakeLab) -> None:
    chaos.inject(fault(name))
    assert lab.services[Service.PAYMENTS].release in ("1.5.0", f"1.5.0-{name}")


@pytest.mark.parametrize(
    ("drawn", "played", "release"),
    [
        ("slow@12.9", 12.0, "1.5.0-slow-mild"),
        ("slow@13.1", 14.0, "1.5.0-slow"),
        ("crashing@2.2", 2.0, "1.5.0-crashing-strong"),
        ("leaky@0.02", 0.015, "1.5.0-leaky-mild"),
        ("errors@0.7", 0.75, "1.5.0-strong"),
    ],
)
def test_a_drawn_severity_is_played_as_the_nearest_build(
    drawn: str, played: float, release: str, chaos: Chaos, lab: FakeLab
) -> None:
    named = Fault.parse(f"bad_deploy/{drawn}:payments")
    assert severity_on_containers(named) == played
    chaos.inject(named)
    assert lab.services[Service.PAYMENTS].release == release


def test_a_form_without_builds_is_as_severe_as_drawn() -> None:
    assert severity_on_containers(Fault.parse("overloaded@1.3:auth")) == 1.3
    assert severity_on_containers(Fault.parse("crashed:auth")) == 0.0


@every_form
def test_nobody_sees_which_release_it_is(name: str, world: DockerWorld, lab: FakeLab) -> None:
    world.restore(key=0)
    world.inject(fault(name))
    shown = status("fake", telemetry=lab, fleet=lab, faults=[])
    assert shown.service_fields(Service.PAYMENTS)["release"] == "1.5.0"
    assert world.observe().degraded == {Service.PAYMENTS: "runs release 1.5.0, steady is 1.4.0"}
    assert world.apply(Rollback(Service.PAYMENTS)).text == "payments is going back to release 1.4.0"


def test_a_rollback_to_a_sound_release_does_not_say_that_it_is_sound(world: DockerWorld, lab: FakeLab) -> None:
    lab.deploy(Service.PAYMENTS, "1.5.0-sound", previous="1.4.0")
    world.happen(Breaks(fault("slow")))
    assert world.apply(Rollback(Service.PAYMENTS)).text == "payments is going back to release 1.5.0"


def test_a_rollback_works_while_the_process_is_down(world: DockerWorld, lab: FakeLab) -> None:
    world.restore(key=0)
    world.inject(fault("crashing"))
    assert not lab.services[Service.PAYMENTS].running
    assert not world.apply(ScaleUp(Service.PAYMENTS)).accepted
    world.apply(Rollback(Service.PAYMENTS))
    lab.clock.sleep(60.0)
    assert lab.services[Service.PAYMENTS].running


def test_each_restart_of_a_crashing_release_helps_for_half_as_long(world: DockerWorld, lab: FakeLab) -> None:
    world.restore(key=0)
    world.inject(fault("crashing"))
    lived_s = []
    for _ in range(3):
        world.apply(Restart(Service.PAYMENTS))
        own = lab.services[Service.PAYMENTS]
        while lab.clock.now() < own.ready_at or (state := lab.state(Service.PAYMENTS)) is None or state.running:
            lab.clock.sleep(0.25)
        lived_s.append(lab.clock.now() - own.ready_at)
    assert lived_s == [1.5, 0.75, 0.5]  # 0.375 s, looked at every quarter of a second


@every_form
def test_the_team_rolls_back_unless_somebody_has_done_so(name: str, world: DockerWorld, lab: FakeLab) -> None:
    world.happen(Breaks(fault(name)))
    world.happen(Ends(fault(name)))
    assert lab.services[Service.PAYMENTS].release == "1.4.0"
    acts = lab.acts
    all_forms()[name].end(tools_of(lab), Service.PAYMENTS)
    assert lab.acts == acts


@every_form
def test_a_revert_leaves_fresh_data(name: str, chaos: Chaos, lab: FakeLab) -> None:
    chaos.inject(fault(name))
    chaos.revert()
    own = lab.services[Service.PAYMENTS]
    assert (own.release, own.boots, own.spoiled, own.redeployed) == ("1.4.0", 0, 0.0, False)


def seen(release: str = "1.5.0", **features: float) -> Snapshot:
    measured = np.zeros(FEATURES_SHAPE)
    for feature, value in ({"up": 1.0} | features).items():
        measured[SERVICE_ROW[Service.PAYMENTS], FEATURE_COLUMN[Feature(feature)]] = value
    degraded = {} if release == "1.4.0" else {Service.PAYMENTS: f"runs release {release}"}
    return Snapshot(features=measured, journeys={}, degraded=degraded)


def landed(name: str, now: Snapshot, severity: float = 0.0) -> bool:
    sight = Sight(
        Service.PAYMENTS, seen("1.4.0", memory_share=0.3), severity=severity, measure=lambda: now, look=lambda: None
    )
    return all_forms()[name].landed(sight)


def test_a_slow_release_has_landed_once_it_is_late_or_turns_requests_away() -> None:
    assert not landed("slow", seen(latency_p95_s=0.4))
    assert landed("slow", seen(latency_p95_s=0.6))
    assert landed("slow", seen(error_ratio=0.1))
    assert not landed("slow", seen("1.4.0", latency_p95_s=0.6))


def test_a_leaky_release_has_landed_once_it_has_kept_three_seconds_of_traffic() -> None:
    assert not landed("leaky", seen(memory_share=0.41), severity=0.04)
    assert landed("leaky", seen(memory_share=0.43), severity=0.04)
    assert landed("leaky", seen(memory_share=0.35), severity=0.015)


def test_a_build_that_the_lab_lacks_is_made_before_it_is_deployed(tmp_path: Path) -> None:
    asked: list[tuple[Service, str]] = []

    def build(service: Service, release: str) -> None:
        asked.append((service, release))
        raise ImageError(f"mirr/{service}:{release} could not be built: no space left")

    engine = LabEngine()
    engine.missing_images.add("mirr/auth:1.5.0-slow-mild")
    fleet = DockerFleet(engine, "mirr", Journal(tmp_path), build=build)
    with pytest.raises(ImageMissing) as raised:
        fleet.deploy(Service.AUTH, "1.5.0-slow-mild", previous="1.4.0")
    assert str(raised.value) == (
        "auth of lab mirr was left as it is: mirr/auth:1.5.0-slow-mild could not be built: no space left"
    )
    assert asked == [(Service.AUTH, "1.5.0-slow-mild")]


def test_a_build_that_the_lab_has_is_deployed_at_once(tmp_path: Path) -> None:
    def build(service: Service, release: str) -> None:
        raise AssertionError(f"somebody waited for mirr/{service}:{release}")

    engine = LabEngine()
    fleet = DockerFleet(engine, "mirr", Journal(tmp_path), build=build)
    fleet.deploy(Service.AUTH, "1.5.0-slow-mild", previous="1.4.0")
    assert engine.one("auth")["Config"]["Image"] == "mirr/auth:1.5.0-slow-mild"


def test_every_build_is_a_release_with_sources() -> None:
    assert {build for release in RELEASES.values() for build in release.builds.values()} <= set(LAYERS)
