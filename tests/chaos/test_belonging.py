"""What belongs together is compared and mended: a service and its sandbox, a container and its network.

The engine is a fake one. The reverter and the fleet are the real ones.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mirr.chaos.docker_fleet import DockerFleet
from mirr.chaos.errors import ImageMissing, NotReverted
from mirr.chaos.journal import Journal
from mirr.chaos.reverter import Reverter
from mirr.env.vocabulary import Fault, FaultMode, Service
from mirr.lab.doctor import _wiring
from mirr.lab.names import Role
from mirr.lab.ownership import own_networks
from mirr.lab.wiring import findings, started_at, wanted_networks
from tests.chaos.engine import LAB, NETWORK, NEVER, LabEngine, at
from tests.fakes.assembly import fake_chaos
from tests.fakes.campaigns import FakeCampaigns
from tests.fakes.clock import FakeClock
from tests.fakes.lab import FakeLab


@pytest.fixture
def engine() -> LabEngine:
    return LabEngine()


@pytest.fixture
def fleet(engine: LabEngine, tmp_path: Path) -> DockerFleet:
    fleet = DockerFleet(engine, LAB, Journal(tmp_path))
    fleet.remember()
    return fleet


@pytest.fixture
def reverter(fleet: DockerFleet, tmp_path: Path) -> Reverter:
    return Reverter(fleet, FakeCampaigns(FakeLab(FakeClock())), Journal(tmp_path))


def restart_a_sandbox(engine: LabEngine) -> None:
    engine.restart(engine.id_of("payments-net"))


def make_a_sandbox_anew(engine: LabEngine) -> None:
    old = engine.one("gateway-net")
    engine.remove_container(old["Id"], force=True)
    fresh = old["Config"] | {
        "HostConfig": old["HostConfig"],
        "NetworkingConfig": {"EndpointsConfig": {NETWORK: {"Aliases": ["gateway-net", "gateway"]}}},
    }
    engine.start(engine.create_container_from_config(fresh, name="mirr_gateway-net_1")["Id"])


def disconnect_a_sandbox(engine: LabEngine) -> None:
    engine.disconnect_container_from_network(engine.id_of("auth-net"), NETWORK)


def disconnect_the_generator(engine: LabEngine) -> None:
    engine.disconnect_container_from_network(engine.id_of("traffic"), NETWORK)


def lose_an_alias(engine: LabEngine) -> None:
    disconnect_a_sandbox(engine)
    engine.connect_container_to_network(engine.id_of("auth-net"), "network-1", aliases=["auth-net"])


def join_another_network(engine: LabEngine) -> None:
    engine.networks_by_name["elsewhere"] = {"Id": "network-2", "Name": "elsewhere", "Labels": {}}
    engine.connect_container_to_network(engine.id_of("prometheus"), "network-2", aliases=[])


def make_the_network_anew(engine: LabEngine) -> None:
    engine.one("prometheus")["NetworkSettings"]["Networks"][NETWORK]["NetworkID"] = "network-0"


@pytest.mark.parametrize(
    ("break_it", "done"),
    [
        (restart_a_sandbox, ["restarted payments"]),
        (make_a_sandbox_anew, ["recreated gateway at release 1.4.0"]),
        (disconnect_a_sandbox, ["joined auth's sandbox to its network again"]),
        (disconnect_the_generator, ["joined the load generator to its network again"]),
        (lose_an_alias, ["joined auth's sandbox to its network again"]),
        (join_another_network, ["joined Prometheus to its network again"]),
        (make_the_network_anew, ["joined Prometheus to its network again"]),
    ],
)
def test_revert_finds_and_mends_what_does_not_belong_together_any_more(
    engine: LabEngine, reverter: Reverter, break_it: Callable[[LabEngine], None], done: list[str]
) -> None:
    break_it(engine)
    assert [step.done for step in reverter.plan()] == done
    assert reverter.revert() == done
    assert reverter.revert() == []
    for service in Service:
        assert engine.one(service)["HostConfig"]["NetworkMode"] == f"container:{engine.id_of(f'{service}-net')}"
        assert set(engine.one(f"{service}-net")["NetworkSettings"]["Networks"][NETWORK]["Aliases"]) >= {service.value}


def test_a_lab_as_it_was_made_needs_nothing(engine: LabEngine, reverter: Reverter) -> None:
    assert reverter.revert() == []
    assert engine.acts == []


def test_what_a_container_belongs_to_is_known_without_a_blueprint(engine: LabEngine, tmp_path: Path) -> None:
    disconnect_a_sandbox(engine)
    journal = Journal(tmp_path / "empty")
    fleet = DockerFleet(engine, LAB, journal)
    lab = FakeLab(FakeClock())
    assert Reverter(fleet, FakeCampaigns(lab), journal).revert() == ["joined auth's sandbox to its network again"]
    assert engine.one("auth-net")["NetworkSettings"]["Networks"][NETWORK]["Aliases"][:2] == ["auth-net", "auth"]


def test_a_service_that_only_seems_older_than_its_sandbox_is_left_alone(engine: LabEngine, reverter: Reverter) -> None:
    """The clock was set back after the sandbox had started."""
    engine.one("orders")["State"]["StartedAt"] = "2025-12-31T00:00:00Z"
    assert reverter.revert() == []


def test_a_sandbox_that_started_again_after_the_clock_was_set_back_is_found(
    engine: LabEngine, reverter: Reverter
) -> None:
    restart_a_sandbox(engine)
    engine.one("payments-net")["State"]["StartedAt"] = "2025-12-31T00:00:00Z"
    assert reverter.revert() == ["restarted payments"]


def test_a_network_that_is_gone_is_named_with_the_next_command(engine: LabEngine, reverter: Reverter) -> None:
    disconnect_a_sandbox(engine)
    engine.networks_by_name.clear()
    with pytest.raises(NotReverted) as raised:
        reverter.revert()
    once = "network mirr_default, which the lab is made in, is gone; next: mirr up --lab mirr"
    assert once in str(raised.value)
    assert str(raised.value).count(once) == 1  # and not for each container
    assert findings(LAB, list(engine.held.values()), own_networks(engine, LAB)) == ["network mirr_default is gone"]
    check = _wiring(LAB, list(engine.held.values()), own_networks(engine, LAB))
    assert (check.text, check.remedy) == ("network mirr_default is gone", "make up")


def test_a_network_of_somebody_else_is_not_joined(engine: LabEngine, reverter: Reverter) -> None:
    disconnect_a_sandbox(engine)
    engine.networks_by_name[NETWORK] = {"Id": "network-9", "Name": NETWORK, "Labels": {}}
    with pytest.raises(NotReverted, match="network mirr_default, which the lab is made in, is gone; next: "):
        reverter.revert()


def test_a_limit_that_only_a_new_sandbox_can_have_takes_its_service_along(
    engine: LabEngine, reverter: Reverter
) -> None:
    engine.one("auth-net")["HostConfig"] = engine.one("auth-net")["HostConfig"] | {"Memory": 200}
    assert reverter.revert() == ["gave auth's sandbox its limits back", "recreated auth at release 1.4.0"]
    assert reverter.revert() == []


@pytest.mark.parametrize("text", ["", NEVER, None, "soon"])
def test_a_container_that_never_started_has_no_time(text: object) -> None:
    assert started_at({"State": {"StartedAt": text}}) == 0.0


def test_times_are_compared_as_times_and_not_as_texts() -> None:
    whole, later = {"State": {"StartedAt": "2026-01-01T00:00:05Z"}}, {"State": {"StartedAt": at(5)}}
    assert started_at(whole) < started_at(later)


def test_the_compose_file_gives_each_container_the_name_that_others_call_it_by() -> None:
    assert wanted_networks("two", Role.SANDBOX, Service.AUTH, None) == {"two_default": ["auth-net", "auth"]}
    assert wanted_networks("two", Role.TRAFFIC, None, None) == {"two_default": ["traffic"]}


@pytest.mark.parametrize(
    ("break_it", "found"),
    [
        (restart_a_sandbox, "payments stayed behind when its sandbox started again"),
        (make_a_sandbox_anew, "gateway lives in a container that is not its sandbox any more"),
        (disconnect_a_sandbox, "auth-net is not in network mirr_default as it should be"),
        (lose_an_alias, "auth-net is not in network mirr_default as it should be"),
        (make_the_network_anew, "prometheus is not in network mirr_default as it should be"),
    ],
)
def test_doctor_says_what_does_not_belong_together(
    engine: LabEngine, break_it: Callable[[LabEngine], None], found: str
) -> None:
    def look() -> list[str]:
        return findings(LAB, list(engine.held.values()), own_networks(engine, LAB))

    assert look() == []
    break_it(engine)
    assert look() == [found]


# Images


def test_a_service_keeps_its_container_if_the_image_of_the_next_one_is_missing(
    engine: LabEngine, fleet: DockerFleet
) -> None:
    engine.missing_images = {"mirr/payments:1.5.0", "mirr/payments:1.4.0"}
    before = engine.id_of("payments")
    with pytest.raises(ImageMissing) as raised:
        fleet.deploy(Service.PAYMENTS, "1.5.0", previous="1.4.0")
    assert str(raised.value) == (
        "image mirr/payments:1.5.0 is missing, so payments of lab mirr was left as it is; "
        "next: mirr up --lab mirr, which builds it"
    )
    with pytest.raises(ImageMissing, match=r"image mirr/payments:1\.4\.0 is missing, so payments of lab mirr was left"):
        fleet.recreate(Service.PAYMENTS, "1.4.0")
    assert (engine.acts, engine.id_of("payments")) == ([], before)


def test_a_service_keeps_its_container_if_its_volume_is_somebody_elses(engine: LabEngine, fleet: DockerFleet) -> None:
    engine.volumes["mirr_auth-data"] = {}
    with pytest.raises(Exception, match=r"volume mirr_auth-data does not belong to lab mirr \(.*\): not touched"):
        fleet.recreate(Service.AUTH, "1.4.0")
    assert engine.acts == []


def test_a_part_keeps_its_container_if_its_image_is_missing(engine: LabEngine, reverter: Reverter) -> None:
    engine.one("prometheus")["HostConfig"] = engine.one("prometheus")["HostConfig"] | {"Memory": 200}
    engine.missing_images = {"mirr/prometheus:lab"}
    with pytest.raises(NotReverted) as raised:
        reverter.revert()
    assert str(raised.value) == (
        "image mirr/prometheus:lab is missing, so Prometheus of lab mirr was left as it is; "
        "next: mirr up --lab mirr, which builds it"
    )
    assert engine.id_of("prometheus")


def test_an_injection_without_its_image_is_refused_and_leaves_nothing_to_revert(tmp_path: Path) -> None:
    lab = FakeLab(FakeClock())
    lab.missing_images = {(Service.PAYMENTS, "1.5.0"), (Service.AUTH, "1.5.0-sound")}
    journal = Journal(tmp_path, now=lab.clock.now)
    chaos = fake_chaos(lab, journal)
    with pytest.raises(ImageMissing):
        chaos.inject(Fault(FaultMode.BAD_DEPLOY, Service.PAYMENTS))
    with pytest.raises(ImageMissing):
        chaos.deploy_sound(Service.AUTH)
    assert (journal.open_acts(), lab.acts, chaos.lost_lease()) == ([], 0, None)
