"""A container, a network or a volume is ours only if all its labels and its image are right."""

from __future__ import annotations

import pytest

from mirr.env.vocabulary import Service
from mirr.lab.containers import LabContainers
from mirr.lab.errors import ForeignProject, LabNotUp
from mirr.lab.names import Role
from mirr.lab.ownership import holdings, network_not_ours, not_ours, refuse_foreign_project, volume_not_ours
from tests.lab.fakes import FakeContainer, FakeEngine, container

OURS = {
    "mirr.lab": "mirr",
    "mirr.role": "service",
    "mirr.service": "auth",
    "com.docker.compose.project": "mirr",
    "com.docker.compose.service": "auth",
}


def test_a_container_with_all_labels_and_a_known_image_is_ours() -> None:
    assert not_ours("mirr", OURS, "mirr/auth:1.4.0") is None
    assert not_ours("mirr", OURS, "mirr/auth:1.5.0-sound") is None
    for role in (Role.TRAFFIC, Role.PROMETHEUS, Role.ALERTMANAGER):
        one = container(role)
        assert not_ours("mirr", one.labels, one.image) is None
    sandbox = container(Role.SANDBOX, Service.AUTH)
    assert not_ours("mirr", sandbox.labels, sandbox.image) is None


@pytest.mark.parametrize(
    ("changed", "image", "why"),
    [
        ({"mirr.lab": "mirr-two"}, "mirr/auth:1.4.0", "its label mirr.lab is not mirr"),
        (
            {"mirr.role": ""},
            "mirr/auth:1.4.0",
            "its label mirr.role is none of: service, sandbox, traffic, prometheus, alertmanager",
        ),
        (
            {"mirr.service": "billing"},
            "mirr/auth:1.4.0",
            "its label mirr.service is none of: gateway, auth, inventory, orders, payments",
        ),
        ({"com.docker.compose.project": "other"}, "mirr/auth:1.4.0", "Compose did not make it for project mirr"),
        ({"com.docker.compose.service": "auth-net"}, "mirr/auth:1.4.0", "Compose did not make it as auth"),
        ({}, "mirr/orders:1.4.0", "its image is none of mirr/auth"),
        ({}, "elsewhere/mirr/auth:1.4.0", "its image is none of mirr/auth"),
        ({}, "nginx", "its image is none of mirr/auth"),
    ],
)
def test_a_container_with_one_wrong_value_is_a_stranger(changed: dict[str, str], image: str, why: str) -> None:
    assert not_ours("mirr", OURS | changed, image) == why


def test_a_container_without_labels_is_a_stranger() -> None:
    assert not_ours("mirr", {}, "mirr/auth:1.4.0") == "its label mirr.lab is not mirr"


def test_networks_and_volumes_need_all_labels_too() -> None:
    ours = {"mirr.lab": "mirr", "com.docker.compose.project": "mirr"}
    assert network_not_ours("mirr", ours | {"com.docker.compose.network": "default"}) is None
    assert network_not_ours("mirr", ours) == "its label com.docker.compose.network is none of: default"
    assert volume_not_ours("mirr", ours | {"com.docker.compose.volume": "auth-data"}) is None
    assert volume_not_ours("mirr", {"mirr.lab": "mirr"}) == "Compose did not make it for project mirr"


def test_a_container_stays_ours_when_the_tag_of_its_image_has_moved() -> None:
    engine = FakeEngine(container(Role.TRAFFIC))
    engine.moved_tags = True  # the engine lists the container with the id of its image
    assert [row["Id"] for row in holdings(engine.api, "mirr").containers] == ["mirr-traffic"]


def test_a_stranger_is_not_a_part_of_the_lab() -> None:
    stranger = FakeContainer(name="mirr_auth_1", labels={**OURS, "mirr.role": "other"}, image="mirr/auth:1.4.0")
    engine = FakeEngine(stranger)
    assert LabContainers(engine.client, "mirr").all() == []
    with pytest.raises(LabNotUp, match="lab mirr is not up; start it with: make up"):
        LabContainers(engine.client, "mirr").service(Service.AUTH)
    assert [str(one) for one in holdings(engine.api, "mirr").strangers] == [
        "container mirr_auth_1 (its label mirr.role is none of: service, sandbox, traffic, prometheus, alertmanager)"
    ]


def test_up_refuses_a_project_that_has_foreign_containers() -> None:
    web = FakeContainer(name="mirr_web_1", labels={"com.docker.compose.project": "mirr"}, image="nginx")
    engine = FakeEngine(web, container(Role.TRAFFIC))
    engine.volumes = {"mirr_auth-data": {}, "precious": {}}
    with pytest.raises(ForeignProject) as raised:
        refuse_foreign_project(engine.client, "mirr")
    assert str(raised.value) == (
        "Compose would take what is not ours for lab mirr: container mirr_web_1 (its label mirr.lab is not mirr), "
        "volume mirr_auth-data (its label mirr.lab is not mirr); nothing was touched; "
        "take another name for the lab: make up LAB=mirr-two"
    )


def test_up_accepts_our_own_containers_and_other_projects() -> None:
    engine = FakeEngine(container(Role.TRAFFIC), FakeContainer(name="web", labels={"com.docker.compose.project": "w"}))
    refuse_foreign_project(engine.client, "mirr")
