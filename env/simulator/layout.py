"""Where each number of a simulated lab stands: one flat row of floats for all of it, one for its parameters.

Flat rows, because lists and arrays are then indexed alike, compiled or not. What is kept per service takes a block of
`SERVICES` numbers, and the block's name is the place of its first.
"""

from __future__ import annotations

from typing import Final

# Service numbers: the vocabulary's order.
GATEWAY: Final = 0
AUTH: Final = 1
INVENTORY: Final = 2
ORDERS: Final = 3
PAYMENTS: Final = 4
SERVICES: Final = 5

# Journey numbers, too.
BROWSE: Final = 0
SIGN_IN: Final = 1
CHECK_OUT: Final = 2
JOURNEYS: Final = 3

# And fault modes.
CRASHED: Final = 0
MEMORY_LEAK: Final = 1
OVERLOADED: Final = 2
BAD_DEPLOY: Final = 3
MODES: Final = 4

# Upper bounds of the latency histogram's buckets; one more bucket lies above the last.
BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.35, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0)
BUCKETS: Final = len(BOUNDS) + 1

# Values of STATUS.
DOWN: Final = 0.0
BOOTING: Final = 1.0
UP: Final = 2.0

# A lane's row: the ledger, the state, and what the log read last depends on.

# The ledger of the episode: what its judge knows.
LEDGER: Final = 0
MODE: Final = 0  # of the fault
SERVICE: Final = 1
STEP: Final = 2  # steps taken
COMMITTED: Final = 3  # 1 once a diagnosis counts
DIAGNOSED: Final = 4  # 1 where it was right
FIXED: Final = 5
HEALTHY: Final = 6  # steps running inside every objective, since the fix
COLLAPSING: Final = 7  # steps running with nothing left for the users
OUTCOME: Final = 8
REWARD: Final = 9  # so far
FAILED_REQUESTS: Final = 10
LOST_S: Final = 11
NEEDLESS: Final = 12
DIAGNOSED_AT_S: Final = 13  # negative where it was not
DIAGNOSIS: Final = 14  # the number of the first one; negative where there was none
ACTION: Final = 15  # the number of the last one; negative before the first
RESULT: Final = 16  # what became of it

# The state. First what every step reads, so that this is few lines of a cache; where a comment says so, a block of one
# number per service or per journey.
STATE_BEGINS: Final = 17
NOW: Final = 17  # ticks since restore
WINDOW: Final = 18  # observations since restore
OBSERVED: Final = 19  # the tick of the last one: there every window begins that SINCE says nothing of
PACE: Final = 20  # how much of the next stretch of ticks may be taken at once; see below
INVADED: Final = 21  # in an even or full state, the service that a campaign is on; negative where there is none
DRAWN: Final = 22  # 1 where the window that ends now was drawn at once, and is worked out when it is observed
DRAWN_USERS: Final = 23  # by journey
DRAWN_SURGE: Final = 26  # requests of the campaign
# Shares of calls that went well in the last tick.
FLOW: Final = 27
PASS_GATEWAY: Final = FLOW + 0
PASS_ORDERS: Final = FLOW + 1
AUTH_OK: Final = FLOW + 2  # gateway -> auth
BROWSE_OK: Final = FLOW + 3  # gateway -> inventory
ORDERS_OK: Final = FLOW + 4  # gateway -> orders
RESERVE_OK: Final = FLOW + 5  # orders -> inventory
CHARGE_OK: Final = FLOW + 6  # orders -> payments
STALE: Final = FLOW + 7  # 1 where something has changed since these shares were worked out
FLOWS: Final = 8
# What becomes of requests and of users, worked out with them.
JOURNEY_BAD: Final = 35  # share of a journey's answers by the gateway that are errors, by journey
JOURNEY_LOST: Final = 38  # share of the users who fail, be it that their answer comes too late, by journey
JOURNEY_S: Final = 41  # seconds from request to answer, by journey
BAD: Final = 44  # share of the answers to callers that are errors, per service; the gateway's depends on the journey
TOTAL: Final = 49  # seconds from request to answer, mean, per service
STATUS: Final = 54  # per service
MEMORY: Final = 59  # MB resident, per service
PER_QUOTA: Final = 64  # 1 / QUOTA, per service
RUNS_BAD: Final = 69  # 1 where it runs a bad release, per service
P95: Final = 74  # of answers while the state stays even or full; negative where it depends on who comes; per service
HOLD: Final = 79  # seconds that a request is in a service besides its queue; 0 where it is turned away; per service
JOURNEY_PLACES: Final = 84  # for each journey the two buckets of the gateway's answers, where they are not calm

