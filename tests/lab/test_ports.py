"""Which host ports a lab gets, and the error for a port that is taken."""

from __future__ import annotations

import socket
from contextlib import nullcontext
from itertools import count

import pytest

from mirr.env.vocabulary import Service
from mirr.lab.containers import LabContainers, Ports
from mirr.lab.errors import BadPort, LabError, PortTaken
from mirr.lab.names import Role
from mirr.lab.ports import (
    answers,
    choose,
    chosen_for,
    held_by_lab,
    holder_among_labs,
    is_free,
    published_by_lab,
    refuse_outer_engine,
    refuse_unreachable,
)
from tests.lab.fakes import FakeEngine, container


def test_the_default_lab_has_the_default_ports() -> None:
    assert choose("mirr", {}, environment={}, free=lambda port: True) == Ports(
        gateway=8080, prometheus=9090, traffic=8089
    )


def test_the_environment_overrides_a_port() -> None:
    chosen = choose("mirr", {}, environment={"GATEWAY_PORT": "18080"}, free=lambda port: True)
    assert chosen == Ports(gateway=18080, prometheus=9090, traffic=8089)


@pytest.mark.parametrize(("environment", "port"), [({}, 9093), ({"ALERTMANAGER_PORT": "19093"}, 19093)])
def test_only_a_lab_with_an_alertmanager_gets_a_port_for_it(environment: dict[str, str], port: int) -> None:
    chosen = choose("mirr", {}, alertmanager=True, environment=environment, free=lambda port: True)
    assert chosen == Ports(alertmanager=port)
    assert choose("mirr", {}, environment=environment, free=lambda port: True) == Ports(alertmanager=None)


def test_the_error_for_the_port_of_alertmanager_names_the_command_that_has_one() -> None:
    with pytest.raises(PortTaken) as raised:
        choose("mirr", {}, alertmanager=True, environment={}, free=lambda port: port != 9093)
    assert str(raised.value) == (
        "port 9093 for the lab's alertmanager is taken by another program; "
        "choose another: ALERTMANAGER_PORT=10093 .venv/bin/mirr up --alertmanager"
    )


@pytest.mark.parametrize("asked", [True, False])
def test_a_lab_keeps_the_port_of_its_alertmanager_whether_it_is_asked_for_again_or_not(
    monkeypatch: pytest.MonkeyPatch, asked: bool
) -> None:
    monkeypatch.delenv("ALERTMANAGER_PORT", raising=False)
    engine = FakeEngine(container(Role.ALERTMANAGER, lab="two", ports={"9093/tcp": "41003"}))
    assert chosen_for(LabContainers(engine.client, "two"), alertmanager=asked).alertmanager == 41003


def test_another_lab_gets_free_ports() -> None:
    numbers = count(40000)
    chosen = choose("two", {}, environment={}, free=lambda port: True, pick=lambda: next(numbers))
    assert chosen == Ports(gateway=40000, prometheus=40001, traffic=40002)


def test_another_lab_never_gets_the_same_port_twice() -> None:
    numbers = iter([40000, 40000, 40001, 40001, 40002])
    chosen = choose("two", {}, environment={}, free=lambda port: True, pick=lambda: next(numbers))
    assert chosen == Ports(gateway=40000, prometheus=40001, traffic=40002)


def test_a_lab_that_exists_keeps_its_own_ports() -> None:
    held = {"gateway": 41000, "prometheus": 41001, "traffic": 41002}
    chosen = choose("two", held, environment={}, free=lambda port: False)
    assert chosen == Ports(gateway=41000, prometheus=41001, traffic=41002)


def test_the_error_for_a_taken_port_names_the_other_lab_and_the_fix() -> None:
    with pytest.raises(PortTaken) as raised:
        choose("mirr", {}, environment={}, free=lambda port: port != 9090, holder=lambda port: "two")
    assert str(raised.value) == (
        "port 9090 for the lab's prometheus is taken by lab two; choose another: make up PROMETHEUS_PORT=10090"
    )


def test_the_error_for_a_port_of_another_program_names_the_fix() -> None:
    with pytest.raises(PortTaken) as raised:
        choose("two", {}, environment={"TRAFFIC_PORT": "81"}, free=lambda port: port != 81)
    assert str(raised.value) == (
        "port 81 for the lab's traffic is taken by another program; choose another: make up LAB=two TRAFFIC_PORT=1081"
    )


@pytest.mark.parametrize("text", ["http", "0", "65536", "-80", "²3", "٣٣٣٣", "8080 ", "1e3"])
def test_a_value_that_is_not_a_port_is_refused(text: str) -> None:
    with pytest.raises(BadPort) as raised:
        choose("mirr", {}, environment={"GATEWAY_PORT": text})
    assert str(raised.value) == f"GATEWAY_PORT={text} is not a port; set it to a number between 1 and 65535"


