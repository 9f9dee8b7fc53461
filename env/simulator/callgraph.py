"""What becomes of requests: users' journeys followed down the call graph and back, into counters, failures, latencies.

`s` is a state and `p` its parameters, as in `layout`; `i` is a service's number.
"""

from __future__ import annotations

from env.simulator.compiled import Numbers, constants, i64, inlined, jit
from env.simulator.layout import (
    ACCEPT,
    ANSWERS,
    AUTH,
    AUTH_OK,
    BAD,
    BEGUN,
    BOUNDS,
    BROWSE,
    BROWSE_OK,
    BUCKETS,
    CALM,
    CHARGE_OK,
    CHECK_OUT,
    EACH,
    ENTERED,
    ERRORS,
    FAILED,
    GATEWAY,
    GATEWAY_TIMEOUT,
    INVADED,
    INVENTORY,
    JOURNEY_BAD,
    JOURNEY_LOST,
    JOURNEY_PLACES,
    JOURNEY_S,
    JOURNEYS,
    LATE,
    LATE_FOR_GATEWAY,
    LATE_FOR_ORDERS,
    LEARNED,
    OFFERED,
    ORDERS,
    ORDERS_OK,
    ORDERS_PLACES,
    ORDERS_TIMEOUT,
    OWN_LATENCY,
    PASS_GATEWAY,
    PASS_ORDERS,
    PAYMENTS,
    PENDING,
    PER_QUOTA,
    QUEUE,
    RESERVE_OK,
    RETRY,
    SCATTER,
    SERVICES,
    SIGN_IN,
    SPOILED,
    SPREAD,
    SURGE_SUM,
    TOTAL,
    USER_LIMIT,
    WAIT,
)

_BOUNDS = constants(BOUNDS)


@inlined
def offer(s: Numbers, load: int, browse: float, sign_in: float, check_out: float) -> None:
    """How many requests reach each service: who calls on is known from the shares worked out last."""
    signed = sign_in + check_out
    passed = s[PASS_GATEWAY]
    orders = check_out * passed * s[AUTH_OK]
    reserved = orders * s[PASS_ORDERS]
    s[load + GATEWAY] = browse + signed
    s[load + AUTH] = signed * passed
    s[load + INVENTORY] = browse * passed + reserved
    s[load + ORDERS] = orders
    s[load + PAYMENTS] = reserved * s[RESERVE_OK]


@jit
def settle(s: Numbers, p: Numbers) -> None:
    """Follow the pending journeys down the call graph and back, into counters and failures; leaves none pending."""
    if s[PENDING + BROWSE] + s[PENDING + SIGN_IN] + s[PENDING + CHECK_OUT] == 0.0:
        return
    offer(s, OFFERED, s[PENDING + BROWSE], s[PENDING + SIGN_IN], s[PENDING + CHECK_OUT])
    hurry = p[ORDERS_TIMEOUT]
    patience = p[GATEWAY_TIMEOUT]
    spread = p[SPREAD]
    auth = _leaf(s, p, AUTH)
    inventory = _leaf(s, p, INVENTORY)
    payments = _leaf(s, p, PAYMENTS)
    s[AUTH_OK] = auth * (1.0 - _overdue(s, AUTH, LATE_FOR_GATEWAY, patience, spread))
    s[BROWSE_OK] = inventory * (1.0 - _overdue(s, INVENTORY, LATE_FOR_GATEWAY, patience, spread))
    s[RESERVE_OK] = inventory * (1.0 - _overdue(s, INVENTORY, LATE_FOR_ORDERS, hurry, spread))
    s[CHARGE_OK] = payments * (1.0 - _overdue(s, PAYMENTS, LATE_FOR_ORDERS, hurry, spread))
    # Where nothing waits and everything listens, callers' latencies are those of steady state, too.
    called = (s[ACCEPT + INVENTORY] == 1.0 and s[WAIT + INVENTORY] == 0.0) and (
        s[ACCEPT + PAYMENTS] == 1.0 and s[WAIT + PAYMENTS] == 0.0
    )
    quiet = called and s[ACCEPT + ORDERS] == 1.0 and s[WAIT + ORDERS] == 0.0
    s[PASS_ORDERS] = 0.0
    s[ORDERS_OK] = 0.0
    s[TOTAL + ORDERS] = p[RETRY]
    if s[ACCEPT + ORDERS] > 0.0:
        _settle_orders(s, p, quiet)
    s[PASS_GATEWAY] = 0.0
    if s[ACCEPT + GATEWAY] > 0.0:
        _settle_gateway(s, p, quiet and s[ACCEPT + AUTH] == 1.0 and s[WAIT + AUTH] == 0.0)
    else:
        for journey in range(JOURNEYS):
            s[FAILED + journey] += s[PENDING + journey]
    for journey in range(JOURNEYS):
        s[BEGUN + journey] += s[PENDING + journey]
        s[PENDING + journey] = 0.0
    for i in range(SERVICES):
        s[SURGE_SUM + i] = 0.0


