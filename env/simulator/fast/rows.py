"""The place of each number of a simulated lab. Every name gets its place from its declaration here.

A lane is one environment of a batch. It has a row for its ledger and its state, and a row of parameters, which lanes
share. Each thread has a row for what the last window shows. A block per service or per journey is named by the place of
its first number: `s[QUEUE + AUTH]` is the queue of auth.
"""

from __future__ import annotations

from typing import Final

from mirr.env.simulator.fast.table import Table

# The numbers of services, journeys and fault modes follow the order of the vocabulary.
GATEWAY: Final = 0
AUTH: Final = 1
INVENTORY: Final = 2
ORDERS: Final = 3
PAYMENTS: Final = 4
SERVICES: Final = 5

BROWSE: Final = 0
SIGN_IN: Final = 1
CHECK_OUT: Final = 2
JOURNEYS: Final = 3

MODES: Final = 4

# Upper bounds of the latency histogram's buckets, in seconds. One more bucket lies above the last bound.
BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.35, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0)
BUCKETS: Final = len(BOUNDS) + 1

LINE: Final = 8  # numbers of 64 bits in a line of a processor's cache

# Values of STATUS.
DOWN: Final = 0.0
BOOTING: Final = 1.0
UP: Final = 2.0
HUNG: Final = 3.0  # the process is there, but it is stopped: it accepts calls and never answers

# Values of PACE.
UNKNOWN: Final = 0.0  # something has changed: the pace is found when time passes next
TICKS: Final = 1.0  # one tick after the other
ROOMY: Final = 2.0  # at once: nothing boots, waits or changes, and every expected tick fits into the quotas
FULL: Final = 3.0  # at once: the same, except for the service with a campaign, whose queue is full

# Values of DEFECT.
SPOILS_ROWS: Final = 1.0  # each start spoils rows
SLOWS: Final = 2.0  # each start adds work to each request
KEEPS_MEMORY: Final = 3.0  # each request leaves memory behind, and each start begins with more
DIES: Final = 4.0  # its process dies after some requests, each one sooner

# Values of EARLIER.
EARLIER_NONE: Final = 0.0
EARLIER_STEADY: Final = 1.0
EARLIER_SOUND_NEXT: Final = 2.0  # the next release, a good one

# Values of EVENT_KIND. From DEPLOYS on, they break nothing.
BREAKS: Final = 0.0
ENDS: Final = 1.0
DEPLOYS: Final = 2.0
TRAFFIC_CHANGES: Final = 3.0
BURSTS_OUT: Final = 4.0

# Values of GIVEN. From SCENARIO_GIVEN on, it is the number of the scenario.
NOTHING_GIVEN: Final = 0
FAULT_GIVEN: Final = 1
SCENARIO_GIVEN: Final = 2

# The numbers that the lines in a service's log depend on.
LOG = Table("log", services=SERVICES, journeys=JOURNEYS)
LOG_TICK: Final = LOG.one("LOG_TICK", "tick of the last line; negative if there is none")
LOG_NEXT: Final = LOG.one("LOG_NEXT", "1 if the next release wrote it")
LOG_READY: Final = LOG.one("LOG_READY", "tick at which the process began to listen; negative if before the episode")
LOG_SPOILED: Final = LOG.one("LOG_SPOILED", "share of requests that met a spoiled row, 0..1")
LOG_SHED: Final = LOG.one("LOG_SHED", "requests turned away in the last tick")
LOG_DIED: Final = LOG.one("LOG_DIED", "tick at which a process last died of its own error; 0 if none did")
FLOWS: Final = 8
LOG_FLOW: Final = LOG.block("LOG_FLOW", FLOWS, "the shares from FLOW on")
LOG_SIZE: Final = LOG.size

