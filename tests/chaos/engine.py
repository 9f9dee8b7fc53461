"""A fake engine with the containers of one lab, for the tests of DockerFleet. It answers as `docker inspect` does."""

from __future__ import annotations

import itertools
from typing import Any

from docker.errors import APIError, ImageNotFound, NotFound

from mirr.env.vocabulary import Service
from mirr.lab.names import LABEL_LAB, LABEL_ROLE, LABEL_SERVICE, Role
from mirr.lab.ownership import COMPOSE_NETWORK, COMPOSE_PROJECT, COMPOSE_SERVICE, COMPOSE_VOLUME, compose_name

LAB = "mirr"
NETWORK = f"{LAB}_default"
NETWORK_LABELS = {LABEL_LAB: LAB, COMPOSE_PROJECT: LAB, COMPOSE_NETWORK: "default"}
NEVER = "0001-01-01T00:00:00Z"


def at(seconds: int) -> str:
    """A time as the engine writes it."""
    return f"2026-01-01T00:{seconds // 60:02}:{seconds % 60:02}.123456789Z"


class LabEngine:
    """The low-level API of an engine that runs a whole lab. Each act moves its clock by a second."""

    def __init__(self) -> None:
        self.held: dict[str, dict[str, Any]] = {}  # id → what an inspection says
        self.networks_by_name: dict[str, dict[str, Any]] = {
            NETWORK: {"Id": "network-1", "Name": NETWORK, "Labels": NETWORK_LABELS}
        }
        self.volumes: dict[str, dict[str, str]] = {}
        self.missing_images: set[str] = set()
        self.acts: list[str] = []
        self._seconds = 0
        self._namespaces: dict[str, str] = {}  # id → the network namespace that its process is in
        self._count = itertools.count(1)
        for service in Service:
            sandbox = self._make(Role.SANDBOX, service, [service.value])
            self._make(Role.SERVICE, service, [], lives_in=sandbox)
        self._make(Role.TRAFFIC, None, [])
        self._make(Role.PROMETHEUS, None, [])
        self.acts.clear()

    def id_of(self, name: str) -> str:
        """The id of the container of that Compose name."""
        return next(key for key, one in self.held.items() if one["Config"]["Labels"][COMPOSE_SERVICE] == name)

    def one(self, name: str) -> dict[str, Any]:
        """What an inspection of the container of that Compose name says."""
        return self.held[self.id_of(name)]

    def _make(self, role: Role, service: Service | None, aliases: list[str], *, lives_in: str | None = None) -> str:
        labels = {
            LABEL_LAB: LAB,
            LABEL_ROLE: role.value,
            COMPOSE_PROJECT: LAB,
            COMPOSE_SERVICE: compose_name(role, service),
        }
        labels |= {LABEL_SERVICE: service.value} if service else {}
        mounts: list[dict[str, str]] = []
        if role is Role.SERVICE:
            volume = f"{LAB}_{service}-data"
            self.volumes[volume] = {LABEL_LAB: LAB, COMPOSE_PROJECT: LAB, COMPOSE_VOLUME: f"{service}-data"}
            mounts = [{"Type": "volume", "Destination": "/data", "Name": volume}]
            labels["mirr.cpu-quota-us"] = "15000"
        config = {
            "Image": f"mirr/{service}:1.4.0" if service else f"mirr/{role}:lab",
            "Labels": labels,
            "HostConfig": {
                "NetworkMode": f"container:{lives_in}" if lives_in else NETWORK,
                "CpuQuota": 15000,
                "CpuPeriod": 50000,
                "Memory": 100,
            },
            "Mounts": mounts,
        }
        if lives_in is None:
            names = [compose_name(role, service), *aliases]
            config["NetworkingConfig"] = {"EndpointsConfig": {NETWORK: {"Aliases": names}}}
        made = self.create_container_from_config(config, name=f"{LAB}_{compose_name(role, service)}_1")
        self.start(made["Id"])
        return str(made["Id"])

    def _acted(self, act: str, container: str) -> dict[str, Any]:
        if container not in self.held:
            raise NotFound(f"no such container: {container}")
        self._seconds += 1
        self.acts.append(f"{act} {self.held[container]['Name'].lstrip('/')}")
        return self.held[container]

    # Looking

    def containers(self, *, filters: dict[str, list[str]], **_: bool) -> list[dict[str, Any]]:
        wanted = [label.partition("=")[::2] for label in filters["label"]]
        return [
            {
                "Id": key,
                "Names": [one["Name"]],
                "Labels": one["Config"]["Labels"],
                "Image": one["Config"]["Image"],
                "State": "running" if one["State"]["Running"] else "exited",
                "Created": 1,
            }
            for key, one in self.held.items()
            if all(one["Config"]["Labels"].get(name) == value for name, value in wanted)
        ]

    def inspect_container(self, container: str) -> dict[str, Any]:
        return self.held[container]

    def inspect_image(self, image: str) -> dict[str, Any]:
        if image in self.missing_images:
            raise ImageNotFound(f"no such image: {image}")
        return {"Id": f"id of {image}"}

    def networks(self, **_: object) -> list[dict[str, Any]]:
        return list(self.networks_by_name.values())

    def top(self, container: str, **_: object) -> dict[str, Any]:
        return {"Processes": [["1", "S"]]}

    def exec_create(self, container: str, command: list[str]) -> dict[str, str]:
        assert command == ["readlink", "/proc/self/ns/net"]
        return {"Id": container}

    def exec_start(self, asked: str) -> bytes:
        return f"net:[{self._namespaces[asked]}]\n".encode()

    # Acting

    def create_container_from_config(self, config: dict[str, Any], *, name: str) -> dict[str, str]:
        if config["Image"] in self.missing_images:
            raise ImageNotFound(f"no such image: {config['Image']}")
        key = f"{next(self._count):012x}"
        endpoints = config.get("NetworkingConfig", {}).get("EndpointsConfig", {})
        self.held[key] = {
            "Id": key,
            "Name": f"/{name}",
            "Config": {
                "Image": config["Image"],
                "Labels": config["Labels"],
                "Hostname": key,
            },
            "HostConfig": config["HostConfig"],
            "Mounts": config.get("Mounts", []),
            "State": {
                "Running": False,
                "Paused": False,
                "OOMKilled": False,
                "StartedAt": NEVER,
                "FinishedAt": NEVER,
            },
            "NetworkSettings": {"Networks": {}},
        }
        self._acted("create", key)
        for network, joined in endpoints.items():
            self._join(key, network, joined["Aliases"])
        return {"Id": key}

    def _join(self, key: str, network: str, aliases: list[str]) -> None:
        self.held[key]["NetworkSettings"]["Networks"][network] = {
            "NetworkID": self.networks_by_name[network]["Id"],
            "EndpointID": f"endpoint of {key}",
            "Aliases": [*aliases, key],
        }

    def start(self, container: str) -> None:
        one = self._acted("start", container)
        one["State"] |= {"Running": True, "StartedAt": at(self._seconds)}
        lives_in = one["HostConfig"]["NetworkMode"].partition("container:")[2]
        self._namespaces[container] = self._namespaces[lives_in] if lives_in else f"{self._seconds}"

    def restart(self, container: str, *, timeout: int = 10) -> None:
        self._acted("restart", container)["State"]["FinishedAt"] = at(self._seconds)
        self.start(container)
        self.acts.pop()

    def update_container(self, container: str, **_: object) -> None:
        self._acted("update", container)
        raise APIError("this engine updates nothing")

    def remove_container(self, container: str, *, force: bool) -> None:
        self._acted("remove", container)
        del self.held[container]

    def disconnect_container_from_network(self, container: str, network: str, *, force: bool = False) -> None:
        one = self._acted("disconnect", container)
        if one["NetworkSettings"]["Networks"].pop(network, None) is None:
            raise NotFound(f"{container} is not in {network}")

    def connect_container_to_network(self, container: str, network: str, *, aliases: list[str]) -> None:
        self._acted("connect", container)
        name = next(name for name, one in self.networks_by_name.items() if one["Id"] == network)
        self._join(container, name, aliases)

    def inspect_volume(self, name: str) -> dict[str, Any]:
        if name not in self.volumes:
            raise NotFound(name)
        return {"Labels": self.volumes[name]}

    def remove_volume(self, name: str) -> None:
        del self.volumes[name]

    def create_volume(self, name: str, *, labels: dict[str, str]) -> None:
        self.volumes[name] = labels
