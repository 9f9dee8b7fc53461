"""What happens to requests: users' journeys are followed down the call graph and back.

`follow` works out shares and latencies. `settle` counts answers, errors and failed users by them. `s` is a state and
`p` its parameters, as in `rows`; `i` is a service's number.
"""

from __future__ import annotations

from mirr.env.simulator.fast.compiled import Numbers, inlined, jit
from mirr.env.simulator.fast.rows import (
    ACCEPT,
    ANSWERED,
    ANSWERS,
    AUTH,
    AUTH_OK,
    BAD,
    BEGUN,
    BROWSE,
    BROWSE_OK,
    BUCKETS,
    CALM,
    CAMPAIGN_CPU,
    CHARGE_OK,
    CHECK_OUT,
    ERRORS,
    FAILED,
    GATEWAY,
    GATEWAY_TIMEOUT,
    HELD,
    HUNG,
    INVENTORY,
    JOURNEY_BAD,
    JOURNEY_HELD_S,
    JOURNEY_LOST,
    JOURNEY_S,
    JOURNEYS,
    LATE,
    LOAD,
    MIXED_CPU,
    NOW,
    OFFERED,
    ORDERS,
    ORDERS_OK,
    ORDERS_TIMEOUT,
    OWN_LATENCY,
    PASS_GATEWAY,
    PASS_ORDERS,
    PAYMENTS,
    PENDING,
    PER_QUOTA,
    QUEUE,
    QUEUED_TICK,
    RESERVE_OK,
    RETRY,
    SCATTER,
    SERVICES,
    SIGN_IN,
    SPOILED,
    SPREAD,
    STALE,
    STATUS,
    SURGE_SUM,
    TICK_S,
    TOTAL,
    USER_LIMIT,
    USERS,
    WAIT,
    WATCHED,
)
from mirr.env.simulator.physics.latencies import beyond, enter

NEVER_S = 1e6  # longer than any timeout
BASKET_LINES = (2, 4)  # fewest and most rows of an order; every number is as frequent


@inlined
def reach(s: Numbers, browse: float, sign_in: float, check_out: float) -> tuple[float, float, float, float, float]:
    """How many requests reach each service, by the shares that were worked out last."""
    signed = sign_in + check_out
    passed = s[PASS_GATEWAY]
    orders = check_out * passed * s[AUTH_OK]
    reserved = orders * s[PASS_ORDERS]
    return browse + signed, signed * passed, browse * passed + reserved, orders, reserved * s[RESERVE_OK]


@inlined
def offer(s: Numbers, load: int, browse: float, sign_in: float, check_out: float) -> None:
    """Write how many requests reach each service into the block `load`: LOAD or OFFERED."""
    assert load in (LOAD, OFFERED)
    gateway, auth, inventory, orders, payments = reach(s, browse, sign_in, check_out)
    s[load + GATEWAY] = gateway
    s[load + AUTH] = auth
    s[load + INVENTORY] = inventory
    s[load + ORDERS] = orders
    s[load + PAYMENTS] = payments


@jit
def settle(s: Numbers, p: Numbers, changed: bool) -> None:
    """Count how the pending journeys end. Leaves none pending.

    `changed` says that their tick has changed the state. Then the shares are worked out again first.
    """
    offer(s, OFFERED, s[PENDING + BROWSE], s[PENDING + SIGN_IN], s[PENDING + CHECK_OUT])
    if changed:
        follow(s, p)
    if s[PENDING + BROWSE] + s[PENDING + SIGN_IN] + s[PENDING + CHECK_OUT] == 0.0:
        return
    _count(s, p, AUTH)
    _count(s, p, INVENTORY)
    _count(s, p, PAYMENTS)
    _count_orders(s, p)
    _count_gateway(s, p)
    for journey in range(JOURNEYS):
        s[BEGUN + journey] += s[PENDING + journey]
        s[PENDING + journey] = 0.0
    for i in range(SERVICES):
        s[SURGE_SUM + i] = 0.0