@inlined
def _leaf(s: Numbers, p: Numbers, i: int) -> float:
    """Counters of a service that calls nobody; returns the share of its requests answered well."""
    accept = s[ACCEPT + i]
    if accept == 0.0:
        s[TOTAL + i] = p[RETRY]  # refused at once, tried again after a moment, refused again
        return 0.0
    wait = s[WAIT + i]
    good = accept * (1.0 - s[SPOILED + i])
    count = s[OFFERED + i] + s[SURGE_SUM + i]
    latency = p[OWN_LATENCY + i] + wait
    s[TOTAL + i] = latency
    s[ANSWERS + i] += count
    s[ERRORS + i] += count * (1.0 - good)
    if wait == 0.0:
        s[CALM + i] += count
    elif s[ENTERED] != i:
        enter(s, i, count, accept, latency)
    return good


@inlined
def _settle_orders(s: Numbers, p: Numbers, quiet: bool) -> None:
    hurry = p[ORDERS_TIMEOUT]
    accept = s[ACCEPT + ORDERS]
    good = accept * (1.0 - s[SPOILED + ORDERS])
    own_s = p[OWN_LATENCY + ORDERS] + s[WAIT + ORDERS]
    latency = own_s + min(s[TOTAL + INVENTORY], hurry) + s[RESERVE_OK] * min(s[TOTAL + PAYMENTS], hurry)
    well = good * s[RESERVE_OK] * s[CHARGE_OK]
    count = s[OFFERED + ORDERS]
    surge = s[SURGE_SUM + ORDERS]
    s[TOTAL + ORDERS] = latency
    s[PASS_ORDERS] = good
    s[ORDERS_OK] = well * (1.0 - _beyond(latency, p[GATEWAY_TIMEOUT], p[SPREAD]))
    s[ANSWERS + ORDERS] += count + surge
    s[ERRORS + ORDERS] += count * (1.0 - well) + surge * (1.0 - good)
    if quiet:
        s[CALM + ORDERS] += count + surge
    else:
        enter(s, ORDERS, count, accept, latency)
        if surge > 0.0:
            enter(s, ORDERS, surge, accept, own_s)


@inlined
def _outcome(s: Numbers, p: Numbers, journey: int) -> tuple[float, float]:
    """The share of a journey's answers by the gateway that are good, and their seconds."""
    patience = p[GATEWAY_TIMEOUT]
    good = s[ACCEPT + GATEWAY] * (1.0 - s[SPOILED + GATEWAY])
    own_s = p[OWN_LATENCY + GATEWAY] + s[WAIT + GATEWAY]
    if journey == BROWSE:
        return good * s[BROWSE_OK], own_s + min(s[TOTAL + INVENTORY], patience)
    auth_ok = s[AUTH_OK]
    auth_s = own_s + min(s[TOTAL + AUTH], patience)
    if journey == SIGN_IN:
        return good * auth_ok, auth_s
    return good * auth_ok * s[ORDERS_OK], auth_s + auth_ok * min(s[TOTAL + ORDERS], patience)


@inlined
def _settle_gateway(s: Numbers, p: Numbers, quiet: bool) -> None:
    """The gateway's answers, and how they look to the users."""
    accept = s[ACCEPT + GATEWAY]
    good = accept * (1.0 - s[SPOILED + GATEWAY])
    own_s = p[OWN_LATENCY + GATEWAY] + s[WAIT + GATEWAY]
    surge = s[SURGE_SUM + GATEWAY]
    answers = surge
    errors = surge * (1.0 - good)
    weighted_s = surge * own_s
    quiet = quiet and s[WAIT + GATEWAY] == 0.0
    s[PASS_GATEWAY] = good
    for journey in range(JOURNEYS):
        ok, latency = _outcome(s, p, journey)
        count = s[PENDING + journey]
        answers += count
        errors += count * (1.0 - ok)
        weighted_s += count * latency
        lost = 1.0 - ok * (1.0 - _beyond(latency, p[USER_LIMIT], p[SPREAD]))
        s[FAILED + journey] += count * lost
        # Beside the expected number, its variance: where everything fails, there is no chance in it.
        s[SCATTER + journey] += count * lost * (1.0 - lost)
        if not quiet:
            enter(s, GATEWAY, count, accept, latency)
    s[ANSWERS + GATEWAY] += answers
    s[ERRORS + GATEWAY] += errors
    if quiet:
        s[CALM + GATEWAY] += answers
    elif surge > 0.0:
        enter(s, GATEWAY, surge, accept, own_s)
    if answers > 0.0:
        s[TOTAL + GATEWAY] = weighted_s / answers


