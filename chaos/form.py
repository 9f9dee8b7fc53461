"""What a module in `chaos/faults` says about its form of a fault."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Any

from mirr.chaos.sight import Sight
from mirr.chaos.tools import Tools
from mirr.env.vocabulary import FaultMode, Service


class Mend(IntEnum):
    """What reverting does to one service. A higher one includes the lower ones."""

    NOTHING = 0
    RESTART = 1  # a new process: it was down, or its memory is full of a leak
    RECREATE = 2  # a new container with fresh data: a release was changed


@dataclass(frozen=True, kw_only=True)
class Texts:
    """What people read about a form. SERVICE stands for the name of the service, and SEVERITY for how severe it is."""

    happens: str  # what the world does to the service, and why that breaks it
    reverts: str  # what reverting does about it
    title: str  # of its Chaos Toolkit experiment
    strikes: str  # what happens, as one step of that experiment
    fix: str  # why the right fix works
    other_fixes: str  # why the other fixes do not
    ends: str | None = None  # what must end so that the fix lasts; None if the fix lasts by itself

    def about(self, service: str, severity: float) -> Texts:
        """The same texts about that service, and about a fault that is so severe, in the unit of its form."""
        written: dict[str, Any] = asdict(self)
        told = {"SERVICE": service, "SEVERITY": f"{severity:g}"}
        for word, meaning in told.items():
            written = {name: text and text.replace(word, meaning) for name, text in written.items()}
        return Texts(**written)


@dataclass(frozen=True, kw_only=True)
class ContainerForm:
    """One form of a fault, as it is done to a container. The module's name is the form's name."""

    mode: FaultMode
    inject: Callable[[Tools, Service], Iterator[float]]  # yields the seconds until its next stage
    landed: Callable[[Sight], bool]  # whether the fault shows
    end: Callable[[Tools, Service], None]  # the fault ends by itself, without anybody's fix
    mend: Mend  # what the service needs afterwards, even if it was fixed
    texts: Texts
    severities: tuple[
        float, ...
    ] = ()  # the only ones that it can have on containers; empty: all that the form can have
    relief_steps: int = 0  # a restart may seem to help for so many steps more than any other wrong fix
    sends: str | None = None  # the kind of its campaign, as the load generator knows it; None if it sends nothing