@inlined
def follow(s: Numbers, p: Numbers) -> None:
    """Work out what happens to a request to each service and to a user's journey, as shares and seconds.

    This depends on what the services accept, how long requests wait in them, and which rows are spoiled.
    """
    hurry = p[ORDERS_TIMEOUT]
    patience = p[GATEWAY_TIMEOUT]
    spread = p[SPREAD]
    auth = _follow_leaf(s, p, AUTH)
    inventory = _follow_leaf(s, p, INVENTORY)
    payments = _follow_leaf(s, p, PAYMENTS)
    s[AUTH_OK] = auth * (1.0 - beyond(s[TOTAL + AUTH], patience, spread))
    reserved = inventory
    if s[SPOILED + INVENTORY] > 0.0:
        reserved = s[ACCEPT + INVENTORY] * _all_sound(1.0 - s[SPOILED + INVENTORY])
        _mix_inventory(s, p, inventory, reserved)
    s[BROWSE_OK] = inventory * (1.0 - beyond(s[TOTAL + INVENTORY], patience, spread))
    s[RESERVE_OK] = reserved * (1.0 - beyond(s[TOTAL + INVENTORY], hurry, spread))
    s[CHARGE_OK] = payments * (1.0 - beyond(s[TOTAL + PAYMENTS], hurry, spread))
    _follow_orders(s, p, hurry, patience, spread)
    _follow_gateway(s, p, patience, spread)
    s[STALE] = 0.0


@inlined
def _follow_leaf(s: Numbers, p: Numbers, i: int) -> float:
    """Work out a service that calls no other. Returns the share of its requests that are answered well."""
    accept = s[ACCEPT + i]
    good = accept * (1.0 - s[SPOILED + i])
    s[BAD + i] = 1.0 - good
    s[TOTAL + i] = p[OWN_LATENCY + i] + s[WAIT + i] if accept > 0.0 else _fails_after_s(s, p, i)
    s[HELD + i] = p[OWN_LATENCY + i]
    return good


@inlined
def _all_sound(sound: float) -> float:
    """The share of orders all of whose rows are sound."""
    fewest, most = BASKET_LINES
    share, together = 1.0, 0.0
    for lines in range(1, most + 1):
        share *= sound
        if lines >= fewest:
            together += share
    return together / (most - fewest + 1)


@inlined
def _mix_inventory(s: Numbers, p: Numbers, browsed: float, reserved: float) -> None:
    """Work out the errors of inventory, whose requests for a whole basket fail more often than those for one row."""
    orders = p[USERS + CHECK_OUT] * s[AUTH_OK] * s[ACCEPT + ORDERS] * (1.0 - s[SPOILED + ORDERS])
    both = p[USERS + BROWSE] + orders
    s[BAD + INVENTORY] = 1.0 - (p[USERS + BROWSE] * browsed + orders * reserved) / both


@inlined
def _fails_after_s(s: Numbers, p: Numbers, i: int) -> float:
    """Seconds until a call to a service has failed that accepts none.

    If nothing listens, it is refused at once, tried again after a moment, and refused again. A process that hangs never
    answers, so the call lasts until its caller's timeout.
    """
    return float(NEVER_S if s[STATUS + i] == HUNG else p[RETRY])


@inlined
def _extra_s(s: Numbers, i: int) -> float:
    """Seconds by which an answer to a request of a campaign comes later than others: 0 unless they cost much more."""
    return float(s[CAMPAIGN_CPU + i] * s[PER_QUOTA + i] if _is_mixed(s, i) else 0.0)


@inlined
def _is_mixed(s: Numbers, i: int) -> bool:
    """Whether a campaign's requests cost much more than the others."""
    return bool(s[WATCHED] == 1.0 and s[MIXED_CPU + i] > 0.0)


@inlined
def _follow_orders(s: Numbers, p: Numbers, hurry: float, patience: float, spread: float) -> None:
    accept = s[ACCEPT + ORDERS]
    good = accept * (1.0 - s[SPOILED + ORDERS])
    well = good * s[RESERVE_OK] * s[CHARGE_OK]
    latency = _fails_after_s(s, p, ORDERS)
    if accept > 0.0:
        called_s = min(s[TOTAL + INVENTORY], hurry) + s[RESERVE_OK] * min(s[TOTAL + PAYMENTS], hurry)
        latency = p[OWN_LATENCY + ORDERS] + s[WAIT + ORDERS] + called_s
    s[TOTAL + ORDERS] = latency
    waits_s = _waits_for_s(s, INVENTORY, hurry) + s[RESERVE_OK] * _waits_for_s(s, PAYMENTS, hurry)
    s[HELD + ORDERS] = p[OWN_LATENCY + ORDERS] + waits_s
    s[PASS_ORDERS] = good
    s[BAD + ORDERS] = 1.0 - well
    s[ORDERS_OK] = well * (1.0 - beyond(latency, patience, spread))