@inlined
def _overdue(s: Numbers, i: int, known: int, limit: float, spread: float) -> float:
    """Share of a callee's answers that come too late for its caller."""
    return float(s[known]) if s[ENTERED] == i else _beyond(s[TOTAL + i], limit, spread)


@jit
def enter_by_ticks(s: Numbers, p: Numbers, i: int, count: float, ticks: int) -> None:
    """In a full state, before `offer` and `settle`: which share of the requests to service `i` goes well. Where it
    calls nobody, how late its answers are is entered tick by tick: a quantile shows it, and callers give up on some."""
    good = s[ACCEPT + i] * (1.0 - s[SPOILED + i])
    if i == GATEWAY:
        s[PASS_GATEWAY] = good
        return
    if i == ORDERS:
        s[PASS_ORDERS] = good
        return
    late_for_gateway = late_for_orders = 0.0
    for place in range(ticks):
        latency = p[OWN_LATENCY + i] + s[QUEUE + i] * s[EACH + place] * s[PER_QUOTA + i]
        enter(s, i, count, s[ACCEPT + i], latency)
        late_for_gateway += _beyond(latency, p[GATEWAY_TIMEOUT], p[SPREAD])
        late_for_orders += _beyond(latency, p[ORDERS_TIMEOUT], p[SPREAD])
    s[ENTERED] = i
    s[LATE_FOR_GATEWAY] = late_for_gateway / ticks
    s[LATE_FOR_ORDERS] = late_for_orders / ticks
    if i == AUTH:
        s[AUTH_OK] = good * (1.0 - s[LATE_FOR_GATEWAY])
    elif i == INVENTORY:
        s[RESERVE_OK] = good * (1.0 - s[LATE_FOR_ORDERS])


@inlined
def _beyond(latency: float, limit: float, spread: float) -> float:
    """Share of answers later than `limit` where latencies spread evenly around `latency`."""
    slowest = latency * (1.0 + spread)
    if slowest <= limit:
        return 0.0
    return min(1.0, (slowest - limit) / (2.0 * spread * latency))


@inlined
def _bucket(latency: float) -> int:
    """The bucket that `latency` falls into; a bound belongs to the bucket below it."""
    # How many of the 16 bounds lie below: halved four times, and the last one looked at.
    place = 8 if _BOUNDS[7] < latency else 0
    place += 4 if _BOUNDS[place + 3] < latency else 0
    place += 2 if _BOUNDS[place + 1] < latency else 0
    place += 1 if _BOUNDS[place] < latency else 0
    return place + (1 if _BOUNDS[place] < latency else 0)


@inlined
def _tail(place: int, latency: float) -> int:
    """Three of four answers are around the mean, in the bucket `place`; the bucket of the rest, in a tail."""
    while place < BUCKETS - 1 and _BOUNDS[place] < 1.2 * latency:
        place += 1
    return place


@jit
def enter(s: Numbers, i: int, count: float, accept: float, latency: float) -> None:
    """Enter the latencies of `count` requests: those turned away are answered at once."""
    histogram = LATE + i * BUCKETS
    served = count * accept
    s[histogram] += count - served
    place = _bucket(0.9 * latency)
    s[histogram + place] += 0.75 * served
    s[histogram + _tail(place, latency)] += 0.25 * served


