"""The compose file matches the vocabulary, and every container is hardened."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from mirr.env.vocabulary import CALLS, Service
from mirr.lab.names import ALERTMANAGER_IMAGE, PROMETHEUS_IMAGE, TRAFFIC_IMAGE, Role, service_image
from tests.paths import ROOT

DOCUMENT = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
PARTS: dict[str, dict[str, Any]] = DOCUMENT["services"]


def test_the_parts_are_a_service_and_a_sandbox_for_each_service_and_traffic_and_prometheus() -> None:
    services = {name for service in Service for name in (str(service), f"{service}-net")}
    assert {name for name, part in PARTS.items() if "profiles" not in part} == services | {"traffic", "prometheus"}


def test_only_alertmanager_is_a_profile_and_nothing_of_the_lab_waits_for_it() -> None:
    assert {name: part["profiles"] for name, part in PARTS.items() if "profiles" in part} == {
        "alertmanager": ["alertmanager"]
    }
    assert not any("depends_on" in part or "links" in part for part in PARTS.values())


@pytest.mark.parametrize("service", Service)
def test_a_service_gets_its_name_and_only_its_own_upstreams(service: Service) -> None:
    upstreams = {f"UPSTREAM_{other.upper()}": f"http://{other}:8000" for other in CALLS[service]}
    assert PARTS[service]["environment"] == {"SERVICE": str(service), **upstreams}


@pytest.mark.parametrize("service", Service)
def test_a_service_uses_the_network_of_its_sandbox(service: Service) -> None:
    assert PARTS[service]["network_mode"] == f"service:{service}-net"
    assert PARTS[f"{service}-net"]["networks"] == {"default": {"aliases": [str(service)]}}
    assert PARTS[f"{service}-net"]["entrypoint"] == ["sleep", "infinity"]


@pytest.mark.parametrize("service", Service)
def test_a_service_has_the_cpu_quota_and_the_memory_that_the_traffic_needs(service: Service) -> None:
    part = PARTS[service]
    assert (part["cpu_period"], part["cpu_quota"]) == (50_000, 15_000)
    assert part["labels"]["mirr.cpu-quota-us"] == "15000"
    assert part["mem_limit"] == part["memswap_limit"] == "192m"
    assert "cpus" not in part
    assert part["volumes"] == [f"{service}-data:/data"]


def test_every_part_has_its_labels() -> None:
    lab = {"mirr.lab": "${LAB:-mirr}"}
    for service in Service:
        assert PARTS[service]["labels"].items() >= {**lab, "mirr.role": "service", "mirr.service": service}.items()
        expected = {**lab, "mirr.role": Role.SANDBOX, "mirr.service": service}
        assert PARTS[f"{service}-net"]["labels"] == expected
    assert PARTS["traffic"]["labels"] == {**lab, "mirr.role": Role.TRAFFIC}
    assert PARTS["prometheus"]["labels"] == {**lab, "mirr.role": Role.PROMETHEUS}
    assert PARTS["alertmanager"]["labels"] == {**lab, "mirr.role": Role.ALERTMANAGER}
    assert DOCUMENT["networks"]["default"]["labels"] == lab
    assert [volume["labels"] for volume in DOCUMENT["volumes"].values()] == [lab] * 6


def test_every_container_runs_an_image_that_this_project_builds() -> None:
    for service in Service:
        assert PARTS[service]["image"] == PARTS[f"{service}-net"]["image"] == service_image(service)
    assert PARTS["traffic"]["image"] == TRAFFIC_IMAGE
    assert PARTS["prometheus"]["image"] == PROMETHEUS_IMAGE
    assert PARTS["alertmanager"]["image"] == ALERTMANAGER_IMAGE


@pytest.mark.parametrize("name", PARTS)
def test_every_container_is_hardened(name: str) -> None:
    part = PARTS[name]
    assert part["init"] is True
    assert part["read_only"] is True
    assert part["cap_drop"] == ["ALL"]
    assert part["security_opt"] == ["no-new-privileges:true"]
    assert part["user"].split(":")[0] != "0"
    assert part["tmpfs"] == ["/tmp:size=16m,mode=1777"]
    assert part["restart"] == "no"
    assert part["pids_limit"] <= 64
    assert part["mem_limit"] == part["memswap_limit"]
    assert part["logging"]["options"] == {"max-size": "5m", "max-file": "2"}
    assert "privileged" not in part
    assert not any("docker.sock" in volume for volume in part.get("volumes", ()))


def test_ports_are_published_on_loopback_only() -> None:
    published = [port for part in PARTS.values() for port in part.get("ports", ())]
    assert published == [
        "127.0.0.1:${GATEWAY_PORT:-8080}:8000",
        "127.0.0.1:${TRAFFIC_PORT:-8089}:8000",
        "127.0.0.1:${PROMETHEUS_PORT:-9090}:9090",
        "127.0.0.1:${ALERTMANAGER_PORT:-9093}:9093",
    ]


def test_compose_1_29_can_read_it() -> None:
    assert "name" not in DOCUMENT
