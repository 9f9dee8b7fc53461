"""The footprint of a lab: what counts as a difference, what does not, and how a difference is described."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from mirr.env.vocabulary import Service
from mirr.lab.footprint import differences, made_of
from mirr.lab.names import LABEL_LAB, LABEL_ROLE, LABEL_SERVICE, Role

SANDBOX_ID, SERVICE_ID = "a" * 64, "b" * 64


def inspected(name: str, container_id: str, role: Role, **host: Any) -> dict[str, Any]:
    """The main fields of what the engine returns for a container."""
    return {
        "Id": container_id,
        "Name": f"/{name}",
        "Created": "2026-01-01T00:00:00Z",
        "Image": "sha256:1",
        "State": {"Status": "running", "Pid": 17, "StartedAt": "2026-01-01T00:00:00Z"},
        "RestartCount": 0,
        "Config": {
            "Hostname": container_id[:12],
            "User": "10001:10001",
            "Image": "mirr/payments:1.4.0",
            "Env": ["SERVICE=payments"],
            "ExposedPorts": {"8000/tcp": {}},
            "Labels": {LABEL_LAB: "mirr", LABEL_ROLE: str(role), LABEL_SERVICE: str(Service.PAYMENTS)},
        },
        "HostConfig": {"CpuQuota": 15_000, "CapAdd": None, "CapDrop": ["ALL"], **host},
        "Mounts": [{"Destination": "/data", "Type": "volume", "Name": "mirr_payments-data", "RW": True}],
        "NetworkSettings": {
            "Networks": {
                "mirr_default": {"Aliases": ["payments", container_id[:12], "auth"], "IPAddress": "172.18.0.5"}
            }
        },
    }


def parts() -> dict[str, Any]:
    """A service with its sandbox, its network and its volume."""
    sandbox = inspected("mirr_payments-net_1", SANDBOX_ID, Role.SANDBOX, NetworkMode="mirr_default")
    service = inspected("mirr_payments_1", SERVICE_ID, Role.SERVICE, NetworkMode=f"container:{SANDBOX_ID}")
    return {
        "containers": [sandbox, service],
        "networks": [
            {
                "Name": "mirr_default",
                "Id": "c" * 64,
                "Driver": "bridge",
                "IPAM": {"Driver": "default", "Options": None, "Config": [{"Subnet": "172.18.0.0/16"}]},
                "Containers": {SANDBOX_ID: {"Name": "mirr_payments-net_1", "IPv4Address": "172.18.0.5/16"}},
                "Labels": {LABEL_LAB: "mirr"},
            }
        ],
        "volumes": [
            {"Name": "mirr_payments-data", "CreatedAt": "2026-01-01T00:00:00Z", "Driver": "local", "Options": None}
        ],
    }


def differences_after(change: Callable[[dict[str, Any]], None]) -> list[str]:
    """The differences after one change to the parts."""
    changed = copy.deepcopy(parts())
    change(changed)
    return differences(made_of(**parts()), made_of(**changed))


def service_of(found: dict[str, Any]) -> dict[str, Any]:
    service: dict[str, Any] = found["containers"][1]
    return service


def replaced_by_an_equal_container(found: dict[str, Any]) -> None:
    new = service_of(found)
    new["Id"] = "0" * 64
    new["Created"] = new["State"]["StartedAt"] = "2026-01-02T00:00:00Z"
    new["State"]["Pid"] = 99
    new["Config"]["Hostname"] = "0" * 12
    new["NetworkSettings"]["Networks"]["mirr_default"] |= {
        "Aliases": ["auth", "0" * 12, "payments"],
        "IPAddress": "172.18.0.9",
    }
    found["networks"][0]["IPAM"]["Config"] = [{"Subnet": "172.19.0.0/16"}]
    found["volumes"][0]["CreatedAt"] = "2026-01-02T00:00:00Z"


def empty_values_written_differently(found: dict[str, Any]) -> None:
    # The engine has several ways to write an empty value.
    service_of(found)["HostConfig"] |= {"CapAdd": [], "Dns": [], "Links": None, "Binds": ""}
    found["volumes"][0]["Options"] = {}


@pytest.mark.parametrize("change", [replaced_by_an_equal_container, empty_values_written_differently])
def test_a_field_that_always_changes_is_not_a_difference(change: Callable[[dict[str, Any]], None]) -> None:
    assert differences_after(change) == []


CHANGES: list[tuple[Callable[[dict[str, Any]], object], list[str]]] = [
    (
        lambda found: service_of(found)["HostConfig"].update(CpuQuota=30_000),
        ["payments: HostConfig.CpuQuota was 15000, is 30000"],
    ),
    (
        lambda found: service_of(found)["HostConfig"].update(CapAdd=["NET_ADMIN"]),
        ["payments: HostConfig.CapAdd was nothing, is ['NET_ADMIN']"],
    ),
    (
        lambda found: service_of(found)["HostConfig"].update(NetworkMode=f"container:{'e' * 64}"),
        [f"payments: HostConfig.NetworkMode was container:mirr_payments-net_1, is container:{'e' * 64}"],
    ),
    (
        lambda found: service_of(found)["State"].update(Status="paused"),
        ["payments: Status was running, is paused"],
    ),
    (
        lambda found: service_of(found).update(Image="sha256:2"),
        ["payments: Image was sha256:1, is sha256:2"],
    ),
    (
        lambda found: service_of(found)["Config"]["Labels"].update({"mirr.redeployed": "yes"}),
        ["payments: Config.Labels.mirr.redeployed was nothing, is yes"],
    ),
    (
        lambda found: service_of(found)["Config"]["ExposedPorts"].update({"9/tcp": {}}),
        ["payments: Config.ExposedPorts was ['8000/tcp'], is ['8000/tcp', '9/tcp']"],
    ),
    (
        lambda found: service_of(found)["Mounts"][0].update(RW=False),
        ["payments: Mounts./data.RW was True, is False"],
    ),
    (
        lambda found: found["containers"][0]["NetworkSettings"]["Networks"]["mirr_default"].update(Aliases=["pay"]),
        [
            "sandbox of payments: Networks.mirr_default.Aliases was ['auth', 'mirr_payments-net_1', 'payments'], "
            "is ['pay']",
        ],
    ),
    (
        lambda found: found["networks"][0]["Containers"].update({"f": {"Name": "a-stranger"}}),
        [
            "network mirr_default: Members was ['mirr_payments-net_1'], is ['a-stranger', 'mirr_payments-net_1']",
        ],
    ),
    (
        lambda found: found["volumes"][0].update(Options={"type": "tmpfs"}),
        ["volume mirr_payments-data: Options.type was nothing, is tmpfs"],
    ),
    (lambda found: found["volumes"].clear(), ["volume mirr_payments-data is gone"]),
    (lambda found: found["containers"].pop(), ["payments is gone"]),
    (
        lambda found: found["containers"].append(inspected("mirr_payments_2", "9" * 64, Role.SERVICE)),
        ["payments (mirr_payments_2) is new"],
    ),
]


@pytest.mark.parametrize(("change", "expected"), CHANGES, ids=[texts[0].partition(" was ")[0] for _, texts in CHANGES])
def test_a_difference_names_the_changed_field(change: Callable[[dict[str, Any]], None], expected: list[str]) -> None:
    assert differences_after(change) == expected
