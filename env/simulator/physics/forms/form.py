"""What a module in this folder says about its form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mirr.env.vocabulary import FaultMode, Service


@dataclass(frozen=True, kw_only=True)
class Severity:
    """How severe a form of a fault can be, as numbers in a unit that people can read."""

    least: float
    usual: float  # what the base task plays, and what a fault has if nothing is said
    most: float
    unit: str  # as in "times the CPU quota"
    most_if_users_vary: float | None = None  # the most where more users than usual may come; None: `most`

    def drawn(self, share: float, *, users_vary: bool) -> float:
        """The severity at `share` (0..1) of the range that a tier draws from."""
        return self.least + share * self.span(users_vary=users_vary)

    def span(self, *, users_vary: bool = False) -> float:
        """The length of that range."""
        most = self.most_if_users_vary if users_vary and self.most_if_users_vary is not None else self.most
        return most - self.least


@dataclass(frozen=True, kw_only=True)
class Form:
    """One form of a fault mode. The module's name is the form's name.

    The three functions are compiled (`jit`). They take a state `s`, its parameters and the number `i` of a service.
    `s[FAULT_SEVERITY + i]` is how severe the fault is; 0 if the form has no severity. Compiled code holds only the
    addresses of `s` and `p`: read and write single places, counted from the beginning.
    """

    mode: FaultMode
    place: int  # among the mode's forms, from 0; the base task plays the first
    order: int  # if faults begin together, the one with the lowest order is injected first
    begin: Callable[[Any, Any, int], None]  # the fault begins; it may take a while to show
    landed: Callable[[Any, Any, int], bool]  # whether it shows
    end: Callable[[Any, Any, int], None]  # the fault ends by itself
    severity: Severity | None = None  # None: every fault of this form is equally severe
    services: tuple[Service, ...] = tuple(Service)  # the services that can break in this form
