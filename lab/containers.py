"""The lab's containers. They are found by their labels. Only containers that fit in every way count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mirr.env.vocabulary import Service
from mirr.lab.errors import LabNotUp
from mirr.lab.installation import HERE
from mirr.lab.names import LABEL_LAB, LABEL_ROLE, LABEL_SERVICE, Role
from mirr.lab.ownership import not_ours

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

INSIDE_PORT = {
    Role.SANDBOX: "8000/tcp",
    Role.TRAFFIC: "8000/tcp",
    Role.PROMETHEUS: "9090/tcp",
    Role.ALERTMANAGER: "9093/tcp",
}
"""The port on which each kind of container listens inside, if it may publish one."""


@dataclass(frozen=True, kw_only=True)
class Ports:
    """The host ports of a lab, all on 127.0.0.1."""

    gateway: int = 8080
    prometheus: int = 9090
    traffic: int = 8089
    alertmanager: int | None = None  # only a lab with an Alertmanager has this port


def bound_port(container: Container, inside: str) -> int | None:
    """The host port that the container asks for, even while it is stopped."""
    bindings = container.attrs["HostConfig"].get("PortBindings") or {}
    bound = bindings.get(inside) or []
    host_port = bound[0].get("HostPort") if bound else None
    return int(host_port) if host_port else None


class LabContainers:
    """The containers of one lab. Every call asks the engine again, because containers come and go."""

    def __init__(self, client: DockerClient, lab: str) -> None:
        self.client = client
        self.lab = lab

    def all(self) -> list[Container]:
        """Every container of the lab, running or not."""
        return self._list()

    def all_of(self, service: Service) -> list[Container]:
        """The service's containers, newest first. For a moment there can be two: an old one and its replacement."""
        found = self._list(Role.SERVICE, service)
        return sorted(found, key=lambda container: str(container.attrs["Created"]), reverse=True)

    def service(self, service: Service) -> Container:
        """The service's running container, else its newest."""
        found = self.all_of(service)
        if not found:
            raise self._missing(f"no container of {service}")
        return next((one for one in found if one.status == "running"), found[0])

    def sandbox(self, service: Service) -> Container:
        """The container that holds the service's network namespace."""
        return self._one(Role.SANDBOX, service)

    def traffic(self) -> Container:
        """The load generator."""
        return self._one(Role.TRAFFIC)

    def prometheus(self) -> Container:
        """The Prometheus server."""
        return self._one(Role.PROMETHEUS)

    def alertmanager(self) -> Container:
        """The Alertmanager, in a lab that has one."""
        return self._one(Role.ALERTMANAGER)

    def has_alertmanager(self) -> bool:
        """Whether the lab was brought up with an Alertmanager, running or not."""
        return bool(self._list(Role.ALERTMANAGER))

    @property
    def ports(self) -> Ports:
        """The published host ports."""
        return Ports(
            gateway=self._port(self.sandbox(Service.GATEWAY), Role.SANDBOX),
            prometheus=self._port(self.prometheus(), Role.PROMETHEUS),
            traffic=self._port(self.traffic(), Role.TRAFFIC),
        )

    @property
    def gateway_url(self) -> str:
        """The address at which users reach the system under test."""
        return f"http://127.0.0.1:{self._port(self.sandbox(Service.GATEWAY), Role.SANDBOX)}"

    @property
    def prometheus_url(self) -> str:
        """The address of Prometheus."""
        return f"http://127.0.0.1:{self._port(self.prometheus(), Role.PROMETHEUS)}"

    @property
    def traffic_url(self) -> str:
        """The address at which the load generator accepts campaigns."""
        return f"http://127.0.0.1:{self._port(self.traffic(), Role.TRAFFIC)}"

    @property
    def alertmanager_url(self) -> str:
        """The address of Alertmanager, in a lab that has one."""
        return f"http://127.0.0.1:{self._port(self.alertmanager(), Role.ALERTMANAGER)}"

    def _list(self, role: Role | None = None, service: Service | None = None) -> list[Container]:
        labels = [f"{LABEL_LAB}={self.lab}"]
        if role is not None:
            labels.append(f"{LABEL_ROLE}={role}")
        if service is not None:
            labels.append(f"{LABEL_SERVICE}={service}")
        found = self.client.containers.list(all=True, filters={"label": labels}, ignore_removed=True)
        return [one for one in found if not_ours(self.lab, one.labels, one.attrs["Config"]["Image"]) is None]

    def _one(self, role: Role, service: Service | None = None) -> Container:
        found = self._list(role, service)
        if not found:
            raise self._missing(f"no {role} container{f' of {service}' if service else ''}")
        return next((one for one in found if one.status == "running"), found[0])

    def _port(self, container: Container, role: Role) -> int:
        port = bound_port(container, INSIDE_PORT[role])
        if port is None:
            raise self._missing(f"no published port on its {role} container")
        return port

    def _missing(self, what: str) -> LabNotUp:
        how = "is not up" if not self._list() else f"has {what}"
        return LabNotUp(f"lab {self.lab} {how}; start it with: {HERE.command('up', self.lab)}")