@jit
def learn(s: Numbers, p: Numbers) -> None:
    """In an even state: what becomes of every request, as `settle` would find it again and again."""
    for i in range(SERVICES):
        s[BAD + i] = s[SPOILED + i]
    s[BAD + ORDERS] = 1.0 - (1.0 - s[SPOILED + ORDERS]) * s[RESERVE_OK] * s[CHARGE_OK]
    calm = s[ACCEPT + INVENTORY] == 1.0 and s[ACCEPT + PAYMENTS] == 1.0 and s[ACCEPT + ORDERS] == 1.0
    _learn_places(s, ORDERS_PLACES, ORDERS, s[TOTAL + ORDERS], calm)
    calm = calm and s[ACCEPT + AUTH] == 1.0
    for journey in range(JOURNEYS):
        ok, latency = _outcome(s, p, journey)
        s[JOURNEY_BAD + journey] = 1.0 - ok
        s[JOURNEY_LOST + journey] = 1.0 - ok * (1.0 - _beyond(latency, p[USER_LIMIT], p[SPREAD]))
        s[JOURNEY_S + journey] = latency
        _learn_places(s, JOURNEY_PLACES + 2 * journey, GATEWAY, latency, calm)
    # A campaign's own answers by a service whose others are late: seldom, and left to `settle`.
    mixed = (s[INVADED] == GATEWAY and s[JOURNEY_PLACES] > 0.0) or (s[INVADED] == ORDERS and s[ORDERS_PLACES] > 0.0)
    s[LEARNED] = 0.0 if mixed else 1.0


@inlined
def _learn_places(s: Numbers, places: int, i: int, latency: float, calm: bool) -> None:
    place = _bucket(0.9 * latency)
    late = LATE + i * BUCKETS
    s[places] = 0.0 if calm else late + place
    s[places + 1] = 0.0 if calm else late + _tail(place, latency)


@inlined
def settle_learned(s: Numbers, p: Numbers, browse: float, sign_in: float, check_out: float) -> None:
    """As `settle`, of what has been offered, by what `learn` has found."""
    surge = 0.0  # of the campaign, at the gateway
    if s[INVADED] >= 0.0:
        if s[INVADED] == GATEWAY:
            surge = s[SURGE_SUM + GATEWAY]
        _answer_campaign(s, i64(s[INVADED]))
    s[CALM + AUTH] += _answer(s, AUTH)
    s[CALM + INVENTORY] += _answer(s, INVENTORY)
    s[CALM + PAYMENTS] += _answer(s, PAYMENTS)
    orders = _answer(s, ORDERS)
    if s[ORDERS_PLACES] == 0.0:
        s[CALM + ORDERS] += orders
    else:
        _enter_learned(s, ORDERS_PLACES, orders)
    s[BEGUN + BROWSE] += browse
    s[BEGUN + SIGN_IN] += sign_in
    s[BEGUN + CHECK_OUT] += check_out
    errors = weighted_s = 0.0
    for journey in range(JOURNEYS):
        count = browse if journey == BROWSE else sign_in if journey == SIGN_IN else check_out
        lost = s[JOURNEY_LOST + journey]
        errors += count * s[JOURNEY_BAD + journey]
        weighted_s += count * s[JOURNEY_S + journey]
        s[FAILED + journey] += count * lost
        s[SCATTER + journey] += count * lost * (1.0 - lost)
    answers = browse + sign_in + check_out
    if s[ACCEPT + GATEWAY] == 0.0 or answers == 0.0:
        return
    s[ANSWERS + GATEWAY] += answers
    s[ERRORS + GATEWAY] += errors
    s[TOTAL + GATEWAY] = (weighted_s + surge * p[OWN_LATENCY + GATEWAY]) / (answers + surge)
    if s[JOURNEY_PLACES] == 0.0:
        s[CALM + GATEWAY] += answers
    else:
        _enter_learned(s, JOURNEY_PLACES + 2 * BROWSE, browse)
        _enter_learned(s, JOURNEY_PLACES + 2 * SIGN_IN, sign_in)
        _enter_learned(s, JOURNEY_PLACES + 2 * CHECK_OUT, check_out)


@inlined
def _answer(s: Numbers, i: int) -> float:
    """The ordinary answers of a service: none where nothing listens."""
    count = s[OFFERED + i] * s[ACCEPT + i]
    s[ANSWERS + i] += count
    s[ERRORS + i] += count * s[BAD + i]
    return count


@inlined
def _answer_campaign(s: Numbers, i: int) -> None:
    """The answers that a campaign gets."""
    count = s[SURGE_SUM + i]
    s[ANSWERS + i] += count
    s[ERRORS + i] += count * s[SPOILED + i]
    s[CALM + i] += count
    s[SURGE_SUM + i] = 0.0


@inlined
def _enter_learned(s: Numbers, places: int, count: float) -> None:
    s[i64(s[places])] += 0.75 * count
    s[i64(s[places + 1])] += 0.25 * count