@inlined
def _follow_gateway(s: Numbers, p: Numbers, patience: float, spread: float) -> None:
    """Work out the gateway's answers, and how users fare."""
    good = s[ACCEPT + GATEWAY] * (1.0 - s[SPOILED + GATEWAY])
    own_s = p[OWN_LATENCY + GATEWAY] + s[WAIT + GATEWAY]
    auth_ok = s[AUTH_OK]
    auth_s = own_s + min(s[TOTAL + AUTH], patience)
    s[PASS_GATEWAY] = good
    limit = p[USER_LIMIT]
    _follow_journey(s, BROWSE, good * s[BROWSE_OK], own_s + min(s[TOTAL + INVENTORY], patience), limit, spread)
    _follow_journey(s, SIGN_IN, good * auth_ok, auth_s, limit, spread)
    ordered_s = auth_s + auth_ok * min(s[TOTAL + ORDERS], patience)
    _follow_journey(s, CHECK_OUT, good * auth_ok * s[ORDERS_OK], ordered_s, limit, spread)
    held_s = own_s + _waits_for_s(s, AUTH, patience)
    s[JOURNEY_HELD_S + BROWSE] = own_s + _waits_for_s(s, INVENTORY, patience)
    s[JOURNEY_HELD_S + SIGN_IN] = held_s
    s[JOURNEY_HELD_S + CHECK_OUT] = held_s + auth_ok * _waits_for_s(s, ORDERS, patience)


@inlined
def _waits_for_s(s: Numbers, i: int, limit: float) -> float:
    """Mean seconds that a caller waits for service `i`, at most `limit`. A request that is turned away comes back at
    once."""
    accept = s[ACCEPT + i]
    return float(accept * min(s[WAIT + i] + s[HELD + i], limit) if accept > 0.0 else min(s[TOTAL + i], limit))


@inlined
def _follow_journey(s: Numbers, journey: int, ok: float, latency: float, limit: float, spread: float) -> None:
    s[JOURNEY_BAD + journey] = 1.0 - ok
    s[JOURNEY_LOST + journey] = 1.0 - ok * (1.0 - beyond(latency, limit, spread))
    s[JOURNEY_S + journey] = latency


@inlined
def undisturbed(s: Numbers, i: int) -> bool:
    """Whether service `i` accepts every request, and no request waits in it."""
    return bool(s[ACCEPT + i] == 1.0 and s[WAIT + i] == 0.0)


@inlined
def orders_are_calm(s: Numbers) -> bool:
    """Whether orders answers as fast as in steady state. Then orders and the services that it calls are undisturbed."""
    return undisturbed(s, ORDERS) and undisturbed(s, INVENTORY) and undisturbed(s, PAYMENTS)


@inlined
def gateway_is_calm(s: Numbers) -> bool:
    """Whether the gateway answers as fast as in steady state."""
    return undisturbed(s, GATEWAY) and undisturbed(s, AUTH) and orders_are_calm(s)


@inlined
def _answered(s: Numbers, i: int) -> float:
    """Requests that service `i` answers while these are let in, as a share of them. An answer counts when it is given:
    while a queue grows there are fewer, and more while it drains."""
    return s[ANSWERED + i] if s[WAIT + i] > 0.0 else 1.0


@inlined
def _bad_answers(s: Numbers, i: int, bad: float, shed: float) -> float:
    """The errors that service `i` answers now, as a share of the requests that come. Of these, the share `bad` fails in
    the end, and the share `shed` at once."""
    return float(shed + (bad - shed) * _answered(s, i))


@inlined
def _unanswered_s(s: Numbers, p: Numbers, i: int) -> float:
    """Seconds of WAIT that no answer shows yet: nobody who was answered has waited longer than there is a queue."""
    if s[QUEUE + i] == 0.0:
        return 0.0
    return max(0.0, s[WAIT + i] - (s[NOW] - s[QUEUED_TICK + i]) * p[TICK_S])


