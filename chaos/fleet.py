"""What injecting and reverting need from an engine: the containers of the services, and those that they depend on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from mirr.env.vocabulary import Service
from mirr.lab.names import Role


@dataclass(frozen=True, kw_only=True)
class ServiceState:
    """The state of one service's container."""

    running: bool
    oom_killed: bool
    release: str
    previous_release: str | None
    redeployed: bool
    cpu_quota_us: int
    steady_cpu_quota_us: int
    cpu_period_us: int
    memory_limit_bytes: int
    strays: int = 0  # more containers of the same service; an interrupted replacement left them
    name: str = ""  # of the container
    container_id: str = ""
    paused: bool = False
    hung: bool = False  # its process is stopped, as SIGSTOP does; not known while the container is paused
    drifted: tuple[
        str, ...
    ] = ()  # limits that differ from how the lab was made, by the engine's names, without the CPU quota
    sandbox_id: str = ""  # of the container whose network namespace it was made to live in
    started_at: float = 0.0  # Unix time by the engine's clock


@dataclass(frozen=True, kw_only=True)
class Part:
    """One container that the services depend on: a sandbox, the load generator or Prometheus."""

    role: Role
    service: Service | None  # the service whose sandbox it is; None for others
    name: str  # of the container
    container_id: str | None  # None if it was removed
    running: bool = True
    paused: bool = False
    hung: bool = False  # its process is stopped, as SIGSTOP does
    drifted: tuple[str, ...] = ()
    namespace_since: float = 0.0  # Unix time by the engine's clock; it got its network namespace then
    misjoined: tuple[str, ...] = ()  # networks that it has left, joined wrongly or should not be in

    def __str__(self) -> str:
        return (
            f"{self.service}'s sandbox"
            if self.service
            else {Role.TRAFFIC: "the load generator"}.get(self.role, self.role.value.capitalize())
        )


class Fleet(Protocol):
    """The containers of one lab. It has few methods, so a fake of it is short. Every method raises FleetError."""

    def state(self, service: Service) -> ServiceState | None:
        """The state of the service, or None if it has no container."""

    def stranded(self, service: Service) -> bool:
        """Whether the service's process is in another network namespace than its sandbox. Slower than `state`."""

    def parts(self) -> list[Part]:
        """The state of every other container of the lab."""

    def kill(self, service: Service, signal: str = "SIGKILL") -> None:
        """Send the service's process a signal that ends it. Its container stays."""

    def freeze(self, service: Service) -> None:
        """Stop the service's process as SIGSTOP does: it is there, and does nothing until `thaw` or `restart`."""

    def thaw(self, service: Service) -> None:
        """Let a frozen process go on. Nothing happens if it is not frozen."""

    def restart(self, service: Service) -> None:
        """End the process if it runs, and start it, without waiting until it is ready."""

    def unpause(self, service: Service) -> None:
        """Unpause the service's container."""

    def resize(self, service: Service, cpu_quota_us: int) -> None:
        """Give the service another CPU quota, in microseconds a period, while it runs."""

    def reset_limits(self, service: Service) -> None:
        """Give the service the limits that it was made with, while it runs."""

    def deploy(self, service: Service, release: str, *, previous: str | None) -> None:
        """Replace the container by one of `release`, data kept; `previous` is what a rollback goes back to."""

    def recreate(self, service: Service, release: str) -> None:
        """Replace the container by a new one of `release` with fresh data. Remove every other one of the service."""

    def mend(self, part: Part) -> None:
        """Do what `part` needs: recreate it, join it to its network, start it, unpause it, restart it, or set its
        limits."""

    def remember(self) -> None:
        """Keep what every container is made of, if that is not kept yet."""

    def logs(self, service: Service, *, since: float, tail: int) -> list[str]:
        """The service's last `tail` lines since the Unix time `since`, oldest first, without line ends."""