HOT: Final = 90  # up to here every step reads; the rest of the state, per service:
QUOTA: Final = 90  # cores
WAIT: Final = 95  # seconds in the queue
CAMPAIGN: Final = 100  # requests per second from outside the users
ACCEPT: Final = 105  # share of requests not turned away; 0 where nothing listens
SPOILED: Final = 110  # share of requests that meet a spoiled row: only where the running release reads them
QUEUE: Final = 115  # requests waiting for CPU
SHED: Final = 120  # requests turned away in the last tick
CAMPAIGN_CPU: Final = 125  # CPU seconds of each of its requests
CAMPAIGN_MB: Final = 130  # memory that each leaves behind
LOAD: Final = 135  # ordinary requests offered in a tick
OFFERED: Final = 140  # ordinary requests of the ticks being settled
SURGE: Final = 145  # campaign requests offered in this tick
SURGE_SUM: Final = 150  # campaign requests of the ticks that wait to be settled
# The window, where it is counted tick by tick: what has happened since it began.
SINCE: Final = 155  # the tick at which it began, where that was after the last observation; negative otherwise
ANSWERS: Final = 160
ERRORS: Final = 165
CPU: Final = 170
CALM: Final = 175  # answers whose latencies are those of an unloaded service
# Seldom looked at.
BOOT_LEFT: Final = 180  # CPU seconds until the process listens
READY_TICK: Final = 185  # when it began to listen
STOPPED_TICK: Final = 190  # when its last process ended
NEXT: Final = 195  # 1 where the next release runs
SOUND: Final = 200  # 1 where that is a good one
ROWS_SPOILED: Final = 205  # share of its rows
BOOTED: Final = 210  # 1 where it was started since the episode began

# Users, by journey, where they are counted tick by tick.
PENDING: Final = 215  # begun, and not yet followed through the call graph
BEGUN: Final = 218  # in this window
FAILED: Final = 221  # expected failures in this window
SCATTER: Final = 224  # their variance

LATE: Final = 227  # a histogram per service, of answers whose latencies are not those of an unloaded service

# Values of PACE.
UNKNOWN: Final = 0.0
TICKS: Final = 1.0
ROOMY: Final = 2.0  # nothing boots, waits or has changed, and the quotas have room for any tick that is to be expected
FULL: Final = 3.0  # roomy but for the service that a campaign is on: its queue is full

# What a process that has ended would have written last: so many numbers per service.
WORDS: Final = LATE + SERVICES * BUCKETS
WORDS_TICK: Final = 0  # when; negative where there are none
WORDS_NEXT: Final = 1
WORDS_READY: Final = 2  # negative where it ran before the episode began
WORDS_SPOILED: Final = 3
WORDS_SHED: Final = 4
WORDS_FLOW: Final = 5
WORDS_SIZE: Final = WORDS_FLOW + FLOWS

STATE: Final = WORDS + SERVICES * WORDS_SIZE

READ: Final = STATE  # as in WORDS, and when it was read
READ_AT: Final = READ + WORDS_SIZE
ROW: Final = (READ_AT + 8) // 8 * 8  # whole lines of a cache

# What a window shows, a row of its own. Features in rows of services, users and failures by journey, and who runs a bad
# release; then room to sort latencies in.
FEATURES: Final = 7
CELLS: Final = SERVICES * FEATURES
SHOWN_REQUESTS: Final = CELLS
SHOWN_FAILED: Final = SHOWN_REQUESTS + JOURNEYS
SHOWN_DEGRADED: Final = SHOWN_FAILED + JOURNEYS
SHOWN: Final = SHOWN_DEGRADED + SERVICES
HISTOGRAM: Final = SHOWN
SHOWN_ROW: Final = HISTOGRAM + BUCKETS

