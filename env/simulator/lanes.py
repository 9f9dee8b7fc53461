"""Many episodes side by side: resetting and stepping a slice of a batch, wholly in compiled code.

Each environment has a lane, a row in every table. Slices do not touch each other, so threads may play them at once.
"""

from __future__ import annotations

from typing import Any, Final

from mirr.env import dice
from mirr.env.scenario import DRAW_OF_THE_FAULT
from mirr.env.simulator import layout as k
from mirr.env.simulator.compiled import Numbers, i64, inlined, jit, merged, u64
from mirr.env.simulator.dice import below, draw, mix, root_of, stream_key
from mirr.env.simulator.episode import begin_episode, open_ledger, play_step
from mirr.env.simulator.instructions import LINE, fetch_ahead

# Columns of a lane's whole numbers.
START: Final = 0  # the seed given at the last reset that had one
NUMBER: Final = 1  # episodes since then
SEED: Final = 2  # this episode's
WORLD_KEY: Final = 3
NOISE_KEY: Final = 4
ENDED_SEED: Final = 5  # of the last episode that is over
WHOLES: Final = 6

# An ended row: the last window, the ledger, what the log read last depends on.
ENDED_READ: Final = k.SHOWN + k.STATE_BEGINS
ENDED: Final = ENDED_READ + k.READ_AT + 1 - k.READ

# How an episode follows another, as in Gymnasium.
NEXT_STEP: Final = 0  # the step after the last one begins it, whatever the action
SAME_STEP: Final = 1  # the last step does
DISABLED: Final = 2  # only reset does

FAULTS: Final = k.MODES * k.SERVICES
SCENARIO: Final = int(dice.Stream.SCENARIO)
WORLD: Final = int(dice.Stream.WORLD)
NOISE: Final = int(dice.Stream.NOISE)
_PARAMETERS: Final = 1 << 48  # the counter at which a world's key decides which parameters it has

_AHEAD: Final = 3  # lanes

Tables = Any
"""In order: rows, parameters, whole numbers, features, ended windows with their ledgers, final features, forced faults,
which parameters, whether over."""


@jit
def which_parameters(world_key: Any, choices: int) -> int:
    """The place of an episode's parameters among so many; it shifts no other draw."""
    return int(i64(draw(world_key, _PARAMETERS) % u64(choices))) if choices > 1 else 0


@jit
def _seed(whole: Any) -> Any:
    """As `mirr.env.dice.following_seed`."""
    if whole[NUMBER] == u64(0):
        return whole[START]
    return mix((whole[START] + whole[NUMBER] * dice.GOLDEN) & dice.MASK) >> 1


@jit
def reset_lane(e: int, w: Numbers, g: Numbers, tables: Tables) -> bool:
    """Begin the episode of the lane's seed; False where its fault never shows."""
    rows, parameters, wholes, features, _, _, forced, which, over = tables
    whole = wholes[e]
    seed = _seed(whole)
    whole[SEED] = seed
    root = root_of(seed)
    whole[WORLD_KEY] = stream_key(root, WORLD)
    whole[NOISE_KEY] = stream_key(root, NOISE)
    fault = forced[e] if forced[e] >= 0 else below(stream_key(root, SCENARIO), DRAW_OF_THE_FAULT, FAULTS)
    which[e] = which_parameters(whole[WORLD_KEY], len(parameters))
    open_ledger(rows[e], fault // k.SERVICES, fault % k.SERVICES)
    over[e] = False
    return begin_episode(rows[e], parameters[which[e]], w, g, whole[WORLD_KEY], whole[NOISE_KEY], features, e)


@merged
def reset_slice(first: int, last: int, w: Numbers, begun: Any, g: Numbers, tables: Tables) -> int:
    """Reset the lanes of `begun`; the number of one whose fault never shows, or -1."""
    for e in range(first, last):
        if begun[e] and not reset_lane(e, w, g, tables):
            return e
    return -1


@jit
def first_refused(actions: Any, autoreset: int, over: Any) -> int:
    """The number of a lane that cannot take its action, or -1."""
    for e in range(len(actions)):
        if actions[e] < 0 or actions[e] >= k.ACTIONS or (autoreset == DISABLED and over[e]):
            return e
    return -1


@inlined
def _fetch_lane(e: int, rows: Any, features: Any) -> None:
    """Many lanes are too many for a core's cache: what each step reads of one is asked for before it is its turn."""
    for line in range(0, k.HOT, LINE):
        fetch_ahead(rows, e, line)
    for line in range(0, k.CELLS, 2 * LINE):
        fetch_ahead(features, e, line)


@merged
def step_slice(
    first: int,
    last: int,
    w: Numbers,
    autoreset: int,
    actions: Any,
    g: Numbers,
    tables: Tables,
    rewards: Any,
    terminated: Any,
    truncated: Any,
) -> int:
    """Play one step of each lane; the number of one whose next fault never shows, or -1."""
    rows, parameters, wholes, features, _, _, _, which, over = tables
    for e in range(first, last):
        if e + _AHEAD < last:
            _fetch_lane(e + _AHEAD, rows, features)
        rewards[e] = 0.0
        terminated[e] = False
        truncated[e] = False
        whole = wholes[e]
        if over[e]:
            whole[NUMBER] += u64(1)
            if not reset_lane(e, w, g, tables):
                return e
            continue
        s = rows[e]
        p = parameters[which[e]]
        rewards[e] = play_step(s, p, w, g, whole[WORLD_KEY], whole[NOISE_KEY], actions[e], features, e)
        if s[k.OUTCOME] == k.RUNNING:
            continue
        truncated[e] = s[k.OUTCOME] == k.EXHAUSTED
        terminated[e] = not truncated[e]
        _keep_ended(e, w, tables)
        over[e] = True
        if autoreset == SAME_STEP:
            whole[NUMBER] += u64(1)
            if not reset_lane(e, w, g, tables):
                return e
    return -1


@jit
def _keep_ended(e: int, w: Numbers, tables: Tables) -> None:
    """What is told of an episode when it is over, also when the next one has begun."""
    rows, _, wholes, features, ended, final, _, _, _ = tables
    for place in range(k.SHOWN):
        ended[e][place] = w[place]
    for place in range(k.STATE_BEGINS):
        ended[e][k.SHOWN + place] = rows[e][place]
    for place in range(k.READ, k.READ_AT + 1):
        ended[e][ENDED_READ + place - k.READ] = rows[e][place]
    for cell in range(k.CELLS):
        final[e, cell] = features[e, cell]
    wholes[e][ENDED_SEED] = wholes[e][SEED]
