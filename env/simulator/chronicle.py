"""The log lines that a service would have written, made from its state."""

from __future__ import annotations

from dataclasses import dataclass

from mirr.env.simulator.fast import rows as k
from mirr.env.simulator.fast.compiled import Numbers
from mirr.env.vocabulary import CALLS, NEXT_RELEASE, STEADY_RELEASE, Service
from mirr.env.world import Level, LogLine

WELL = 0.99  # share of calls; below it, some calls in a step have failed

# How old these lines are. `fast.logged` counts the lines without making them: change both together.
SPOILED_SEEN_S = 0.2
CALL_SEEN_S = 0.3

ROUTES: dict[Service, str] = {
    Service.GATEWAY: "method=GET route=/browse",
    Service.AUTH: "method=POST route=/sessions",
    Service.INVENTORY: "method=GET route=/search",
    Service.ORDERS: "method=POST route=/orders",
    Service.PAYMENTS: "method=POST route=/charges",
}

EXCEPTIONS: dict[Service, str] = {
    Service.GATEWAY: "TypeError: string indices must be integers, not 'str'",
    Service.AUTH: "Error: Invalid base64-encoded string",
    Service.INVENTORY: "ValueError: could not convert string to float: '84,18'",
    Service.ORDERS: "ZeroDivisionError: float division by zero",
    Service.PAYMENTS: (
        "TypeError: int() argument must be a string, a bytes-like object or a real number, not 'NoneType'"
    ),
}
"""The error that a spoiled row raises in each service's faulty release."""

DEATH = "error=NumbersUsedUp: no number is left for another request"
"""The last line of a process of the crashing release."""

CALL_PLACES: dict[tuple[Service, Service], int] = {
    (Service.GATEWAY, Service.AUTH): k.AUTH_OK,
    (Service.GATEWAY, Service.INVENTORY): k.BROWSE_OK,
    (Service.GATEWAY, Service.ORDERS): k.ORDERS_OK,
    (Service.ORDERS, Service.INVENTORY): k.RESERVE_OK,
    (Service.ORDERS, Service.PAYMENTS): k.CHARGE_OK,
}


@dataclass(frozen=True, kw_only=True)
class LogState:
    """The state that a service's recent lines depend on, at one moment."""

    service: Service
    at_tick: int
    release: str
    ready_tick: int | None  # when it began to listen; None if it ran before the episode
    spoiled: float
    shedding: bool
    died_tick: int | None  # when a process of this container last died of its own error
    flow: tuple[float, ...]  # shares of its calls that went well


def log_state(service: Service, row: Numbers, place: int = 0) -> LogState:
    """The state that `operations.read_log` wrote from `place` on."""
    ready, died = int(row[place + k.LOG_READY]), int(row[place + k.LOG_DIED])
    return LogState(
        service=service,
        at_tick=int(row[place + k.LOG_TICK]),
        release=_release(row[place + k.LOG_NEXT]),
        ready_tick=None if ready < 0 else ready,
        spoiled=float(row[place + k.LOG_SPOILED]),
        shedding=bool(row[place + k.LOG_SHED] > 0.0),
        died_tick=died or None,
        flow=tuple(float(row[place + k.LOG_FLOW + flow]) for flow in range(k.FLOWS)),
    )


def _release(following: float) -> str:
    return NEXT_RELEASE if following == 1.0 else STEADY_RELEASE


def lines(state: LogState, now_tick: int, tick_s: float) -> list[LogLine]:
    """The lines written up to `state.at_tick`, as they are read at `now_tick`. They are in no particular order."""
    age_s = (now_tick - state.at_tick) * tick_s
    route = ROUTES[state.service]
    alive_s = float("inf") if state.ready_tick is None else (state.at_tick - state.ready_tick) * tick_s
    found = []
    if state.ready_tick is not None:
        found.append(_line(age_s + alive_s, Level.INFO, "started", f"release={state.release}"))
    if state.died_tick is not None:
        found.append(_line((now_tick - state.died_tick) * tick_s, Level.ERROR, "exiting", DEATH))
    if state.spoiled > 0.0:
        text = f"{route} code=500 error={EXCEPTIONS[state.service]}"
        found += [
            _line(age_s + after, Level.ERROR, "request_failed", text)
            for after in (SPOILED_SEEN_S, 0.9)
            if after <= alive_s
        ]
    for upstream in CALLS[state.service]:
        if state.flow[CALL_PLACES[state.service, upstream] - k.FLOW] < WELL and alive_s >= CALL_SEEN_S:
            found.append(_line(age_s + CALL_SEEN_S, Level.WARNING, "upstream_failed", f"upstream={upstream}"))
    if state.shedding:
        found.append(_line(age_s + 0.4, Level.WARNING, "shed", "too many requests in flight"))
    ordinary = (0.1 + 0.15 * number for number in range(12))
    found += [_line(age_s + after, Level.INFO, "request", f"{route} code=200") for after in ordinary if after < alive_s]
    return found


def _line(age_s: float, level: Level, event: str, text: str) -> LogLine:
    return LogLine(age_s=round(age_s, 3), level=level, event=event, text=text)
