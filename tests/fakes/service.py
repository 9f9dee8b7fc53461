"""The containers of a fake lab: the state of a service, and the parts that only support the services."""

from __future__ import annotations

from dataclasses import dataclass, field

from mirr.chaos.fleet import Part
from mirr.env.vocabulary import STEADY_RELEASE, Service
from mirr.lab.names import Role

QUOTA_US = 15_000


@dataclass
class FakeService:
    """The state of one service and its container."""

    running: bool = True
    oom_killed: bool = False
    ready_at: float = 0.0
    born_at: float = 0.0  # the time at which its memory began to grow
    release: str = STEADY_RELEASE
    previous: str | None = None
    redeployed: bool = False
    quota_us: int = QUOTA_US
    full_disk: bool = False  # all its requests fail; the container and the journal do not show this
    spoiled: float = 0.0  # share of rows that the next release cannot read
    boots: int = 0  # of releases other than the steady one, on this data
    strays: int = 0
    paused: bool = False
    hung: bool = False
    drifted: tuple[str, ...] = ()
    sandbox_id: str | None = None  # of the sandbox that it lives in; None is the first one
    started_at: float = 0.0
    stranded: bool = False  # its sandbox has another network namespace by now
    kept_share: float = 0.0  # the share of the memory limit that the process does not free
    lines: list[tuple[float, str]] = field(default_factory=list)


def support_parts() -> list[Part]:
    """The containers of a lab that are no services."""
    sandboxes = [
        Part(role=Role.SANDBOX, service=service, name=f"lab_{service}-net_1", container_id=f"{service}-net")
        for service in Service
    ]
    others = [
        Part(role=role, service=None, name=f"lab_{role}_1", container_id=role.value)
        for role in (Role.TRAFFIC, Role.PROMETHEUS)
    ]
    return [*sandboxes, *others]
