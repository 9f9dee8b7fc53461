"""The lab's containers are found by their labels, and `down` removes a lab by its labels."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

from mirr.env.vocabulary import Service
from mirr.lab import alerting, compose, engine, images, ports, which_engine
from mirr.lab.compose import Compose
from mirr.lab.containers import LabContainers, Ports
from mirr.lab.errors import LabError, LabNotUp
from mirr.lab.names import ALERTMANAGER_IMAGE, PROMETHEUS_IMAGE, TRAFFIC_IMAGE, Role, service_image
from mirr.lab.progress import SilentProgress
from mirr.lab.state import state_dir
from mirr.lab.up_and_down import Removed, bring_up, is_whole, take_down
from tests.lab.fakes import FakeContainer, FakeEngine, container

NETWORK_LABELS = {
    "mirr.lab": "mirr",
    "com.docker.compose.project": "mirr",
    "com.docker.compose.network": "default",
}


def whole_lab(lab: str = "mirr") -> list[FakeContainer]:
    return [
        *(container(Role.SERVICE, service, lab=lab, image=service_image(service)) for service in Service),
        *(container(Role.SANDBOX, service, lab=lab, image=service_image(service)) for service in Service),
        container(Role.TRAFFIC, lab=lab, image=TRAFFIC_IMAGE),
        container(Role.PROMETHEUS, lab=lab, image=PROMETHEUS_IMAGE),
    ]


def engine_with_images(*held: FakeContainer) -> FakeEngine:
    fake = FakeEngine(*held)
    fake.images_by_tag = dict.fromkeys([one.image for one in whole_lab()], "hash")
    fake.networks["mirr_default"] = NETWORK_LABELS
    return fake


def test_the_running_one_of_two_containers_of_a_service_is_used() -> None:
    exited = container(Role.SERVICE, Service.AUTH, created="2026-01-01T00:00:02Z", status="exited")
    running = container(Role.SERVICE, Service.AUTH, created="2026-01-01T00:00:01Z")
    found = LabContainers(FakeEngine(exited, running).client, "mirr")
    assert found.service(Service.AUTH) is running  # type: ignore[comparison-overlap]
    assert found.all_of(Service.AUTH) == [exited, running]


def test_the_newest_container_is_used_if_none_runs() -> None:
    old = container(Role.SERVICE, Service.AUTH, created="2026-01-01T00:00:01Z", status="exited")
    new = container(Role.SERVICE, Service.AUTH, created="2026-01-01T00:00:02Z", status="exited")
    assert LabContainers(FakeEngine(old, new).client, "mirr").service(Service.AUTH) is new  # type: ignore[comparison-overlap]


def test_a_container_of_another_lab_is_never_used() -> None:
    fake = FakeEngine(container(Role.SERVICE, Service.AUTH, lab="mirr-two"))
    with pytest.raises(LabNotUp) as raised:
        LabContainers(fake.client, "mirr").service(Service.AUTH)
    assert str(raised.value) == "lab mirr is not up; start it with: make up"


def test_the_error_names_the_missing_part() -> None:
    fake = FakeEngine(container(Role.SERVICE, Service.ORDERS))
    with pytest.raises(LabNotUp) as raised:
        LabContainers(fake.client, "mirr").service(Service.AUTH)
    assert str(raised.value) == "lab mirr has no container of auth; start it with: make up"


def test_the_addresses_use_the_published_ports() -> None:
    fake = FakeEngine(
        container(Role.SANDBOX, Service.GATEWAY, ports={"8000/tcp": "8080"}),
        container(Role.TRAFFIC, ports={"8000/tcp": "8089"}),
        container(Role.PROMETHEUS, ports={"9090/tcp": "9090"}),
    )
    found = LabContainers(fake.client, "mirr")
    assert (found.gateway_url, found.traffic_url, found.prometheus_url) == (
        "http://127.0.0.1:8080",
        "http://127.0.0.1:8089",
        "http://127.0.0.1:9090",
    )


def test_a_lab_is_whole_if_every_part_exists_even_if_it_is_stopped() -> None:
    parts = whole_lab()
    parts[0].status = "exited"
    assert is_whole(LabContainers(engine_with_images(*parts).client, "mirr"))


def test_a_lab_with_a_missing_part_is_not_whole() -> None:
    assert not is_whole(LabContainers(engine_with_images(*whole_lab()[1:]).client, "mirr"))


def test_a_lab_is_whole_with_and_without_an_alertmanager() -> None:
    fake = engine_with_images(*whole_lab(), container(Role.ALERTMANAGER, image=ALERTMANAGER_IMAGE))
    fake.images_by_tag[ALERTMANAGER_IMAGE] = "hash"
    assert is_whole(LabContainers(fake.client, "mirr"))
    fake.held.pop()
    assert is_whole(LabContainers(fake.client, "mirr"))


def test_a_lab_with_an_older_image_is_not_whole() -> None:
    fake = engine_with_images(*whole_lab())
    del fake.images_by_tag[TRAFFIC_IMAGE]
    assert not is_whole(LabContainers(fake.client, "mirr"))


def test_a_lab_without_its_network_is_not_whole() -> None:
    fake = engine_with_images(*whole_lab())
    fake.networks = {"bridge": {}}
    assert not is_whole(LabContainers(fake.client, "mirr"))


def lab_is_on(
    monkeypatch: pytest.MonkeyPatch, fake: FakeEngine, compose_up: Callable[..., None], chosen: Ports
) -> None:
    """Let `bring_up` work on a fake engine whose images are built."""
    monkeypatch.setattr(engine, "ensure", lambda report: fake.client)
    monkeypatch.setattr(images, "ensure", lambda client, report, *, alertmanager: [])
    monkeypatch.setattr(compose, "ensure", lambda report: Compose(command=("docker-compose",)))
    monkeypatch.setattr(compose, "up", compose_up)
    monkeypatch.setattr(ports, "choose", lambda *_, **__: chosen)
    monkeypatch.setattr(ports, "refuse_outer_engine", lambda *_: None)
    monkeypatch.setattr(which_engine, "refuse_elsewhere", lambda: None)


@pytest.mark.parametrize("asked", [True, False])
def test_up_makes_a_container_anew_that_cannot_start_at_its_old_port(
    monkeypatch: pytest.MonkeyPatch, asked: bool
) -> None:
    """Somebody took the port of a generator that was down. Another port is a way out only if it is asked for."""
    fake = engine_with_images(*whole_lab())
    generator = next(one for one in fake.held if one.labels["mirr.role"] == Role.TRAFFIC)
    generator.ports = {"8000/tcp": "8089"}
    acts: list[str] = []

    def revert(lab: str) -> None:
        acts.append("revert")
        if generator.ports == {"8000/tcp": "8089"}:
            raise LabError("port 8089 is taken")

    def compose_up(*_: object) -> None:
        acts.append("compose")
        generator.name, generator.ports = "anew", {"8000/tcp": "9089"}

    lab_is_on(monkeypatch, fake, compose_up, Ports(traffic=9089 if asked else 8089))
    with nullcontext() if asked else pytest.raises(LabError, match="port 8089 is taken"):
        bring_up(
            "mirr",
            SilentProgress(),
            revert=revert,
            remember=lambda lab: acts.append("remember"),
            hold=lambda client: None,
            wait_until_steady=lambda lab, limit_s: acts.append("wait"),
        )
    assert acts == (["revert", "compose", "remember", "revert", "wait", "remember"] if asked else ["revert"])


@pytest.mark.parametrize("made_anew", [True, False])
def test_up_reverts_again_if_compose_made_a_container_anew(monkeypatch: pytest.MonkeyPatch, made_anew: bool) -> None:
    """`make up GATEWAY_PORT=...` gives the gateway another sandbox, and the gateway stays in the old one."""
    fake = engine_with_images(*whole_lab())
    acts: list[str] = []

    def compose_up(*_: object) -> None:
        acts.append("compose")
        if made_anew:
            fake.held[5].name += "-anew"

    lab_is_on(monkeypatch, fake, compose_up, Ports())
    bring_up(
        "mirr",
        SilentProgress(),
        revert=lambda lab: acts.append("revert"),
        remember=lambda lab: acts.append("remember"),
        hold=lambda client: acts.append("hold"),
        wait_until_steady=lambda lab, limit_s: acts.append("wait"),
    )
    again = ["remember", "revert"] if made_anew else []
    assert acts == ["hold", "hold", "revert", "compose", *again, "wait", "remember"]


@pytest.mark.parametrize(("asked", "there"), [(False, False), (True, False), (False, True), (True, True)])
def test_up_cares_for_alertmanager_if_it_is_asked_for_or_the_lab_has_one(
    monkeypatch: pytest.MonkeyPatch, asked: bool, there: bool
) -> None:
    fake = engine_with_images(*whole_lab(), *([container(Role.ALERTMANAGER, image=ALERTMANAGER_IMAGE)] * there))
    fake.images_by_tag[ALERTMANAGER_IMAGE] = "hash"
    acts: list[str] = []
    ports_of: list[bool] = []

    def choose(*_: object, alertmanager: bool, **__: object) -> Ports:
        ports_of.append(alertmanager)
        return Ports(alertmanager=9093 if alertmanager else None)

    lab_is_on(monkeypatch, fake, lambda *_: acts.append("compose"), Ports())
    monkeypatch.setattr(images, "ensure", lambda *_, alertmanager: acts.append(f"images: {alertmanager}"))
    monkeypatch.setattr(ports, "choose", choose)
    monkeypatch.setattr(alerting, "announce", lambda _: acts.append("announce"))
    monkeypatch.setattr(alerting, "wait_until_alerts_arrive", lambda _: acts.append("wait for alerts"))
    places = bring_up(
        "mirr",
        SilentProgress(),
        revert=lambda lab: acts.append("revert"),
        remember=lambda lab: acts.append("remember"),
        hold=lambda client: None,
        wait_until_steady=lambda lab, limit_s: acts.append("wait"),
        alertmanager=asked,
    )
    has_one = asked or there
    alerts = ["announce", "wait for alerts"] if has_one else []
    assert acts == [f"images: {has_one}", "revert", "compose", "wait", *alerts, "remember"]
    assert ports_of == [has_one]
    assert places.alertmanager_url == ("http://127.0.0.1:9093" if has_one else None)


@pytest.mark.usefixtures("state_root")
def test_down_removes_alertmanager_too() -> None:
    fake = FakeEngine(*whole_lab(), container(Role.ALERTMANAGER))
    assert take_down("mirr", fake.client).containers == 13
    assert fake.held == []


@pytest.mark.usefixtures("state_root")
def test_down_removes_only_what_has_all_labels_of_the_lab() -> None:
    by_hand = container(Role.SERVICE, Service.AUTH, lab="mirr")
    by_hand.name = "made by hand"
    ours = {"mirr.lab": "mirr", "com.docker.compose.project": "mirr"}
    nearly_ours = FakeContainer(name="nearly ours", labels={"mirr.lab": "mirr-two", "mirr.labs": "mirr"})
    fake = FakeEngine(by_hand, nearly_ours)
    fake.networks = {"mirr_default": ours | {"com.docker.compose.network": "default"}, "bridge": {}}
    fake.volumes = {
        "mirr_auth-data": ours | {"com.docker.compose.volume": "auth-data"},
        "mirr_precious": {"com.docker.compose.project": "mirr"},
        "hoard": ours,
    }
    assert take_down("mirr", fake.client) == Removed(containers=1, networks=1, volumes=1)
    assert (fake.held, list(fake.networks), list(fake.volumes)) == (
        [nearly_ours],
        ["bridge"],
        ["mirr_precious", "hoard"],
    )


@pytest.mark.usefixtures("state_root")
def test_down_twice_finds_nothing_the_second_time() -> None:
    fake = FakeEngine(container(Role.TRAFFIC))
    assert take_down("mirr", fake.client)
    assert not take_down("mirr", fake.client)


def test_down_deletes_the_state_of_its_own_lab_only(state_root: Path) -> None:
    (state_dir("mirr") / "journal.json").write_text("{}")
    (state_dir("two") / "journal.json").write_text("{}")
    take_down("mirr", FakeEngine().client)
    assert [path.name for path in (state_root / "labs").iterdir()] == ["two"]
