"""A fake Docker engine for the lab's tests. It holds containers, networks, volumes and images."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

from docker import DockerClient
from docker.errors import NotFound

from mirr.env.vocabulary import Service
from mirr.lab.names import LABEL_LAB, LABEL_ROLE, LABEL_SERVICE, Role
from mirr.lab.ownership import COMPOSE_PROJECT, COMPOSE_SERVICE, compose_name
from mirr.lab.suitable import LIMITS


@dataclass
class FakeContainer:
    """A container as docker-py shows it."""

    name: str
    labels: dict[str, str]
    status: str = "running"
    created: str = "2026-01-01T00:00:00Z"
    ports: dict[str, str] = field(default_factory=dict)  # inside -> host
    image: str = "image"
    ran: list[list[str]] = field(default_factory=list)  # what was run inside
    answer: tuple[int, bytes] = (0, b"")  # the exit code and the output of what is run inside

    def exec_run(self, command: list[str]) -> tuple[int, bytes]:
        self.ran.append(command)
        return self.answer

    @property
    def id(self) -> str:
        return self.name

    @property
    def attrs(self) -> dict[str, Any]:
        bindings = {inside: [{"HostIp": "127.0.0.1", "HostPort": port}] for inside, port in self.ports.items()}
        return {
            "Created": self.created,
            "HostConfig": {"PortBindings": bindings},
            "Config": {"Image": self.image},
            "Image": f"id of {self.image}",
        }


def container(role: Role, service: Service | None = None, *, lab: str = "mirr", **more: Any) -> FakeContainer:
    """A container of a lab."""
    labels = {
        LABEL_LAB: lab,
        LABEL_ROLE: str(role),
        COMPOSE_PROJECT: lab,
        COMPOSE_SERVICE: compose_name(role, service),
    } | ({LABEL_SERVICE: str(service)} if service else {})
    more.setdefault("image", f"mirr/{service or role}:made")
    return FakeContainer(name=f"{lab}-{compose_name(role, service)}", labels=labels, **more)


class FakeApi:
    """The low-level API of the fake engine."""

    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine

    def version(self) -> dict[str, Any]:
        return {"Version": "20.10", "Components": [{"Name": name} for name in self._engine.components]}

    def containers(self, *, filters: dict[str, str], all: bool = False) -> list[dict[str, Any]]:
        return [
            {
                "Id": one.name,
                "Names": [f"/{one.name}"],
                "Image": f"id of {one.image}" if self._engine.moved_tags else one.image,
                "ImageID": f"id of {one.image}",
                "Labels": one.labels,
                "Ports": [{"PublicPort": int(port)} for port in one.ports.values()],
            }
            for one in self._engine.matching([filters["label"]])
        ]

    def inspect_container(self, name: str) -> dict[str, Any]:
        for one in self._engine.held:
            if one.name == name:
                return one.attrs
        raise NotFound(f"no such container: {name}")

    def networks(
        self, *, filters: dict[str, str] | None = None, names: list[str] | None = None
    ) -> list[dict[str, Any]]:
        return [
            {"Id": name, "Name": name, "Labels": labels}
            for name, labels in self._engine.networks.items()
            if (filters is None or _has(labels, filters["label"])) and (names is None or name in names)
        ]

    def volumes(self, *, filters: dict[str, str] | None = None) -> dict[str, Any]:
        found = [
            {"Name": name, "Labels": labels}
            for name, labels in self._engine.volumes.items()
            if filters is None or _has(labels, filters["label"])
        ]
        return {"Volumes": found or None}  # the engine answers null if there are none

    def remove_container(self, name: str, *, v: bool, force: bool) -> None:
        self._engine.held = [one for one in self._engine.held if one.name != name]

    def remove_network(self, name: str) -> None:
        del self._engine.networks[name]

    def remove_volume(self, name: str, *, force: bool) -> None:
        del self._engine.volumes[name]

    def images(self, *, filters: dict[str, str] | None = None, name: str | None = None) -> list[dict[str, Any]]:
        return [
            {"Id": f"id of {tag}", "RepoTags": [tag], "Labels": {"mirr.source": source}}
            for tag, source in self._engine.images_by_tag.items()
            if name in (None, tag)
        ]


class FakeCollection:
    """`client.containers`."""

    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine

    def list(self, *, all: bool, filters: dict[str, list[str]], ignore_removed: bool) -> list[FakeContainer]:
        return self._engine.matching(filters["label"])


def _has(labels: dict[str, str], wanted: str) -> bool:
    key, equals, value = wanted.partition("=")
    return key in labels and (not equals or labels[key] == value)


class FakeEngine:
    """The part of a DockerClient that the lab needs to find and remove its containers."""

    def __init__(self, *held: FakeContainer) -> None:
        self.held = list(held)
        self.networks: dict[str, dict[str, str]] = {}
        self.volumes: dict[str, dict[str, str]] = {}
        self.images_by_tag: dict[str, str] = {}
        self.moved_tags = False
        self.components = ["Engine", "containerd"]
        self.facts: dict[str, Any] = dict.fromkeys(LIMITS, True)
        self.api = FakeApi(self)
        self.containers = FakeCollection(self)

    def info(self) -> dict[str, Any]:
        return self.facts

    def matching(self, labels: list[str]) -> list[FakeContainer]:
        return [one for one in self.held if all(_has(one.labels, label) for label in labels)]

    @property
    def client(self) -> DockerClient:
        """This engine, with the type that the lab's functions take."""
        return cast("DockerClient", self)
