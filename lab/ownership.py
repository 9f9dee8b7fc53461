"""Decides whether a container, network or volume belongs to the lab.

It belongs to the lab only if everything about it fits. A thing with our label that does not fit is a stranger: it is
never touched and never counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mirr.env.vocabulary import Service
from mirr.lab.errors import ForeignProject
from mirr.lab.installation import HERE
from mirr.lab.names import LABEL_LAB, LABEL_ROLE, LABEL_SERVICE, Role

if TYPE_CHECKING:
    from docker import DockerClient

COMPOSE_PROJECT = "com.docker.compose.project"
COMPOSE_SERVICE = "com.docker.compose.service"
COMPOSE_NETWORK = "com.docker.compose.network"
COMPOSE_VOLUME = "com.docker.compose.volume"

NETWORKS = ("default",)
VOLUMES = (*(f"{service}-data" for service in Service), "prometheus-data")

Labels = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Stranger:
    """Something that carries a lab's name and does not belong to the lab."""

    kind: str  # container, network or volume
    id: str
    name: str
    why: str  # why it is not ours

    def __str__(self) -> str:
        return f"{self.kind} {self.name} ({self.why})"


def compose_name(role: Role, service: Service | None) -> str:
    """What the compose file calls the container of that role, e.g. `auth-net`."""
    if role is Role.SERVICE:
        return str(service)
    return f"{service}-net" if role is Role.SANDBOX else role.value


def not_ours(lab: str, labels: Labels, image: str) -> str | None:
    """Why a container with these labels, made from the image of this name, is not the lab's own; None if it is."""
    if labels.get(LABEL_LAB) != lab:
        return f"its label {LABEL_LAB} is not {lab}"
    role = labels.get(LABEL_ROLE, "")
    if role not in set(Role):
        return f"its label {LABEL_ROLE} is none of: {', '.join(Role)}"
    service = None
    if role in (Role.SERVICE, Role.SANDBOX):
        name = labels.get(LABEL_SERVICE, "")
        if name not in set(Service):
            return f"its label {LABEL_SERVICE} is none of: {', '.join(Service)}"
        service = Service(name)
    if labels.get(COMPOSE_PROJECT) != lab:
        return f"Compose did not make it for project {lab}"
    if labels.get(COMPOSE_SERVICE) != compose_name(Role(role), service):
        return f"Compose did not make it as {compose_name(Role(role), service)}"
    repository = f"mirr/{service or role}"
    if image.rpartition(":")[0] != repository:
        return f"its image is none of {repository}"
    return None


def network_not_ours(lab: str, labels: Labels) -> str | None:
    """Why a network with these labels is not the lab's own; None if it is."""
    return _made_not_for(lab, labels, COMPOSE_NETWORK, NETWORKS)


def volume_not_ours(lab: str, labels: Labels) -> str | None:
    """Why a volume with these labels is not the lab's own; None if it is."""
    return _made_not_for(lab, labels, COMPOSE_VOLUME, VOLUMES)


def _made_not_for(lab: str, labels: Labels, key: str, known: tuple[str, ...]) -> str | None:
    if labels.get(LABEL_LAB) != lab:
        return f"its label {LABEL_LAB} is not {lab}"
    if labels.get(COMPOSE_PROJECT) != lab:
        return f"Compose did not make it for project {lab}"
    if labels.get(key) not in known:
        return f"its label {key} is none of: {', '.join(known)}"
    return None


@dataclass(frozen=True, kw_only=True)
class Holdings:
    """Everything that an engine has under a lab's name: the lab's own, as the engine lists it, and the strangers."""

    containers: list[dict[str, Any]]
    networks: list[dict[str, Any]]
    volumes: list[dict[str, Any]]
    strangers: list[Stranger]


def holdings(api: Any, lab: str) -> Holdings:  # api: docker.APIClient, whose stubs leave most methods untyped
    """Everything that carries the lab's label, divided into the lab's own and strangers."""
    mine = {"label": f"{LABEL_LAB}={lab}"}
    strangers: list[Stranger] = []
    containers, foreign = sorted_out(api, lab, api.containers(all=True, filters=mine))
    strangers += foreign
    networks, volumes = [], []
    for row in api.networks(filters=mine):
        why = network_not_ours(lab, row.get("Labels") or {})
        if why is None:
            networks.append(row)
        else:
            strangers.append(Stranger(kind="network", id=row["Id"], name=row["Name"], why=why))
    for row in api.volumes(filters=mine)["Volumes"] or ():
        why = volume_not_ours(lab, row.get("Labels") or {})
        if why is None:
            volumes.append(row)
        else:
            strangers.append(Stranger(kind="volume", id=row["Name"], name=row["Name"], why=why))
    return Holdings(containers=containers, networks=networks, volumes=volumes, strangers=strangers)


def own_networks(api: Any, lab: str) -> dict[str, str]:
    """The ids of the lab's own networks, by their names."""
    rows = api.networks(filters={"label": f"{LABEL_LAB}={lab}"})
    own = (row for row in rows if network_not_ours(lab, row.get("Labels") or {}) is None)
    return {str(row["Name"]): str(row["Id"]) for row in own}


def sorted_out(api: Any, lab: str, rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[Stranger]]:
    """Containers as the engine lists them, divided into the lab's own and the strangers."""
    own, strangers = [], []
    for row in rows:
        why = not_ours(lab, row["Labels"], row["Image"])
        if why is not None and row["Image"] == row.get("ImageID"):
            # The image was rebuilt, and the new image took its tag. Only an inspection of the container gives the name.
            image = _image_name(api, row["Id"])
            if image is None:
                continue  # it was removed in the meantime
            why = not_ours(lab, row["Labels"], image)
        if why is None:
            own.append(row)
        else:
            strangers.append(Stranger(kind="container", id=row["Id"], name=name_of(row), why=why))
    return own, strangers


def name_of(row: dict[str, Any]) -> str:
    """The name of a container that the engine listed."""
    names = row.get("Names") or [row["Id"][:12]]
    return str(names[0]).lstrip("/")


def _image_name(api: Any, container: str) -> str | None:
    from docker.errors import NotFound

    try:
        return str(api.inspect_container(container)["Config"]["Image"])
    except NotFound:
        return None


def in_the_way(api: Any, lab: str) -> Iterator[Stranger]:
    """The things that Compose would treat as its own when it brings the lab up, although they are not the lab's."""
    project = {"label": f"{COMPOSE_PROJECT}={lab}"}
    yield from sorted_out(api, lab, api.containers(all=True, filters=project))[1]
    for row in api.networks(names=[f"{lab}_{name}" for name in NETWORKS]):
        why = network_not_ours(lab, row.get("Labels") or {})
        if why is not None and row["Name"] in {f"{lab}_{name}" for name in NETWORKS}:
            yield Stranger(kind="network", id=row["Id"], name=row["Name"], why=why)
    wanted = {f"{lab}_{name}" for name in VOLUMES}
    for row in api.volumes()["Volumes"] or ():
        why = volume_not_ours(lab, row.get("Labels") or {})
        if row["Name"] in wanted and why is not None:
            yield Stranger(kind="volume", id=row["Name"], name=row["Name"], why=why)


def refuse_foreign_project(client: DockerClient, lab: str) -> None:
    """Raise ForeignProject if Compose would touch things that are not the lab's."""
    found = list(in_the_way(client.api, lab))
    if found:
        raise ForeignProject(
            f"Compose would take what is not ours for lab {lab}: {', '.join(map(str, found))}; nothing was touched; "
            f"take another name for the lab: {HERE.command('up', f'{lab[:17]}-two')}"
        )