# What the last reading of a service's log told. The counts are those of `mirr.env.logs`, in its order.
LOGGED_TABLE = Table("logged", services=SERVICES, journeys=JOURNEYS)
LOGGED_STEP: Final = LOGGED_TABLE.one("LOGGED_STEP", "step of the reading; 0 if there was none")
LOGGED_STARTS: Final = LOGGED_TABLE.one("LOGGED_STARTS", "starts of a process")
LOGGED_ERRORS: Final = LOGGED_TABLE.one("LOGGED_ERRORS", "errors")
LOGGED_WARNINGS: Final = LOGGED_TABLE.one("LOGGED_WARNINGS", "warnings, without those of requests turned away")
LOGGED_TURNED_AWAY: Final = LOGGED_TABLE.one("LOGGED_TURNED_AWAY", "warnings of requests turned away")
LOGGED_OTHER_RELEASE: Final = LOGGED_TABLE.one("LOGGED_OTHER_RELEASE", "1 if the last start was of another release")
LOGGED_SIZE: Final = LOGGED_TABLE.size

# An event of a timeline.
EVENT = Table("event", services=SERVICES, journeys=JOURNEYS)
EVENT_STEP: Final = EVENT.one("EVENT_STEP", "step in which it happens; 0 for before the first observation")
EVENT_KIND: Final = EVENT.one("EVENT_KIND", "BREAKS, ENDS, DEPLOYS, TRAFFIC_CHANGES or BURSTS_OUT")
EVENT_OF: Final = EVENT.one("EVENT_OF", "number of the fault that begins or ends, or of the service")
EVENT_FIRST: Final = EVENT.one("EVENT_FIRST", "level of traffic from then on, or load of a burst")
EVENT_LAST: Final = EVENT.one("EVENT_LAST", "level of traffic at last")
EVENT_SECONDS: Final = EVENT.one("EVENT_SECONDS", "seconds until then, or seconds of a burst")
EVENT_SIZE: Final = EVENT.size
MOST_EVENTS: Final = 16  # of an episode
MOST_FAULTS: Final = 2  # of an episode

# A lane's row. First the ledger: what the judge of the episode knows. It begins with the plan of the episode.
LANE = Table("lane", services=SERVICES, journeys=JOURNEYS)
GIVEN: Final = LANE.one("GIVEN", "what replaces what the seed draws: nothing, a fault, or the scenario of that number")
EVENTS_PLANNED: Final = LANE.one("EVENTS_PLANNED", "events of the timeline")
FAULTS: Final = LANE.one("FAULTS", "faults of the episode")
FORM: Final = LANE.block("FORM", MOST_FAULTS, "for each fault, the number of its form")
SEVERITY: Final = LANE.block("SEVERITY", MOST_FAULTS, "for each fault, its severity, in its form's unit")
MODE: Final = LANE.block("MODE", MOST_FAULTS, "for each fault, the number of its mode")
SERVICE: Final = LANE.block("SERVICE", MOST_FAULTS, "for each fault, the number of its service")
PLAN_SIZE: Final = LANE.size
CASE_BEGUN: Final = LANE.block("CASE_BEGUN", MOST_FAULTS, "for each fault, 1 once it has begun")
CASE_NAMED: Final = LANE.block("CASE_NAMED", MOST_FAULTS, "for each fault, 1 once a diagnosis that counts named it")
CASE_FIXED: Final = LANE.block("CASE_FIXED", MOST_FAULTS, "for each fault, 1 once the agent has fixed it")
CASE_ENDED: Final = LANE.block("CASE_ENDED", MOST_FAULTS, "for each fault, 1 once it has ended by itself")
DUE_EVENT: Final = LANE.one("DUE_EVENT", "number of the next event")
RIGHT: Final = LANE.one("RIGHT", "diagnoses that counted and were right")
DIAGNOSED: Final = LANE.one("DIAGNOSED", "1 once every fault was diagnosed correctly before its fix")
DIAGNOSED_AT_S: Final = LANE.one("DIAGNOSED_AT_S", "seconds until DIAGNOSED; negative before")
SPARE: Final = LANE.one("SPARE", "nothing: it lets the next number begin a line of the cache")
WARM: Final = LANE.size  # most steps read no number before
CURE: Final = LANE.block(
    "CURE", MOST_FAULTS, "for each fault, the number of the action that fixes it; negative: no fault"
)
ANSWER: Final = LANE.block("ANSWER", MOST_FAULTS, "for each fault, the number of the diagnosis that names it; the same")
DUE_STEP: Final = LANE.one("DUE_STEP", "step of the next event; negative if none is left")
STEP: Final = LANE.one("STEP", "steps taken")
COMMITMENTS: Final = LANE.one("COMMITMENTS", "diagnoses that will still count")
SETTLED: Final = LANE.one("SETTLED", "1 while every fault is over; without faults: once somebody said so")
HEALTHY: Final = LANE.one("HEALTHY", "steps in a row inside every objective, since nothing is left to do")
COLLAPSING: Final = LANE.one("COLLAPSING", "steps in a row in which almost nothing worked for the users")
OUTCOME: Final = LANE.one("OUTCOME", "how the episode ended; 0 while it runs")
REWARD: Final = LANE.one("REWARD", "sum of the rewards so far")
FAILED_REQUESTS: Final = LANE.one("FAILED_REQUESTS", "user requests that failed")
LOST_S: Final = LANE.one("LOST_S", "seconds outside an objective")
NEEDLESS: Final = LANE.one("NEEDLESS", "needless actions")
WRONG_FIXES: Final = LANE.one("WRONG_FIXES", "fixes of the wrong kind, or on the wrong service")
DIAGNOSIS: Final = LANE.one("DIAGNOSIS", "number of the first diagnosis; negative if there was none")
ACTION: Final = LANE.one("ACTION", "number of the last action; negative before the first")
RESULT: Final = LANE.one("RESULT", "the result of the last action")
LEDGER_SIZE: Final = LANE.size