def test_a_port_of_too_many_digits_is_refused_in_few_words() -> None:
    with pytest.raises(BadPort) as raised:
        choose("mirr", {}, environment={"GATEWAY_PORT": "8" * 5000})
    assert len(str(raised.value)) < 200


def test_the_port_of_a_container_that_is_down_may_be_taken_by_another_program() -> None:
    engine = FakeEngine(
        container(Role.SANDBOX, Service.GATEWAY, ports={"8000/tcp": "41000"}),
        container(Role.TRAFFIC, status="exited", ports={"8000/tcp": "41002"}),
    )
    lab = LabContainers(engine.client, "mirr")
    held, published = held_by_lab(lab), published_by_lab(lab)
    assert published == {41000}

    def chosen(**environment: str) -> Ports:
        return choose(
            "mirr", held, published=published, environment=environment, free=lambda port: port not in (41000, 41002)
        )

    with pytest.raises(PortTaken) as raised:
        chosen()
    assert str(raised.value) == (
        "port 41002 for the lab's traffic is taken by another program; choose another: make up TRAFFIC_PORT=42002"
    )
    assert chosen(TRAFFIC_PORT="42002") == Ports(gateway=41000, prometheus=9090, traffic=42002)


def test_the_ports_of_a_stopped_lab_are_read_from_its_containers() -> None:
    engine = FakeEngine(
        container(Role.SANDBOX, Service.GATEWAY, status="exited", ports={"8000/tcp": "41000"}),
        container(Role.TRAFFIC, status="exited", ports={"8000/tcp": "41002"}),
    )
    assert held_by_lab(LabContainers(engine.client, "mirr")) == {"gateway": 41000, "traffic": 41002}


def test_the_lab_that_publishes_a_port_is_found() -> None:
    engine = FakeEngine(container(Role.TRAFFIC, lab="two", ports={"8000/tcp": "8089"}))
    assert holder_among_labs(engine.client, 8089) == "two"
    assert holder_among_labs(engine.client, 8090) is None


def test_a_container_with_the_socket_of_an_outer_engine_is_named_after_ten_seconds() -> None:
    waited: list[float] = []
    with pytest.raises(LabError) as raised:
        refuse_outer_engine("two", Ports(), inside=lambda: True, reached=lambda _: False, sleep=waited.append)
    assert str(raised.value) == (
        "lab two runs, but its ports do not answer on this loopback: this is a container, and its Docker engine is "
        "outside of it; start the container with --network host, or run there: make up LAB=two"
    )
    assert sum(waited) == 10.0


@pytest.mark.parametrize(("inside", "reached"), [(False, False), (True, True)])
def test_an_engine_whose_ports_answer_here_is_not_an_outer_one(inside: bool, reached: bool) -> None:
    refuse_outer_engine("two", Ports(), inside=lambda: inside, reached=lambda _: reached)


def test_a_port_answers_only_while_somebody_listens() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        assert not answers(server.getsockname()[1])
        server.listen()
        assert answers(server.getsockname()[1])


@pytest.mark.parametrize(
    ("inside", "status", "reached", "refused"),
    [
        (True, "running", False, True),
        (True, "running", True, False),
        (True, "exited", False, False),  # a reset starts it
        (False, "running", False, False),  # it may have hung
    ],
)
def test_a_lab_of_an_outer_engine_is_refused_before_anybody_waits_for_it(
    inside: bool, status: str, reached: bool, refused: bool
) -> None:
    lab = LabContainers(FakeEngine(container(Role.TRAFFIC, status=status, ports={"8000/tcp": "8089"})).client, "mirr")
    with pytest.raises(LabError) if refused else nullcontext() as raised:
        refuse_unreachable(lab, inside=lambda: inside, reached=lambda port: reached)
    if raised is not None:
        assert str(raised.value) == (
            "lab mirr runs, but its ports do not answer on this loopback: this is a container, and its Docker engine "
            "is outside of it; start the container with --network host, or run there: make up"
        )


@pytest.mark.skipif(not socket.has_ipv6, reason="there is no IPv6")
@pytest.mark.parametrize(
    ("family", "kind", "address", "taken"),
    [
        (socket.AF_INET, socket.SOCK_STREAM, "127.0.0.1", True),
        (socket.AF_INET, socket.SOCK_STREAM, "0.0.0.0", True),
        (socket.AF_INET, socket.SOCK_DGRAM, "127.0.0.1", False),
        (socket.AF_INET6, socket.SOCK_STREAM, "::1", False),
    ],
)
def test_only_what_listens_on_the_loopback_over_tcp_and_ipv4_takes_a_port(
    family: socket.AddressFamily, kind: socket.SocketKind, address: str, taken: bool
) -> None:
    with socket.socket(family, kind) as other:
        try:
            other.bind((address, 0))
        except OSError:
            pytest.skip(f"this machine has no {address}")
        if kind is socket.SOCK_STREAM:
            other.listen()
        assert is_free(other.getsockname()[1]) is not taken
