"""How much may be broken at once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from mirr.chaos.errors import Refused
from mirr.chaos.fleet import ServiceState
from mirr.env.vocabulary import Fault, Service


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much may be broken before an injection is refused. The defaults are those of an episode."""

    max_broken: int = 2  # services

    def check(self, fault: Fault, broken: Sequence[Fault], *, by_others: Collection[Service] = ()) -> None:
        """Raise Refused if `fault` would be too much in addition to what is `broken`, and to the services that are
        broken `by_others`, whose journal is another one."""
        if fault in broken:
            raise Refused(f"{fault} is injected already; next: mirr revert, or break another service")
        listed = ", ".join(map(str, broken))
        if any(one.service is fault.service for one in broken):
            raise Refused(
                f"{fault.service} is broken already ({listed}), and a second fault there would hide the first; "
                "next: mirr revert, or break another service"
            )
        services = {one.service for one in broken}.union(by_others) - {fault.service}
        if len(services) >= self.max_broken:
            strange = [f"something unknown on {service}" for service in by_others]
            listed = ", ".join([*map(str, broken), *strange])
            raise Refused(
                f"{fault} would be one too many: {listed} {'is' if len(services) == 1 else 'are'} injected, and the "
                f"limit is {self.max_broken} service{'' if self.max_broken == 1 else 's'} at once; next: mirr revert"
            )

    def check_process(self, fault: Fault, state: ServiceState | None) -> None:
        """Raise Refused if the service's process is frozen, by whoever: `fault` would not show there."""
        if state is not None and (state.hung or state.paused):
            how = "hangs" if state.hung else "is paused"
            raise Refused(f"{fault.service} {how} already, so {fault} would not show there; next: mirr revert")