# Then the state. The numbers that every step reads come first. A step is faster if they need fewer lines of the cache.
NOW: Final = LANE.one("NOW", "ticks since restore")
WINDOW: Final = LANE.one("WINDOW", "observations since restore")
OBSERVED: Final = LANE.one("OBSERVED", "tick of the last observation: the window begins there if SINCE is negative")
PACE: Final = LANE.one("PACE", "how the next step may be taken")
INVADED: Final = LANE.one("INVADED", "service with a campaign, once PACE is known; negative if there is none")
DRAWN: Final = LANE.one("DRAWN", "1 if the window was drawn at once, and its features are not worked out yet")
DRAWN_USERS: Final = LANE.per_journey("DRAWN_USERS", "users of the drawn window")
DRAWN_SURGE: Final = LANE.one("DRAWN_SURGE", "requests of the campaign in the drawn window")
FLOW: Final = LANE.size  # the shares, 0..1, of calls that went well in the last tick
PASS_GATEWAY: Final = LANE.one("PASS_GATEWAY", "share of requests that the gateway itself answers without an error")
PASS_ORDERS: Final = LANE.one("PASS_ORDERS", "share of requests that orders itself answers without an error")
AUTH_OK: Final = LANE.one("AUTH_OK", "share of calls gateway -> auth that go well")
BROWSE_OK: Final = LANE.one("BROWSE_OK", "the same of gateway -> inventory")
ORDERS_OK: Final = LANE.one("ORDERS_OK", "the same of gateway -> orders")
RESERVE_OK: Final = LANE.one("RESERVE_OK", "the same of orders -> inventory")
CHARGE_OK: Final = LANE.one("CHARGE_OK", "the same of orders -> payments")
STALE: Final = LANE.one("STALE", "1 if something has changed since these shares were worked out")
assert LANE.size - FLOW == FLOWS
JOURNEY_BAD: Final = LANE.per_journey("JOURNEY_BAD", "share of the gateway's answers that are errors")
JOURNEY_LOST: Final = LANE.per_journey("JOURNEY_LOST", "share of users who fail, those with late answers included")
JOURNEY_S: Final = LANE.per_journey("JOURNEY_S", "seconds from request to answer, if no service turns it away")
JOURNEY_HELD_S: Final = LANE.per_journey("JOURNEY_HELD_S", "mean seconds that a request is in the gateway")
BAD: Final = LANE.per_service("BAD", "share of answers to callers that are errors; unused for the gateway")
TOTAL: Final = LANE.per_service("TOTAL", "mean seconds from request to answer; unused for the gateway")
HELD: Final = LANE.per_service("HELD", "mean seconds in the service besides its queue")
STATUS: Final = LANE.per_service("STATUS", "DOWN, BOOTING or UP")
MEMORY: Final = LANE.per_service("MEMORY", "resident MB")
PER_QUOTA: Final = LANE.per_service("PER_QUOTA", "1 / QUOTA")
RUNS_BAD: Final = LANE.per_service("RUNS_BAD", "1 if a faulty release runs")
HURRY: Final = LANE.per_service(
    "HURRY", "p95 of a window drawn at once, in times of that of an unloaded service; 0 if the histogram is needed"
)
HOLD: Final = LANE.per_service("HOLD", "seconds in the service besides the queue; 0 if requests are turned away")
JOURNEY_PLACES: Final = LANE.block("JOURNEY_PLACES", 2 * JOURNEYS, "for each journey, the two buckets of its answers")
WATCHED: Final = LANE.one(
    "WATCHED", "1 once something has begun that can make every tick matter; see every_tick_matters"
)
VARIED: Final = LANE.one("VARIED", "1 if users do not come at the usual rate; see level_at")
BURSTS: Final = LANE.one("BURSTS", "1 while there is a burst")
HOT: Final = LANE.size  # every step reads the numbers up to here