@inlined
def _count(s: Numbers, p: Numbers, i: int) -> None:
    """Count the answers of a service that calls no other."""
    accept = s[ACCEPT + i]
    if accept == 0.0:
        return
    users, surge = s[OFFERED + i], s[SURGE_SUM + i]
    count = users + surge
    if s[WAIT + i] == 0.0:
        s[ANSWERS + i] += count
        s[ERRORS + i] += count * s[BAD + i]
        s[CALM + i] += count
        return
    answered, shed = accept * _answered(s, i), 1.0 - accept
    s[ANSWERS + i] += count * (answered + shed)
    s[ERRORS + i] += count * _bad_answers(s, i, s[BAD + i], shed)
    late, latency = LATE + i * BUCKETS, s[TOTAL + i] - _unanswered_s(s, p, i)
    if _is_mixed(s, i):
        enter(s, late, users * answered, users * shed, latency)
        enter(s, late, surge * answered, surge * shed, latency + _extra_s(s, i))
    else:
        enter(s, late, count * answered, count * shed, latency)


@inlined
def _count_orders(s: Numbers, p: Numbers) -> None:
    accept = s[ACCEPT + ORDERS]
    if accept == 0.0:
        return
    count = s[OFFERED + ORDERS]
    surge = s[SURGE_SUM + ORDERS]
    if orders_are_calm(s):
        s[ANSWERS + ORDERS] += count + surge
        s[ERRORS + ORDERS] += count * s[BAD + ORDERS] + surge * (1.0 - s[PASS_ORDERS])
        s[CALM + ORDERS] += count + surge
        return
    answered, shed = accept * _answered(s, ORDERS), 1.0 - accept
    of_users = _bad_answers(s, ORDERS, s[BAD + ORDERS], shed)
    of_campaign = _bad_answers(s, ORDERS, 1.0 - s[PASS_ORDERS], shed)
    s[ANSWERS + ORDERS] += (count + surge) * (answered + shed)
    s[ERRORS + ORDERS] += count * of_users + surge * of_campaign
    late = LATE + ORDERS * BUCKETS
    unanswered_s = _unanswered_s(s, p, ORDERS)
    enter(s, late, count * answered, count * shed, s[TOTAL + ORDERS] - unanswered_s)
    if surge > 0.0:
        own_s = p[OWN_LATENCY + ORDERS] + s[WAIT + ORDERS] - unanswered_s
        enter(s, late, surge * answered, surge * shed, own_s + _extra_s(s, ORDERS))


@inlined
def _count_gateway(s: Numbers, p: Numbers) -> None:
    """Count the gateway's answers, and the users who fail."""
    accept = s[ACCEPT + GATEWAY]
    answered, shed = accept * _answered(s, GATEWAY), 1.0 - accept
    own_s = p[OWN_LATENCY + GATEWAY] + s[WAIT + GATEWAY]
    surge = s[SURGE_SUM + GATEWAY]
    calm = gateway_is_calm(s)
    unanswered_s = _unanswered_s(s, p, GATEWAY)
    late = LATE + GATEWAY * BUCKETS
    requests = surge
    bad = surge * (1.0 - s[PASS_GATEWAY])
    weighted_s = surge * own_s
    for journey in range(JOURNEYS):
        count = s[PENDING + journey]
        lost = s[JOURNEY_LOST + journey]
        requests += count
        bad += count * s[JOURNEY_BAD + journey]
        weighted_s += count * s[JOURNEY_HELD_S + journey]
        s[FAILED + journey] += count * lost
        # The variance belongs to the expected number. It is 0 if everything fails.
        s[SCATTER + journey] += count * lost * (1.0 - lost)
        if accept > 0.0 and not calm:
            enter(s, late, count * answered, count * shed, s[JOURNEY_S + journey] - unanswered_s)
    if accept == 0.0:
        return
    if calm:
        s[ANSWERS + GATEWAY] += requests
        s[ERRORS + GATEWAY] += bad
        s[CALM + GATEWAY] += requests
    else:
        s[ANSWERS + GATEWAY] += requests * (answered + shed)
        s[ERRORS + GATEWAY] += requests * shed + (bad - requests * shed) * _answered(s, GATEWAY)
        if surge > 0.0:
            enter(s, late, surge * answered, surge * shed, own_s - unanswered_s + _extra_s(s, GATEWAY))
    if requests > 0.0:
        s[HELD + GATEWAY] = weighted_s / requests - s[WAIT + GATEWAY]
