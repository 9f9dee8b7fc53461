"""A lab's footprint: all its parts, field by field as Docker reports them, and how two footprints differ.

What changes by itself is left out: ids, times, process ids, and the addresses that Docker chooses. Some fields hold the
id of one of the lab's containers, such as the sandbox of a service, or an alias. The footprint has the container's name
there instead. So a container that was replaced by an equal one makes no difference, and a container in a network that
is gone does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from mirr.lab.names import LABEL_LAB, LABEL_ROLE, LABEL_SERVICE, Role

if TYPE_CHECKING:
    from docker import DockerClient

Fields = dict[str, object]  # dotted path → value; empty values are left out
Footprint = dict[
    str, Fields
]  # name, as in `payments`, `sandbox of auth`, `volume mirr_auth-data` → the fields of that part

LAB = "lab"
"""The name for fields that belong to no container: running campaigns, open faults."""

_SHORT_ID = 12
_IDS = re.compile(rf"[0-9a-f]{{64}}|[0-9a-f]{{{_SHORT_ID}}}")
_CONTAINER_KEYS = ("Name", "Image", "Config", "HostConfig", "AppArmorProfile")
_SETS = ("ExposedPorts", "Volumes")  # in Config: Docker writes a set as a mapping to empty values
_MOUNT_KEYS = ("Type", "Name", "Source", "Driver", "Mode", "RW", "Propagation")
_NETWORK_KEYS = ("Driver", "Options", "Internal", "Attachable", "Ingress", "EnableIPv6", "Labels", "Scope")
_ATTACHMENT_KEYS = ("Aliases", "Links", "DriverOpts", "IPAMConfig")
_VOLUME_KEYS = ("Driver", "Options", "Labels", "Scope", "Mountpoint")


def look(client: DockerClient, lab: str) -> Footprint:
    """The lab's footprint now. Errors of docker-py are passed on."""
    api = client.api
    mine = {"label": f"{LABEL_LAB}={lab}"}
    containers = [api.inspect_container(row["Id"]) for row in api.containers(all=True, filters=mine)]
    networks = [api.inspect_network(row["Id"]) for row in api.networks(filters=mine)]
    volumes = [api.inspect_volume(row["Name"]) for row in api.volumes(filters=mine)["Volumes"] or ()]
    return made_of(containers, networks, volumes)


def made_of(
    containers: Iterable[Mapping[str, Any]],
    networks: Iterable[Mapping[str, Any]],
    volumes: Iterable[Mapping[str, Any]],
) -> Footprint:
    """The footprint of inspected containers, networks and volumes."""
    by_name = sorted(containers, key=lambda one: str(one["Name"]))
    names = {str(one["Id"]): str(one["Name"]).lstrip("/") for one in by_name}
    names |= {full[:_SHORT_ID]: name for full, name in names.items()}
    found: Footprint = {}
    for one in by_name:
        thing = _called(one["Config"].get("Labels") or {})
        if thing in found:  # a second container of its kind, which an interrupted replacement left
            thing = f"{thing} ({one['Name'].lstrip('/')})"
        found[thing] = _named(_container(one), names)
    for one in networks:
        found[f"network {one['Name']}"] = _named(_network(one), names)
    for one in volumes:
        found[f"volume {one['Name']}"] = flat({key: one.get(key) for key in _VOLUME_KEYS})
    return found


def differences(before: Footprint, after: Footprint) -> list[str]:
    """A sentence for everything that is gone or new, and for each field that changed; [] if nothing did."""
    found = [f"{thing} is gone" for thing in before if thing not in after]
    found += [f"{thing} is new" for thing in after if thing not in before]
    for thing in before:
        if thing in after:
            was, now = before[thing], after[thing]
            found += [
                f"{thing}: {field} was {_shown(was.get(field))}, is {_shown(now.get(field))}"
                for field in sorted(was.keys() | now.keys())
                if was.get(field) != now.get(field)
            ]
    return found


def flat(value: Mapping[str, Any], *, under: str = "") -> Fields:
    """Nested mappings as dotted paths. Docker writes an empty value as null, "", [] or {}; all of them are left out."""
    found: Fields = {}
    for key, one in value.items():
        path = f"{under}.{key}" if under else str(key)
        if isinstance(one, Mapping):
            found |= flat(one, under=path)
        elif one not in (None, "", [], ()):
            found[path] = one
    return found


def _called(labels: Mapping[str, str]) -> str:
    role, service = labels.get(LABEL_ROLE, "a container without a role"), labels.get(LABEL_SERVICE)
    if service is None:
        return role
    return service if role == Role.SERVICE else f"{role} of {service}"


def _container(inspected: Mapping[str, Any]) -> Fields:
    labels = inspected["Config"].get("Labels") or {}
    fields: dict[str, Any] = {key: inspected.get(key) for key in _CONTAINER_KEYS}
    fields["Config"] = {key: sorted(one or ()) if key in _SETS else one for key, one in inspected["Config"].items()}
    fields["Role"], fields["Service"] = labels.get(LABEL_ROLE), labels.get(LABEL_SERVICE)
    fields["Status"] = inspected["State"]["Status"]
    fields["Mounts"] = {
        mount["Destination"]: {key: mount.get(key) for key in _MOUNT_KEYS} for mount in inspected["Mounts"]
    }
    fields["Networks"] = {
        name: {key: attached.get(key) for key in _ATTACHMENT_KEYS}
        for name, attached in (inspected["NetworkSettings"].get("Networks") or {}).items()
    }
    return flat(fields)


def _network(inspected: Mapping[str, Any]) -> Fields:
    fields: dict[str, Any] = {key: inspected.get(key) for key in _NETWORK_KEYS}
    ipam = inspected.get("IPAM") or {}
    fields["IPAM"] = {key: ipam.get(key) for key in ("Driver", "Options")}  # Config holds the subnet that Docker chose
    fields["Members"] = sorted(one["Name"] for one in (inspected.get("Containers") or {}).values())
    return flat(fields)


def _named(fields: Fields, names: Mapping[str, str]) -> Fields:
    named = {path: _with_names(value, names) for path, value in fields.items()}
    for path, value in named.items():
        if path.startswith("Networks.") and path.endswith(".Aliases") and isinstance(value, list):
            value.sort()  # sorted after the ids were replaced, because the order by id differs for each container
    return named


def _with_names(value: object, names: Mapping[str, str]) -> object:
    match value:
        case str():
            return _IDS.sub(lambda found: names.get(found[0], found[0]), value)
        case list():
            return [_with_names(one, names) for one in value]
        case _:
            return value


def _shown(value: object) -> str:
    return "nothing" if value is None else str(value)
