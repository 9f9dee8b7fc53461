"""The five services' containers as things that can be killed, started, resized and redeployed.

The blast radius ends here: a container is found by this lab's labels and by nothing else, so whatever carries
other labels cannot be reached, whatever its name.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from docker.errors import APIError, DockerException, NotFound
from requests.exceptions import RequestException

from chaos.errors import FleetError
from env.vocabulary import Service, parse_service
from lab.names import LABEL_LAB, LABEL_ROLE, LABEL_SERVICE, Role

CPU_QUOTA_LABEL = "mirr.cpu-quota-us"  # the quota at steady state, written by the compose file
PREVIOUS_RELEASE_LABEL = "mirr.previous-release"  # what a rollback goes back to
REDEPLOYED_LABEL = "mirr.redeployed"  # a release was changed by hand since the data was fresh

_DATA_PATH = "/data"
# Docker refuses these on a container that lives in another one's network namespace.
_OWN_NETWORK_KEYS = ("Hostname", "Domainname", "ExposedPorts", "MacAddress")


@dataclass(frozen=True, kw_only=True)
class ServiceState:
    """How one service's container stands."""

    running: bool
    oom_killed: bool
    release: str
    previous_release: str | None
    redeployed: bool
    cpu_quota_us: int
    steady_cpu_quota_us: int
    cpu_period_us: int
    memory_limit_bytes: int
    strays: int = 0  # containers of the same service beside this one, left by a replacement that was cut off


class Fleet(Protocol):
    """What injecting, reverting and mending need from an engine; narrow, so that a fake fits on a page."""

    def state(self, service: Service) -> ServiceState | None:
        """How the service stands, or None where it has no container."""

    def kill(self, service: Service) -> None:
        """SIGKILL to the service's process; its container stays, stopped."""

    def restart(self, service: Service) -> None:
        """End the process if it runs, and start it, without waiting until it is ready."""

    def resize(self, service: Service, cpu_quota_us: int) -> None:
        """Give the service another CPU quota, in microseconds a period, while it runs."""

    def deploy(self, service: Service, release: str, *, previous: str | None) -> None:
        """Replace the container by one of `release`, data kept; `previous` is what a rollback goes back to."""

    def renew(self, service: Service, release: str) -> None:
        """Replace the container by one of `release` with fresh data, and drop what stands beside it."""

    def revive_support(self) -> list[Service]:
        """Start stopped sandboxes, the load generator and Prometheus; returns the services whose sandbox was down
        and which therefore need a restart."""

    def logs(self, service: Service, *, since: float, tail: int) -> list[str]:
        """The service's last `tail` lines since the Unix time `since`, oldest first, without line ends."""