# The rest of the state.
QUOTA: Final = LANE.per_service("QUOTA", "cores")
WAIT: Final = LANE.per_service("WAIT", "seconds in the queue")
CAMPAIGN: Final = LANE.per_service("CAMPAIGN", "requests a second that do not come from users")
ACCEPT: Final = LANE.per_service("ACCEPT", "share of requests that are not turned away; 0 if nothing listens")
SPOILED: Final = LANE.per_service("SPOILED", "share of requests that meet a spoiled row in the running release")
QUEUE: Final = LANE.per_service("QUEUE", "requests that wait for CPU")
ANSWERED: Final = LANE.per_service("ANSWERED", "with a queue: requests answered in the last tick / those let in")
QUEUED_TICK: Final = LANE.per_service("QUEUED_TICK", "tick at which the queue began")
SHED: Final = LANE.per_service("SHED", "requests turned away in the last tick")
CAMPAIGN_CPU: Final = LANE.per_service("CAMPAIGN_CPU", "CPU seconds of a request of the campaign")
CAMPAIGN_MB: Final = LANE.per_service("CAMPAIGN_MB", "MB that such a request leaves behind")
MIXED_CPU: Final = LANE.per_service(
    "MIXED_CPU", "mean CPU seconds of a queued request, if the campaign's cost much more than the others; else 0"
)
LOAD: Final = LANE.per_service("LOAD", "ordinary requests offered in a tick")
OFFERED: Final = LANE.per_service("OFFERED", "ordinary requests of the ticks that are being settled")
SURGE: Final = LANE.per_service("SURGE", "requests of the campaign in this tick")
SURGE_SUM: Final = LANE.per_service("SURGE_SUM", "requests of the campaign in the ticks that are not settled yet")
SINCE: Final = LANE.per_service("SINCE", "tick at which the window began, if after the last observation; else negative")
ANSWERS: Final = LANE.per_service("ANSWERS", "answers in this window")
ERRORS: Final = LANE.per_service("ERRORS", "errors among these answers")
CPU: Final = LANE.per_service("CPU", "CPU seconds used in this window")
CALM: Final = LANE.per_service("CALM", "answers with the latencies of an unloaded service")
START_LEFT: Final = LANE.per_service("START_LEFT", "seconds until the new process needs CPU; negative: not drawn yet")
BOOT_LEFT: Final = LANE.per_service("BOOT_LEFT", "CPU seconds until the process listens")
READY_TICK: Final = LANE.per_service("READY_TICK", "tick at which the process began to listen")
SEEN_TICK: Final = LANE.per_service("SEEN_TICK", "time of its first scrape since then, in ticks; may be a fraction")
STOPPED_TICK: Final = LANE.per_service("STOPPED_TICK", "tick at which its last process ended")
NEXT: Final = LANE.per_service("NEXT", "1 if the next release runs")
EARLIER: Final = LANE.per_service("EARLIER", "what a rollback goes back to: EARLIER_STEADY and its like")
ROWS_SPOILED: Final = LANE.per_service("ROWS_SPOILED", "share of the service's rows that are spoiled")
BOOTED: Final = LANE.per_service("BOOTED", "1 if the service was started after the episode began")
DIED_TICK: Final = LANE.per_service("DIED_TICK", "tick at which a process last died of its own error; 0 if none did")
DEFECT: Final = LANE.per_service("DEFECT", "what is wrong with the faulty release: SPOILS_ROWS and its like")
SIZE: Final = LANE.per_service(
    "SIZE", "how much of it, as deploy_faulty takes it; each start of one that dies halves it"
)
STARTS: Final = LANE.per_service("STARTS", "starts of the faulty release")
LEFT: Final = LANE.per_service("LEFT", "requests that the process takes before it dies; 0 if it does not die")
FAULT_SEVERITY: Final = LANE.per_service(
    "FAULT_SEVERITY", "severity of the last fault that began here, in its form's unit"
)
BURST_ENDS: Final = LANE.per_service("BURST_ENDS", "tick at which the service's burst ends; 0 if there is none")
LEVEL_FIRST: Final = LANE.one("LEVEL_FIRST", "level of traffic at first: times the usual rate at which users come")
LEVEL_LAST: Final = LANE.one("LEVEL_LAST", "level of traffic at last")
LEVEL_SINCE: Final = LANE.one("LEVEL_SINCE", "tick at which that began")
LEVEL_TICKS: Final = LANE.one("LEVEL_TICKS", "ticks from the first level to the last; may be a fraction")
MEMORY_BEFORE: Final = LANE.one("MEMORY_BEFORE", "resident MB of the service when its fault began")
PENDING: Final = LANE.per_journey("PENDING", "users who have begun, but were not yet followed through the call graph")
BEGUN: Final = LANE.per_journey("BEGUN", "users who have begun in this window")
FAILED: Final = LANE.per_journey("FAILED", "expected failures in this window")
SCATTER: Final = LANE.per_journey("SCATTER", "the variance of the failures")
LATE: Final = LANE.block("LATE", SERVICES * BUCKETS, "for each service, a histogram of answers that are not calm")
LAST_LOG: Final = LANE.block("LAST_LOG", SERVICES * LOG_SIZE, "for each service, what its last process wrote; see log")
STATE_END: Final = LANE.size
READ_LOG: Final = LANE.block("READ_LOG", LOG_SIZE, "the numbers that the log depends on that was read last")
READ_AT: Final = LANE.one("READ_AT", "tick at which that log was read")
LOGGED: Final = LANE.block(
    "LOGGED", SERVICES * LOGGED_SIZE, "for each service, what the last reading of its log told; see logged"
)
EVENTS: Final = LANE.block("EVENTS", MOST_EVENTS * EVENT_SIZE, "the timeline, in the order of the steps; see event")
ROW: Final = -(-LANE.size // LINE) * LINE  # whole lines of the cache

# What a window shows.
FEATURES: Final = 7
CELLS: Final = SERVICES * FEATURES
SHOWN = Table("shown", services=SERVICES, journeys=JOURNEYS)
SHOWN_FEATURES: Final = SHOWN.block("SHOWN_FEATURES", CELLS, "the features, service by service")
SHOWN_REQUESTS: Final = SHOWN.per_journey("SHOWN_REQUESTS", "users")
SHOWN_FAILED: Final = SHOWN.per_journey("SHOWN_FAILED", "users who failed")
SHOWN_DEGRADED: Final = SHOWN.per_service("SHOWN_DEGRADED", "1 if a faulty release runs")
SHOWN_SIZE: Final = SHOWN.size
HISTOGRAM: Final = SHOWN.block("HISTOGRAM", BUCKETS, "room to sort latencies in; empty between uses")
LATE_LUCK: Final = SHOWN.per_service("LATE_LUCK", "how many more answers were late, in standard deviations")
DEAR_LUCK: Final = SHOWN.per_service("DEAR_LUCK", "how much more CPU time requests took, in standard deviations")
CHANCE: Final = SHOWN.per_service("CHANCE", "from 0 up to 1, for the requests in flight at one moment")
SHOWN_ROW: Final = SHOWN.size

# The columns of the features.
COLUMN_UP: Final = 0
COLUMN_RATE: Final = 1
COLUMN_ERRORS: Final = 2
COLUMN_P95: Final = 3
COLUMN_CPU: Final = 4
COLUMN_MEMORY: Final = 5
COLUMN_IN_FLIGHT: Final = 6

# How users are drawn: see `physics.arrivals`.
ARRIVAL_BITS: Final = 21  # of a draw, for each journey
GUIDE_BITS: Final = 8
GUIDES: Final = 1 << GUIDE_BITS
GUIDE_SHIFT: Final = ARRIVAL_BITS - GUIDE_BITS
MOST_ARRIVALS: Final = 96  # in a tick
BLOCK: Final = 5  # ticks that are drawn at once: as many as a step of 2 s has
MOST_IN_BLOCK: Final = 192

# How early answers make a p95 earlier: see `physics.gauges`.
HURRIES: Final = 17  # shares of the answers that do not come early, from 0 to 1
CHECK_OUTS: Final = SERVICES  # the row of the gateway if only check-outs may come early

# How the p95 of an unloaded service is drawn: see `physics.gauges`.
P95S_A_DEVIATION: Final = 4.0  # in a standard deviation of the number of late answers
P95S: Final = 29  # knots of the table, from the fewest late answers to the most

# The parameters.
PARAMETERS = Table("parameters", services=SERVICES, journeys=JOURNEYS)
TICK_S: Final = PARAMETERS.one("TICK_S", "seconds of a tick")
LIMIT: Final = PARAMETERS.one("LIMIT", "the most requests in flight")
SHED_CPU: Final = PARAMETERS.one("SHED_CPU", "CPU seconds of a request that is turned away")
IDLE_CPU: Final = PARAMETERS.one("IDLE_CPU", "CPU seconds of a tick without requests")
MEMORY_LIMIT: Final = PARAMETERS.one("MEMORY_LIMIT", "MB")
KILLED_AT_MB: Final = PARAMETERS.one("KILLED_AT_MB", "resident MB at which the OOM killer ends a process")
GATEWAY_TIMEOUT: Final = PARAMETERS.one("GATEWAY_TIMEOUT", "seconds")
ORDERS_TIMEOUT: Final = PARAMETERS.one("ORDERS_TIMEOUT", "seconds")
SPREAD: Final = PARAMETERS.one("SPREAD", "latencies of one moment spread over 1 - SPREAD .. 1 + SPREAD")
RETRY: Final = PARAMETERS.one("RETRY", "seconds until a refused call has failed for good")
USER_LIMIT: Final = PARAMETERS.one("USER_LIMIT", "seconds; a later answer counts as failed")
BASE_QUOTA: Final = PARAMETERS.one("BASE_QUOTA", "cores")
SCALED_QUOTA: Final = PARAMETERS.one("SCALED_QUOTA", "cores after scaling up")
START_S: Final = PARAMETERS.one("START_S", "seconds of a boot that need no CPU, mean")
START_SCATTER_S: Final = PARAMETERS.one("START_SCATTER_S", "their standard deviation, in seconds")
SCRAPE_S: Final = PARAMETERS.one("SCRAPE_S", "seconds from one scrape to the next")
LEAK_RATE: Final = PARAMETERS.one("LEAK_RATE", "requests a second of the leak's client")
LEAK_CPU: Final = PARAMETERS.one("LEAK_CPU", "CPU seconds of such a request")
LEAK_MB: Final = PARAMETERS.one("LEAK_MB", "MB that it leaves behind")
LEAK_LANDED_MB: Final = PARAMETERS.one("LEAK_LANDED_MB", "rise of memory at which a leak has landed")
LEAKY_LANDED_MB: Final = PARAMETERS.one(
    "LEAKY_LANDED_MB", "the same of a leaky release, / the share that a second fills"
)
SPOILS: Final = PARAMETERS.one("SPOILS", "share of the sound rows that a start of a faulty release usually spoils")
COSTLY_CPU: Final = PARAMETERS.one("COSTLY_CPU", "CPU seconds of a costly request")
CARRIED_S: Final = PARAMETERS.one("CARRIED_S", "seconds of usual requests that a start of a leaky release adds")
SLOW_S: Final = PARAMETERS.one("SLOW_S", "seconds in the queue at which an overload has landed")
LANDED_ERRORS: Final = PARAMETERS.one("LANDED_ERRORS", "error ratio above which a faulty release has landed, 0..1")
PATIENCE: Final = PARAMETERS.one("PATIENCE", "ticks by which a fault has to have landed")
PER_BASE_QUOTA: Final = PARAMETERS.one("PER_BASE_QUOTA", "1 / BASE_QUOTA")
PER_SCALED_QUOTA: Final = PARAMETERS.one("PER_SCALED_QUOTA", "1 / SCALED_QUOTA")
PER_MEMORY_LIMIT: Final = PARAMETERS.one("PER_MEMORY_LIMIT", "1 / MEMORY_LIMIT")
PER_BLOCK_S: Final = PARAMETERS.one("PER_BLOCK_S", "1 / seconds of a block of ticks")
REQUEST_CPU: Final = PARAMETERS.per_service("REQUEST_CPU", "CPU seconds of an ordinary request in a sound release")
USUAL_RATE: Final = PARAMETERS.per_service("USUAL_RATE", "ordinary requests a second in steady state")
OWN_LATENCY: Final = PARAMETERS.per_service("OWN_LATENCY", "seconds of the service's own part of an answer, unloaded")
UNLOADED_MEAN: Final = PARAMETERS.per_service("UNLOADED_MEAN", "mean seconds of an answer, unloaded")
BASE_MEMORY: Final = PARAMETERS.per_service("BASE_MEMORY", "MB in steady state")
BOOT_CPU: Final = PARAMETERS.per_service("BOOT_CPU", "CPU seconds of a boot")
BOOT_MEMORY: Final = PARAMETERS.per_service("BOOT_MEMORY", "MB after a boot")
CROWD_RATE: Final = PARAMETERS.per_service("CROWD_RATE", "requests a second of a flash crowd")
CROWD_CPU: Final = PARAMETERS.per_service("CROWD_CPU", "CPU seconds of such a request")
CPU_SCATTER: Final = PARAMETERS.per_service(
    "CPU_SCATTER", "of the standard deviation of a window's CPU seconds, the part that is always there"
)
CPU_SCATTER_EACH: Final = PARAMETERS.per_service("CPU_SCATTER_EACH", "of it, the part of each request")
ORDERS_LATE_BY: Final = PARAMETERS.block(
    "ORDERS_LATE_BY", 3, "how much of the luck of orders with late answers is its own, inventory's, that of payments"
)
GATEWAY_LATE_BY: Final = PARAMETERS.block(
    "GATEWAY_LATE_BY", 3, "the same of the gateway: its own, auth's, that of orders"
)
UNLOADED: Final = PARAMETERS.block("UNLOADED", SERVICES * BUCKETS, "for each service, a histogram of shares, unloaded")
HURRIED: Final = PARAMETERS.block(
    "HURRIED",
    (SERVICES + 1) * HURRIES,
    "for each service, and for check-outs at the gateway: the p95 if some answers come early, in times of the usual",
)
DEARER: Final = PARAMETERS.block(
    "DEARER", SERVICES * JOURNEYS, "CPU seconds by which a request of a journey costs more than the service's others"
)
UNLOADED_P95S: Final = PARAMETERS.block(
    "UNLOADED_P95S",
    SERVICES * P95S,
    "for each service, the p95 seconds of usual windows, unloaded: from few late answers",
)
GUIDE: Final = PARAMETERS.block("GUIDE", JOURNEYS * GUIDES, "for each journey, where to begin among STEPS")
STEPS: Final = PARAMETERS.block("STEPS", JOURNEYS * MOST_ARRIVALS, "for each journey, the bits of each number of users")
BLOCK_GUIDE: Final = PARAMETERS.block("BLOCK_GUIDE", JOURNEYS * GUIDES, "GUIDE for a block of ticks")
BLOCK_STEPS: Final = PARAMETERS.block("BLOCK_STEPS", JOURNEYS * MOST_IN_BLOCK, "STEPS for a block of ticks")
USERS: Final = PARAMETERS.per_journey("USERS", "mean number of users in a tick")
BUSY_GUIDE: Final = PARAMETERS.block("BUSY_GUIDE", JOURNEYS * GUIDES, "GUIDE at the highest level of traffic")
BUSY_STEPS: Final = PARAMETERS.block("BUSY_STEPS", JOURNEYS * MOST_ARRIVALS, "STEPS at the highest level of traffic")
BUSY_BLOCK_GUIDE: Final = PARAMETERS.block("BUSY_BLOCK_GUIDE", JOURNEYS * GUIDES, "BUSY_GUIDE for a block of ticks")
BUSY_BLOCK_STEPS: Final = PARAMETERS.block(
    "BUSY_BLOCK_STEPS", JOURNEYS * MOST_IN_BLOCK, "BUSY_STEPS for a block of ticks"
)
# After these comes the steady state, in which every episode begins. It is like a lane's row up to STATE_END.
STEADY: Final = PARAMETERS.size
PARAMETERS_ROW: Final = STEADY + STATE_END

# Values of OUTCOME.
RUNNING: Final = 0.0
RESOLVED: Final = 1.0
COLLAPSED: Final = 2.0
EXHAUSTED: Final = 3.0

# Values of RESULT.
ACCEPTED: Final = 0
NO_EARLIER_RELEASE: Final = 1
NOT_RUNNING: Final = 2
LARGEST: Final = 3

# How an episode is played: its configuration, the objectives, the rewards.
GAME = Table("game", services=SERVICES, journeys=JOURNEYS)
TICKS_A_STEP: Final = GAME.one("TICKS_A_STEP", "ticks")
STEP_S: Final = GAME.one("STEP_S", "seconds of a step")
MAX_STEPS: Final = GAME.one("MAX_STEPS", "steps of an episode")
NOISE_FROM: Final = GAME.one("NOISE_FROM", "the smallest factor of the noise")
NOISE_SPAN: Final = GAME.one("NOISE_SPAN", "the largest factor of the noise minus the smallest")
LEAST_SLI: Final = GAME.one("LEAST_SLI", "share of user requests that have to go well, 0..1")
LEAST_USERS: Final = GAME.one("LEAST_USERS", "user requests in a step")
LEAST_RATE: Final = GAME.one("LEAST_RATE", "requests a second")
MOST_ERRORS: Final = GAME.one("MOST_ERRORS", "error ratio, 0..1")
MOST_P95_S: Final = GAME.one("MOST_P95_S", "seconds")
MOST_MEMORY: Final = GAME.one("MOST_MEMORY", "share of the memory limit, 0..1")
COLLAPSE_SLI: Final = GAME.one("COLLAPSE_SLI", "share at or below which almost nothing works for the users, 0..1")
PAY_DIAGNOSIS: Final = GAME.one("PAY_DIAGNOSIS", "for the right diagnosis")
PAY_WRONG_DIAGNOSIS: Final = GAME.one("PAY_WRONG_DIAGNOSIS", "for a wrong one")
PAY_FIX_DIAGNOSED: Final = GAME.one("PAY_FIX_DIAGNOSED", "for the right fix after the right diagnosis")
PAY_FIX: Final = GAME.one("PAY_FIX", "for the right fix without it")
PAY_WRONG_FIX: Final = GAME.one("PAY_WRONG_FIX", "for a wrong fix")
PAY_RECOVERY: Final = GAME.one("PAY_RECOVERY", "for a full recovery")
PAY_STEP_LEFT: Final = GAME.one("PAY_STEP_LEFT", "for each step left then")
PAY_COLLAPSE: Final = GAME.one("PAY_COLLAPSE", "for a collapse")
RECOVERY_STEPS: Final = GAME.one("RECOVERY_STEPS", "healthy steps in a row that are a recovery")
COLLAPSE_STEPS: Final = GAME.one(
    "COLLAPSE_STEPS", "steps in a row that are a collapse if almost nothing works for the users"
)

# The numbers of actions: blocks in the vocabulary's order. `wait` is 0; each kind begins at its name.
CHECK_LOGS: Final = 1
DIAGNOSE: Final = CHECK_LOGS + SERVICES
RESTART: Final = DIAGNOSE + SERVICES * MODES
ROLLBACK: Final = RESTART + SERVICES
SCALE_UP: Final = ROLLBACK + SERVICES
ACTIONS: Final = SCALE_UP + SERVICES  # of the base task
DIAGNOSE_NONE: Final = ACTIONS

TABLES: Final = (LANE, EVENT, LOG, LOGGED_TABLE, SHOWN, PARAMETERS, GAME)
