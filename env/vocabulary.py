"""The closed sets of the project: services, fault modes, features, events, actions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from mirr.env.quoting import quoted


class Service(StrEnum):
    """One of the five services under test; the order is the row order of every observation."""

    GATEWAY = "gateway"
    AUTH = "auth"
    INVENTORY = "inventory"
    ORDERS = "orders"
    PAYMENTS = "payments"


class FaultMode(StrEnum):
    """How a service can break."""

    CRASHED = "crashed"
    MEMORY_LEAK = "memory_leak"
    OVERLOADED = "overloaded"
    BAD_DEPLOY = "bad_deploy"


class Tier(StrEnum):
    """How hard a drawn incident is. `env/tiers/` says what is drawn. The simulator numbers them in this order."""

    EASY = "easy"
    MEDIUM = "medium"
    HARD = "hard"


class Feature(StrEnum):
    """One column of an observation; the order is the column order."""

    UP = "up"  # 1 if the last scrape succeeded, else 0; never NaN
    REQUEST_RATE = "request_rate"  # requests finished per second
    ERROR_RATIO = "error_ratio"  # answers of 5xx / all answers, 0..1
    LATENCY_P95_S = "latency_p95_s"
    CPU_SHARE = "cpu_share"  # CPU used / CPU quota, 0..1
    MEMORY_SHARE = "memory_share"  # resident memory / memory limit; a process is killed at about 1.07
    IN_FLIGHT = "in_flight"  # requests being worked on


class Journey(StrEnum):
    """What a user does. The success and the latency of journeys, seen from outside, are the users' SLI."""

    BROWSE = "browse"
    SIGN_IN = "sign_in"
    CHECK_OUT = "check_out"


CALLS: dict[Service, tuple[Service, ...]] = {
    Service.GATEWAY: (Service.AUTH, Service.INVENTORY, Service.ORDERS),
    Service.AUTH: (),
    Service.INVENTORY: (),
    Service.ORDERS: (Service.INVENTORY, Service.PAYMENTS),
    Service.PAYMENTS: (),
}
"""Which service calls which: `CALLS[caller]` are its upstreams."""


class Reason(StrEnum):
    """Why a world accepted an action, or why it had nothing to act on. The simulator numbers them in this order."""

    DONE = "done"
    NO_EARLIER_RELEASE = "no_earlier_release"
    NOT_RUNNING = "not_running"
    LARGEST_SIZE = "largest_size"


REASONS: tuple[Reason, ...] = tuple(Reason)
"""A reason's place here is its number in the simulator."""


STEADY_RELEASE = "1.4.0"  # what every service runs at steady state
NEXT_RELEASE = "1.5.0"


class UnknownName(ValueError):
    """A name that is not in its closed set. The message lists the names that are."""


class BadSeverity(ValueError):
    """A severity that the form of a fault cannot have. The message says which ones it can have."""


def _member(kind: str, name: str, of: type[StrEnum]) -> str:
    try:
        return of(name)
    except ValueError as error:
        raise UnknownName(f"unknown {kind} {quoted(name)}; one of: {', '.join(of)}") from error


def parse_service(name: str) -> Service:
    """The service of that name, or UnknownName."""
    return Service(_member("service", name, Service))


def parse_mode(name: str) -> FaultMode:
    """The fault mode of that name, or UnknownName."""
    return FaultMode(_member("fault mode", name, FaultMode))


def parse_tier(name: str) -> Tier:
    """The tier of that name, or UnknownName."""
    return Tier(_member("tier", name, Tier))


@dataclass(frozen=True)
class Fault:
    """One thing that is broken: a mode on a service, in one of the mode's forms, as severe as it is.

    Written `MODE:SERVICE`. The form and the severity are added if they are not the usual ones:
    `MODE/FORM:SERVICE`, `MODE@SEVERITY:SERVICE`, `MODE/FORM@SEVERITY:SERVICE`.
    """

    mode: FaultMode
    service: Service
    form: str = ""  # empty: the mode's first form, which is the base task's; see env/forms.py
    severity: float | None = None  # in the unit of its form; None: as severe as the form usually is

    @classmethod
    def parse(cls, text: str) -> Fault:
        """`bad_deploy:payments` or `overloaded/crowd@1.3:payments` as a Fault. Raises UnknownName or BadSeverity."""
        # Imported here, because the modules of the forms import this module.
        from mirr.env.forms import checked_service, parse_form, parse_severity

        kind, colon, service_name = text.partition(":")
        kind, at, severity = kind.partition("@")
        mode_name, slash, form_name = kind.partition("/")
        if not colon:
            raise UnknownName(f"a fault is written MODE:SERVICE, as in bad_deploy:payments; got {quoted(text)}")
        mode, service = parse_mode(mode_name), parse_service(service_name)
        form = parse_form(mode, form_name) if slash else ""
        checked_service(mode, form, service)
        return cls(mode, service, form, parse_severity(mode, form, severity) if at else None)

    def __str__(self) -> str:
        form = f"/{self.form}" if self.form else ""
        severity = "" if self.severity is None else f"@{self.severity!r}"
        return f"{self.mode}{form}{severity}:{self.service}"


