"""What injecting, reverting and mending need from an engine: the five services' containers, and what they stand on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from mirr.env.vocabulary import Service
from mirr.lab.names import Role


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
    name: str = ""  # of the container
    container_id: str = ""
    paused: bool = False
    drifted: tuple[
        str, ...
    ] = ()  # limits other than the CPU quota that are not as the lab was made, by the engine's name


@dataclass(frozen=True, kw_only=True)
class Part:
    """One container that the services stand on: a sandbox, the load generator or Prometheus."""

    role: Role
    service: Service | None  # whose sandbox it is
    name: str  # of the container
    container_id: str | None  # None where it was removed
    running: bool = True
    paused: bool = False
    hung: bool = False  # its process is stopped, as SIGSTOP does
    drifted: tuple[str, ...] = ()

    def __str__(self) -> str:
        return (
            f"{self.service}'s sandbox"
            if self.service
            else {Role.TRAFFIC: "the load generator"}.get(self.role, self.role.value.capitalize())
        )


class Fleet(Protocol):
    """Narrow, so that a fake fits on a page. Every method raises FleetError where the engine does not do it."""

    def state(self, service: Service) -> ServiceState | None:
        """How the service stands, or None where it has no container."""

    def hung(self, service: Service) -> bool:
        """Whether the service's process is stopped, as SIGSTOP does. Slower than `state`."""

    def parts(self) -> list[Part]:
        """How everything else of the lab stands."""

    def kill(self, service: Service, signal: str = "SIGKILL") -> None:
        """Send the service's process a signal. Its container stays, also where the signal ends the process."""

    def restart(self, service: Service) -> None:
        """End the process if it runs, and start it, without waiting until it is ready."""

    def unpause(self, service: Service) -> None:
        """Let a paused container go on."""

    def resize(self, service: Service, cpu_quota_us: int) -> None:
        """Give the service another CPU quota, in microseconds a period, while it runs."""

    def reset_limits(self, service: Service) -> None:
        """Give the service the limits back that it was made with, while it runs."""

    def deploy(self, service: Service, release: str, *, previous: str | None) -> None:
        """Replace the container by one of `release`, data kept; `previous` is what a rollback goes back to."""

    def recreate(self, service: Service, release: str) -> None:
        """Replace the container by one of `release` with fresh data, and drop what stands beside it."""

    def mend(self, part: Part) -> None:
        """Whatever `part` lacks: make it again, start it, let it go on, end and start it, give it its limits."""

    def remember(self) -> None:
        """Keep what every container is made of, where that is not kept yet."""

    def logs(self, service: Service, *, since: float, tail: int) -> list[str]:
        """The service's last `tail` lines since the Unix time `since`, oldest first, without line ends."""
