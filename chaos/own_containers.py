"""Finds the containers and the data of one lab on an engine. What only claims to be the lab's is refused."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from docker.errors import NotFound

from mirr.chaos.blueprints import Blueprint
from mirr.chaos.errors import FleetError
from mirr.env.vocabulary import Service
from mirr.lab.names import LABEL_LAB, LABEL_ROLE, LABEL_SERVICE, Role
from mirr.lab.ownership import COMPOSE_PROJECT, COMPOSE_VOLUME, sorted_out, volume_not_ours

_DATA_PATH = "/data"


class OwnContainers:
    """The containers of `lab`. `api` is a low-level docker-py APIClient. Its methods raise what docker-py raises."""

    def __init__(self, api: Any, lab: str) -> None:
        self._api = api
        self._lab = lab

    def rows(self, role: Role, service: Service | None = None) -> list[dict[str, Any]]:
        """Our containers of that role as the engine lists them, running ones first, then the newest first."""
        own, _ = sorted_out(self._api, self._lab, self._labelled(role, service))
        return sorted(own, key=lambda row: (row["State"] != "running", -row["Created"]))

    def id_of(self, service: Service) -> str:
        """The id of the service's container. Raises FleetError if it has none."""
        found = self.rows(Role.SERVICE, service)
        if found:
            return str(found[0]["Id"])
        _, strangers = sorted_out(self._api, self._lab, self._labelled(Role.SERVICE, service))
        if strangers:
            raise FleetError(
                f"{', '.join(map(str, strangers))} claims to be {service} of lab {self._lab} but is not the lab's own: "
                "not touched; next: mirr doctor"
            )
        raise FleetError(f"{service} has no container in lab {self._lab}; next: mirr up --lab {self._lab}")

    def _labelled(self, role: Role, service: Service | None) -> list[dict[str, Any]]:
        labels = [f"{LABEL_LAB}={self._lab}", f"{LABEL_ROLE}={role}"]
        if service is not None:
            labels.append(f"{LABEL_SERVICE}={service}")
        found: list[dict[str, Any]] = self._api.containers(all=True, filters={"label": labels})
        return found


def data_volumes(api: Any, lab: str, blueprint: Blueprint) -> dict[str, dict[str, str]]:
    """The volumes of a service's data, and their labels. Raises FleetError if one is not the lab's."""
    found = {}
    for mount in blueprint["Mounts"]:
        if mount["Type"] != "volume" or mount["Destination"] != _DATA_PATH:
            continue
        name = mount["Name"]
        try:
            found[name] = dict(api.inspect_volume(name)["Labels"] or {})
        except NotFound:
            found[name] = _volume_labels(lab, blueprint, name)
        why = volume_not_ours(lab, found[name])
        if why is not None:
            raise FleetError(f"volume {name} does not belong to lab {lab} ({why}): not touched")
    return found


def _volume_labels(lab: str, blueprint: Blueprint, name: str) -> dict[str, str]:
    project = blueprint["Config"]["Labels"].get(COMPOSE_PROJECT, lab)
    return {LABEL_LAB: lab, COMPOSE_PROJECT: project, COMPOSE_VOLUME: name.removeprefix(f"{project}_")}


def recreate_volume(api: Any, name: str, labels: dict[str, str]) -> None:
    """Make the volume anew."""
    with suppress(NotFound):
        api.remove_volume(name)
    # Docker fills an empty volume with what the image has at that path: the seeded database.
    api.create_volume(name, labels=labels)
