"""What belongs together in a lab: a service and its sandbox, and a container and its network.

Pure functions over what the engine says when it inspects a container.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from mirr.env.vocabulary import Service
from mirr.lab.names import LABEL_ROLE, LABEL_SERVICE, Role
from mirr.lab.ownership import NETWORKS, compose_name

Inspected = Mapping[str, Any]  # the engine's answer when it inspects a container
Wanted = Mapping[str, Sequence[str]]  # the name of a network → the aliases that a container has there

_LIVES_IN = "container:"


def known_networks(made: Inspected | None) -> dict[str, list[str]]:
    """The networks that a container was made in, and its aliases there. Empty if that is not known."""
    if made is None:
        return {}
    # The engine adds the short id of each container by itself, and a new container has another id.
    own_id = made["Config"].get("Hostname")
    return {
        name: [alias for alias in joined.get("Aliases") or () if alias != own_id]
        for name, joined in ((made.get("NetworkSettings") or {}).get("Networks") or {}).items()
    }


def wanted_networks(lab: str, role: Role, service: Service | None, made: Inspected | None) -> dict[str, list[str]]:
    """The networks that a container with a network of its own belongs to, and its aliases there.

    `made` is how it was made. Without it, only what the compose file says of every lab is known."""
    aliases = [compose_name(role, service), *([service.value] if service else [])]
    return known_networks(made) or {f"{lab}_{name}": aliases for name in NETWORKS}


def misjoined(inspected: Inspected, wanted: Wanted, networks: Mapping[str, str], *, exactly: bool) -> tuple[str, ...]:
    """The networks that the container has left, has joined wrongly or, if `exactly`, should not be in.

    `networks` has the ids of the lab's networks now. A network that was made anew has the same name and another id."""
    joined: Mapping[str, Mapping[str, Any]] = inspected["NetworkSettings"].get("Networks") or {}
    running = bool(inspected["State"].get("Running"))
    wrong = [name for name in wanted if not _well_joined(joined.get(name), wanted[name], networks.get(name), running)]
    extra = [name for name in joined if name not in wanted] if exactly else []
    return (*wrong, *extra)


def _well_joined(joined: Mapping[str, Any] | None, aliases: Sequence[str], network: str | None, running: bool) -> bool:
    if joined is None or network is None:
        return False
    if joined.get("NetworkID") not in (None, "", network):
        return False
    if running and not joined.get("EndpointID"):
        return False
    return set(aliases) <= set(joined.get("Aliases") or ())


def findings(lab: str, containers: Sequence[Inspected], networks: Mapping[str, str]) -> list[str]:
    """What does not belong together in a lab any more, a sentence each; [] if all does."""
    sandboxes = {_service(one): one for one in containers if _role(one) is Role.SANDBOX}
    found = []
    if containers:
        found += [f"{gone} is gone" for gone in lost_networks(lab, networks)]
    for one in containers:
        service, role = _service(one), _role(one)
        if role is Role.SERVICE:
            sandbox = sandboxes.get(service)
            if sandbox is None or lives_in(one) != sandbox["Id"]:
                found.append(f"{service} lives in a container that is not its sandbox any more")
            elif one["State"].get("Running") and started_at(one) < namespace_since(sandbox):
                found.append(f"{service} stayed behind when its sandbox started again")
        elif role is not None:
            wanted = wanted_networks(lab, role, service, None)
            found += [
                f"{compose_name(role, service)} is not in network {name} as it should be"
                for name in misjoined(one, wanted, networks, exactly=False)
                if name in networks
            ]
    return found


def lost_networks(lab: str, networks: Mapping[str, str]) -> list[str]:
    """The networks that a lab is made in and that are not there any more, in words."""
    return [f"network {lab}_{name}" for name in NETWORKS if f"{lab}_{name}" not in networks]


def _role(inspected: Inspected) -> Role | None:
    label = (inspected["Config"].get("Labels") or {}).get(LABEL_ROLE)
    return Role(label) if label in set(Role) else None


def _service(inspected: Inspected) -> Service | None:
    label = (inspected["Config"].get("Labels") or {}).get(LABEL_SERVICE)
    return Service(label) if label in set(Service) else None


def lives_in(inspected: Inspected) -> str:
    """The id of the container whose network namespace this one uses. Empty if it has its own."""
    mode = str(inspected["HostConfig"].get("NetworkMode") or "")
    return mode.removeprefix(_LIVES_IN) if mode.startswith(_LIVES_IN) else ""


def started_at(inspected: Inspected) -> float:
    """The Unix time at which the container's process started, by the engine's clock. 0 if it never did."""
    return _time(inspected["State"].get("StartedAt"))


def namespace_since(inspected: Inspected) -> float:
    """The Unix time since which a container has its network namespace. What lived in it before does so no more.

    Each start makes a new namespace. The end of the run before counts too: the clock may have been set back since."""
    return max(started_at(inspected), _time(inspected["State"].get("FinishedAt")))


def _time(text: object) -> float:
    try:
        return max(0.0, datetime.fromisoformat(str(text)).timestamp())
    except ValueError:
        return 0.0