ALL_FAULTS: tuple[Fault, ...] = tuple(Fault(mode, service) for mode in FaultMode for service in Service)


@dataclass(frozen=True)
class Breaks:
    """The fault begins."""

    fault: Fault


@dataclass(frozen=True)
class Ends:
    """The fault ends by itself: the crowd leaves, or a supervisor or another team fixes the service."""

    fault: Fault


@dataclass(frozen=True)
class Deploys:
    """The service's team deploys the next release, a good one."""

    service: Service


@dataclass(frozen=True)
class TrafficChanges:
    """Users come more or less often than usual. The rate goes evenly from `first` to `last`, and then stays."""

    first: float  # times the usual rate, from now on
    last: float  # times the usual rate, after `over_s`
    over_s: float = 0.0  # 0: at once


@dataclass(frozen=True)
class Bursts:
    """Many clients want the same thing for a short time. The service has room for them, so this harms nobody."""

    service: Service
    load: float  # CPU that they ask for, as a share of the steady quota, 0..1
    for_s: float


Surrounding = Deploys | TrafficChanges | Bursts
"""What happens around an incident, and breaks nothing."""

Event = Breaks | Ends | Surrounding
"""What happens to the services from outside."""


@dataclass(frozen=True)
class Wait:
    """Do nothing for a step."""


@dataclass(frozen=True)
class CheckLogs:
    """Read a service's recent log lines."""

    service: Service


@dataclass(frozen=True)
class Diagnose:
    """Commit to what is broken; only the first commitment counts."""

    service: Service
    mode: FaultMode


@dataclass(frozen=True)
class DiagnoseNone:
    """Commit to a false alarm: nothing is broken. Only scenario packs and some tiers have this action."""


@dataclass(frozen=True)
class Restart:
    """End the service's process and start it again, same release."""

    service: Service


@dataclass(frozen=True)
class Rollback:
    """Go back to the release before the current one, if there is one."""

    service: Service


@dataclass(frozen=True)
class ScaleUp:
    """Double the service's CPU quota. This adds no second replica."""

    service: Service


Fix = Restart | Rollback | ScaleUp
Diagnosis = Diagnose | DiagnoseNone
Action = Wait | CheckLogs | Diagnosis | Fix

REMEDY: dict[FaultMode, type[Restart] | type[Rollback] | type[ScaleUp]] = {
    FaultMode.CRASHED: Restart,
    FaultMode.MEMORY_LEAK: Restart,
    FaultMode.OVERLOADED: ScaleUp,
    FaultMode.BAD_DEPLOY: Rollback,
}
"""The kind of fix that fixes each mode. Physics decides; tests check both worlds against this table."""

ACTIONS: tuple[Action, ...] = (
    Wait(),
    *(CheckLogs(service) for service in Service),
    *(Diagnose(service, mode) for service in Service for mode in FaultMode),
    *(Restart(service) for service in Service),
    *(Rollback(service) for service in Service),
    *(ScaleUp(service) for service in Service),
)
"""The 41 discrete actions of the base task; an action's place here is its number."""

PACK_ACTIONS: tuple[Action, ...] = (*ACTIONS, DiagnoseNone())
"""The actions where the alarm may be false, as in scenario packs: the 41 with the same numbers, and one more."""

ACTION_INDEX: dict[Action, int] = {action: index for index, action in enumerate(PACK_ACTIONS)}


def action_text(action: Action) -> str:
    """An action as written in records and on screens, e.g. `diagnose(payments, bad_deploy)`."""
    match action:
        case Wait():
            return "wait"
        case CheckLogs(service):
            return f"check_logs({service})"
        case Diagnose(service, mode):
            return f"diagnose({service}, {mode})"
        case DiagnoseNone():
            return "diagnose(none)"
        case Restart(service):
            return f"restart({service})"
        case Rollback(service):
            return f"rollback({service})"
        case ScaleUp(service):
            return f"scale_up({service})"
        case _:
            assert_never(action)


ACTION_BY_TEXT: dict[str, Action] = {action_text(action): action for action in PACK_ACTIONS}


def parse_action(text: str) -> Action:
    """The action written `text`, as `action_text` writes it, or UnknownName."""
    try:
        return ACTION_BY_TEXT[text.strip()]
    except KeyError as error:
        raise UnknownName(
            f"unknown action {quoted(text)}; written as in: wait, check_logs(auth), restart(auth)"
        ) from error