# The parameters: numbers that all services share.
TICK_S: Final = 0
LIMIT: Final = 1  # requests in flight
SHED_CPU: Final = 2
IDLE_CPU: Final = 3  # per tick
MEMORY_LIMIT: Final = 4
GATEWAY_TIMEOUT: Final = 5
ORDERS_TIMEOUT: Final = 6
SPREAD: Final = 7
RETRY: Final = 8
USER_LIMIT: Final = 9  # a later answer counts as failed
BASE_QUOTA: Final = 10
SCALED_QUOTA: Final = 11
BOOT_CPU: Final = 12
LEAK_RATE: Final = 13
LEAK_CPU: Final = 14
LEAK_MB: Final = 15
LEAK_LANDED_MB: Final = 16  # rise of memory at which a leak counts as injected
SPOILS: Final = 17  # share of the rows not yet spoiled that a boot of a faulty release spoils
SLOW_S: Final = 18  # seconds in the queue at which a crowd counts as injected
PATIENCE: Final = 19  # ticks by which a fault has to have landed
PER_BASE_QUOTA: Final = 20  # what is divided by often, as what is multiplied by
PER_SCALED_QUOTA: Final = 21
PER_MEMORY_LIMIT: Final = 22
PER_BLOCK_S: Final = 23
# Blocks of one number per service.
REQUEST_CPU: Final = 24
OWN_LATENCY: Final = 29
UNLOADED_MEAN: Final = 34
UNLOADED_P95: Final = 39
BASE_MEMORY: Final = 44
CROWD_RATE: Final = 49
CROWD_CPU: Final = 54
UNLOADED: Final = 59  # a histogram per service, shares of 1
# To draw the users of a tick: for each journey, where to begin to look, and the bits at which each number begins.
ARRIVAL_BITS: Final = 21
GUIDES: Final = 256
GUIDE_SHIFT: Final = 13
MOST_ARRIVALS: Final = 96
GUIDE: Final = UNLOADED + SERVICES * BUCKETS
STEPS: Final = GUIDE + JOURNEYS * GUIDES
# The same for the users of a block of ticks, drawn at once: as many as a step usually has.
BLOCK: Final = 5
MOST_IN_BLOCK: Final = 192
BLOCK_GUIDE: Final = STEPS + JOURNEYS * MOST_ARRIVALS
BLOCK_STEPS: Final = BLOCK_GUIDE + JOURNEYS * GUIDES
USERS: Final = BLOCK_STEPS + JOURNEYS * MOST_IN_BLOCK  # their mean number in a tick, by journey
RULES: Final = USERS + JOURNEYS
# After these, the state in which every episode begins.
STEADY: Final = RULES
PARAMETERS: Final = STEADY + STATE

# The columns of the features.
COLUMN_UP: Final = 0
COLUMN_RATE: Final = 1
COLUMN_ERRORS: Final = 2
COLUMN_P95: Final = 3
COLUMN_CPU: Final = 4
COLUMN_MEMORY: Final = 5
COLUMN_IN_FLIGHT: Final = 6

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

# What an episode is played by: its configuration, the objectives, what is paid.
TICKS: Final = 0  # in a step
STEP_S: Final = 1
MAX_STEPS: Final = 2
NOISE_FROM: Final = 3
NOISE_SPAN: Final = 4
LEAST_SLI: Final = 5
LEAST_USERS: Final = 6  # in a step
LEAST_RATE: Final = 7
MOST_ERRORS: Final = 8
MOST_P95_S: Final = 9
MOST_MEMORY: Final = 10
COLLAPSE_SLI: Final = 11
PAY_DIAGNOSIS: Final = 12
PAY_WRONG_DIAGNOSIS: Final = 13
PAY_FIX_DIAGNOSED: Final = 14
PAY_FIX: Final = 15
PAY_WRONG_FIX: Final = 16
PAY_RECOVERY: Final = 17
PAY_STEP_LEFT: Final = 18
PAY_COLLAPSE: Final = 19
RECOVERY_STEPS: Final = 20
COLLAPSE_STEPS: Final = 21
GAME: Final = 22

# Kinds of actions, in blocks of the vocabulary's order: where each begins.
CHECK_LOGS: Final = 1
DIAGNOSE: Final = CHECK_LOGS + SERVICES
RESTART: Final = DIAGNOSE + SERVICES * MODES
ROLLBACK: Final = RESTART + SERVICES
SCALE_UP: Final = ROLLBACK + SERVICES
ACTIONS: Final = SCALE_UP + SERVICES
