"""Fixtures of the security tests: the containers of the running lab and the addresses of the services."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping

import pytest
from docker import DockerClient

from mirr.env.vocabulary import Service
from mirr.lab.containers import LabContainers
from mirr.lab.engine import connect
from tests.services.conftest import app_of, client_of, data, seeded, upstreams

__all__ = ["app_of", "client_of", "data", "seeded", "upstreams"]

INSIDE_PORT = 8000

Address = tuple[str, int]


@pytest.fixture(scope="session")
def engine() -> DockerClient:
    return connect()


@pytest.fixture(scope="session")
def lab(real_lab: str, engine: DockerClient) -> LabContainers:
    return LabContainers(engine, real_lab)


@pytest.fixture(scope="session")
def addresses(lab: LabContainers) -> Mapping[Service, Address]:
    """The address of each service, as seen from here.

    Only the gateway has a published port. The others are reached through the lab's own network. On Linux, the host is
    connected to that network.
    """
    found = {Service.GATEWAY: ("127.0.0.1", lab.ports.gateway)}
    for service in Service:
        if service is Service.GATEWAY:
            continue
        networks = lab.sandbox(service).attrs["NetworkSettings"]["Networks"]
        address = (str(next(iter(networks.values()))["IPAddress"]), INSIDE_PORT)
        try:
            socket.create_connection(address, timeout=2.0).close()
        except OSError:
            pytest.fail(
                f"{service} at {address[0]} cannot be reached from here: this engine does not connect the host to its "
                "networks (Docker Desktop does not); run these tests on Linux"
            )
        found[service] = address
    return found


@pytest.fixture
def url_of(addresses: Mapping[Service, Address]) -> Callable[[Service], str]:
    return lambda service: "http://{}:{}".format(*addresses[service])