class DockerFleet:
    """A Fleet on a Docker engine. `client` is a low-level docker-py APIClient; `remember` is handed a container's
    whole configuration before the container is taken away, so that it can be made again from disk."""

    def __init__(
        self,
        client: Any,  # docker.APIClient; its stubs leave most methods untyped
        lab: str,
        *,
        remember: Callable[[Service, dict[str, Any]], None],
        recall: Callable[[Service], dict[str, Any] | None],
    ) -> None:
        self._api = client
        self.lab = lab
        self._remember = remember
        self._recall = recall

    def _listed(self, role: Role, service: Service | None = None) -> list[dict[str, Any]]:
        """Our containers of that role, running ones first, then the newest first."""
        labels = [f"{LABEL_LAB}={self.lab}", f"{LABEL_ROLE}={role}"]
        if service is not None:
            labels.append(f"{LABEL_SERVICE}={service}")
        found: list[dict[str, Any]] = self._api.containers(all=True, filters={"label": labels})
        return sorted(found, key=lambda row: (row["State"] != "running", -row["Created"]))

    def _container(self, service: Service) -> str:
        found = self._listed(Role.SERVICE, service)
        if not found:
            raise FleetError(f"{service} has no container in lab {self.lab}; next: mirr up --lab {self.lab}")
        return str(found[0]["Id"])

    def _do(self, service: Service, what: str, act: Callable[[], object]) -> None:
        try:
            act()
        except (DockerException, RequestException) as error:
            raise FleetError(f"could not {what} {service} in lab {self.lab}: {error}; next: mirr doctor") from error

    def state(self, service: Service) -> ServiceState | None:
        try:
            found = self._listed(Role.SERVICE, service)
            if not found:
                return None
            inspected = self._api.inspect_container(found[0]["Id"])
        except (DockerException, RequestException) as error:
            raise FleetError(f"could not look at {service} in lab {self.lab}: {error}; next: mirr doctor") from error
        labels = inspected["Config"]["Labels"]
        host = inspected["HostConfig"]
        if CPU_QUOTA_LABEL not in labels:
            raise FleetError(
                f"{service} of lab {self.lab} has no label {CPU_QUOTA_LABEL}; next: mirr down, then mirr up"
            )
        return ServiceState(
            running=bool(inspected["State"]["Running"]),
            oom_killed=bool(inspected["State"]["OOMKilled"]),
            release=inspected["Config"]["Image"].rpartition(":")[2],
            previous_release=labels.get(PREVIOUS_RELEASE_LABEL),
            redeployed=REDEPLOYED_LABEL in labels,
            cpu_quota_us=int(host["CpuQuota"]),
            steady_cpu_quota_us=int(labels[CPU_QUOTA_LABEL]),
            cpu_period_us=int(host["CpuPeriod"]),
            memory_limit_bytes=int(host["Memory"]),
            strays=len(found) - 1,
        )

    def kill(self, service: Service) -> None:
        def act() -> None:
            try:
                self._api.kill(self._container(service), signal="SIGKILL")
            except APIError as error:
                if error.status_code != 409:  # 409: it is not running, which is what was asked for
                    raise

        self._do(service, "kill", act)

    def restart(self, service: Service) -> None:
        self._do(service, "restart", lambda: self._api.restart(self._container(service), timeout=0))

    def resize(self, service: Service, cpu_quota_us: int) -> None:
        self._do(
            service,
            "resize",
            lambda: self._api.update_container(self._container(service), cpu_quota=cpu_quota_us),
        )

    def deploy(self, service: Service, release: str, *, previous: str | None) -> None:
        self._do(service, f"deploy {release} to", lambda: self._replace(service, release, previous, fresh=False))

    def renew(self, service: Service, release: str) -> None:
        self._do(service, "renew", lambda: self._replace(service, release, None, fresh=True))

    def _blueprint(self, service: Service) -> dict[str, Any]:
        """What a container of the service is made of, from the one that stands or, where a replacement was cut off
        between the two, from disk."""
        found = self._listed(Role.SERVICE, service)
        if found:
            return dict(self._api.inspect_container(found[0]["Id"]))
        remembered = self._recall(service)
        if remembered is None:
            raise FleetError(f"{service} has no container in lab {self.lab}; next: mirr up --lab {self.lab}")
        return remembered

    def _replace(self, service: Service, release: str, previous: str | None, *, fresh: bool) -> None:
        old = self._blueprint(service)
        self._remember(service, old)
        config = {key: value for key, value in old["Config"].items() if key not in _OWN_NETWORK_KEYS}
        config["Image"] = f"{config['Image'].rpartition(':')[0]}:{release}"
        labels = {k: v for k, v in config["Labels"].items() if k not in (PREVIOUS_RELEASE_LABEL, REDEPLOYED_LABEL)}
        if previous is not None:
            labels[PREVIOUS_RELEASE_LABEL] = previous
        host = dict(old["HostConfig"])
        if fresh:
            host["CpuQuota"] = int(labels[CPU_QUOTA_LABEL])
        else:
            labels[REDEPLOYED_LABEL] = "yes"
        sandbox = self._listed(Role.SANDBOX, service)
        if not sandbox:
            raise FleetError(f"{service} has no sandbox in lab {self.lab}; next: mirr up --lab {self.lab}")
        host["NetworkMode"] = f"container:{sandbox[0]['Id']}"
        config |= {"Labels": labels, "HostConfig": host}
        for row in self._listed(Role.SERVICE, service):
            self._remove(row["Id"])
        if fresh:
            self._renew_volume(old)
        created = self._api.create_container_from_config(config, name=old["Name"].lstrip("/"))
        self._api.start(created["Id"])

    def _remove(self, container: str) -> None:
        with suppress(NotFound):  # somebody else took it away: it is gone, which is what was asked for
            self._api.remove_container(container, force=True)

    def _renew_volume(self, blueprint: dict[str, Any]) -> None:
        for mount in blueprint["Mounts"]:
            if mount["Type"] != "volume" or mount["Destination"] != _DATA_PATH:
                continue
            name = mount["Name"]
            try:
                labels = self._api.inspect_volume(name)["Labels"] or {}
                if labels.get(LABEL_LAB) != self.lab:
                    raise FleetError(f"volume {name} does not belong to lab {self.lab}: not touched")
                self._api.remove_volume(name)
            except NotFound:
                labels = self._compose_volume_labels(blueprint, name)
            # An empty volume is filled by Docker with what the image has at that path: the seeded database.
            self._api.create_volume(name, labels=labels)

    def _compose_volume_labels(self, blueprint: dict[str, Any], name: str) -> dict[str, str]:
        project = blueprint["Config"]["Labels"].get("com.docker.compose.project", self.lab)
        return {
            LABEL_LAB: self.lab,
            "com.docker.compose.project": project,
            "com.docker.compose.volume": name.removeprefix(f"{project}_"),
        }

    def revive_support(self) -> list[Service]:
        revived = []
        try:
            for row in self._listed(Role.SANDBOX):
                if row["State"] != "running":
                    self._api.start(row["Id"])
                    revived.append(parse_service(row["Labels"][LABEL_SERVICE]))
            for role in (Role.TRAFFIC, Role.PROMETHEUS):
                found = self._listed(role)
                if not found:
                    raise FleetError(f"lab {self.lab} has no {role} container; next: mirr up --lab {self.lab}")
                if found[0]["State"] != "running":
                    self._api.start(found[0]["Id"])
        except (DockerException, RequestException) as error:
            raise FleetError(f"could not start what lab {self.lab} stands on: {error}; next: mirr doctor") from error
        return revived

    def logs(self, service: Service, *, since: float, tail: int) -> list[str]:
        try:
            raw: bytes = self._api.logs(self._container(service), since=since, tail=tail)
        except (DockerException, RequestException) as error:
            raise FleetError(f"could not read the log of {service}: {error}; next: mirr doctor") from error
        return raw.decode("utf-8", errors="replace").splitlines()
