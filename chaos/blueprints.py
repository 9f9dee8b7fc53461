"""Blueprints: what a container is made of, as the engine reports it, and how to create another one from that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

CPU_QUOTA_LABEL = "mirr.cpu-quota-us"  # the quota at steady state, written by the compose file
PREVIOUS_RELEASE_LABEL = "mirr.previous-release"  # what a rollback goes back to
REDEPLOYED_LABEL = "mirr.redeployed"  # a release was changed after the data was made

Blueprint = dict[str, Any]

# Docker refuses these on a container that lives in another one's network namespace.
_OWN_NETWORK_KEYS = ("Hostname", "Domainname", "ExposedPorts", "MacAddress")

_CPU_QUOTA = "CpuQuota"
UPDATES: Mapping[str, str] = {
    _CPU_QUOTA: "cpu_quota",
    "CpuPeriod": "cpu_period",
    "CpuShares": "cpu_shares",
    "CpusetCpus": "cpuset_cpus",
    "CpusetMems": "cpuset_mems",
    "BlkioWeight": "blkio_weight",
    "Memory": "mem_limit",
    "MemoryReservation": "mem_reservation",
    "MemorySwap": "memswap_limit",
    "RestartPolicy": "restart_policy",
}
"""What `docker update` can change: the name in a blueprint → the argument of docker-py."""

_REMADE_FOR = ("NanoCpus", "PidsLimit")  # `docker update` can change these too, but docker-py has no arguments for them


def drifted(made: Blueprint | None, host: Mapping[str, Any], *, quota_too: bool) -> tuple[str, ...]:
    """The limits in which a container's `host` configuration differs from how it was made."""
    if made is None:
        return ()
    was = made["HostConfig"]
    fields = [field for field in (*UPDATES, *_REMADE_FOR) if quota_too or field != _CPU_QUOTA]
    # An engine writes null, 0 or nothing at all for "no limit".
    return tuple(field for field in fields if (was.get(field) or 0) != (host.get(field) or 0))


def updates_back(made: Blueprint, fields: tuple[str, ...]) -> dict[str, Any] | None:
    """The arguments of an update that sets `fields` as they were made. None if no update can do it: an engine takes
    zero as "do not change"."""
    if not all(field in UPDATES and made["HostConfig"].get(field) for field in fields):
        return None
    wanted = {field for field in fields if field in UPDATES}
    if wanted & {"Memory", "MemorySwap"}:
        wanted |= {"Memory", "MemorySwap"}  # the first must never exceed the second, so both are set at once
    return {UPDATES[field]: made["HostConfig"][field] for field in wanted if made["HostConfig"].get(field)}


def of_release(
    standing: Blueprint, made: Blueprint, release: str, *, previous: str | None, fresh: bool, sandbox: str
) -> Blueprint:
    """The configuration that creates a service's container of `release` in the sandbox of that id.

    A `fresh` container is like the one that was first `made`. Any other is like the one that stands there now
    (`standing`), and is marked as redeployed."""
    source = made if fresh else standing
    config = {key: value for key, value in source["Config"].items() if key not in _OWN_NETWORK_KEYS}
    config["Image"] = f"{config['Image'].rpartition(':')[0]}:{release}"
    labels = {k: v for k, v in config["Labels"].items() if k not in (PREVIOUS_RELEASE_LABEL, REDEPLOYED_LABEL)}
    if previous is not None:
        labels[PREVIOUS_RELEASE_LABEL] = previous
    host = dict(source["HostConfig"])
    if fresh:
        host[_CPU_QUOTA] = int(labels[CPU_QUOTA_LABEL])
    else:
        labels[REDEPLOYED_LABEL] = "yes"
    host["NetworkMode"] = f"container:{sandbox}"
    return config | {"Labels": labels, "HostConfig": host}


def of_part(made: Blueprint, networks: Mapping[str, Sequence[str]]) -> Blueprint:
    """The configuration that creates a container with a network of its own again, in `networks` by those aliases."""
    endpoints = {network: {"Aliases": list(aliases)} for network, aliases in networks.items()}
    config = {key: value for key, value in made["Config"].items() if key != "Hostname"}
    return config | {"HostConfig": made["HostConfig"], "NetworkingConfig": {"EndpointsConfig": endpoints}}
