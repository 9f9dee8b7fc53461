"""Whether an engine that answers can run a lab: what it has to be, and what it has to limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirr.lab.errors import EngineError
from mirr.lab.which_engine import configured_host

if TYPE_CHECKING:
    from docker import DockerClient

LIMITS = {"MemoryLimit": "memory", "CpuCfsQuota": "CPU quota", "PidsLimit": "processes"}
"""What the engine says that it can limit, and its name in words."""

DELEGATE = (
    "let your user limit them: sudo systemctl edit user@.service, with the lines [Service] and "
    "Delegate=cpu cpuset io memory pids; then log in again"
)
BOOT = "boot with: cgroup_enable=memory swapaccount=1"


def lacking_limits(client: DockerClient) -> tuple[list[str], str]:
    """What this engine cannot limit, in words, and what to do about it."""
    info = client.info()
    rootless = any("rootless" in str(option) for option in info.get("SecurityOptions") or ())
    return [name for key, name in LIMITS.items() if not info.get(key)], DELEGATE if rootless else BOOT


def refuse_unsuitable(client: DockerClient) -> None:
    """Raise EngineError at once if no lab can run on this engine. Otherwise it would fail later, and for another
    reason."""
    components = [str(one.get("Name")) for one in client.api.version().get("Components") or ()]
    where = configured_host() or "the default socket"
    if any("podman" in name.lower() for name in components):
        raise EngineError(
            f"what answers at {where} is Podman, and a lab needs a Docker engine: Podman cannot change the limits of a "
            "running container in the same way; next: install Docker, or point DOCKER_HOST to a Docker engine"
        )
    lacking, remedy = lacking_limits(client)
    if lacking:
        raise EngineError(
            f"the Docker engine at {where} cannot limit {', '.join(lacking)}, and a lab needs that: a flash crowd "
            f"would overload nothing, and a leak would fill this machine; next: {remedy}"
        )
