"""Many episodes side by side: reset and step a slice of a batch, completely in compiled code.

Each environment has a lane: a row in every table. Slices do not touch each other, so threads may play them together.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mirr.env import dice
from mirr.env.scenario import DRAW_OF_THE_FAULT
from mirr.env.simulator.fast import rows as k
from mirr.env.simulator.fast.compiled import i64, inlined, jit, merged, u64
from mirr.env.simulator.fast.dice import below, draw, following_seed, root_of, stream_key
from mirr.env.simulator.fast.episode import begin_episode, clear_plan, play_step
from mirr.env.simulator.fast.pointers import fetching, fixed, fixed_of, shown_of, state_of
from mirr.env.simulator.fast.timeline import plan_fault
from mirr.env.simulator.physics.faults import USUAL_SEVERITY
from mirr.env.tiers import choose

# Columns of a lane's whole numbers.
START: Final = 0  # the seed given at the last reset that had one
NUMBER: Final = 1  # episodes since then
SEED: Final = 2  # of this episode
WORLD_KEY: Final = 3
NOISE_KEY: Final = 4
ENDED_SEED: Final = 5  # of the last episode that is over
WHOLES: Final = 6

# The row of an episode that is over: its last window, its ledger, and what was read of the logs.
ENDED_LEDGER: Final = k.SHOWN_SIZE
ENDED_READ: Final = ENDED_LEDGER + k.LEDGER_SIZE
READ_SIZE: Final = k.LOGGED + k.SERVICES * k.LOGGED_SIZE - k.READ_LOG
ENDED_LOGGED: Final = ENDED_READ + k.LOGGED - k.READ_LOG
ENDED: Final = ENDED_READ + READ_SIZE

# How one episode follows another, as in Gymnasium.
NEXT_STEP: Final = 0  # the step after the last one begins it, with any action
SAME_STEP: Final = 1  # the last step begins it
DISABLED: Final = 2  # only reset begins it

BASE_FAULTS: Final = k.MODES * k.SERVICES  # each mode's first form on each service, numbered from 0
SCENARIO: Final = int(dice.Stream.SCENARIO)
WORLD: Final = int(dice.Stream.WORLD)
NOISE: Final = int(dice.Stream.NOISE)
_PARAMETERS: Final = 1 << 48  # the counter of the world's key that chooses the parameters

_AHEAD: Final = 3  # lanes


class Lanes(NamedTuple):
    """All the data of a batch. `Any` is an array if the code is compiled, else a list of lists."""

    rows: Any  # (size, ROW) float64: ledger and state
    parameters: Any  # (sets, PARAMETERS_ROW) float64; nobody writes to them
    wholes: Any  # (size, WHOLES) uint64: seeds and keys
    features: NDArray[np.float32]  # (size, CELLS): what is seen now
    ended: Any  # (size, ENDED) float64: the episodes that are over
    final: NDArray[np.float32]  # (size, CELLS): what was seen last in them
    given: NDArray[np.int64]  # (size,): what a reset gave, as GIVEN in the ledger; a scenario is in the lane's row
    forced: NDArray[np.int64]  # (size,): number of a given fault, form * SERVICES + service
    severities: NDArray[np.float64]  # (size,): of that fault
    which: NDArray[np.int64]  # (size,): the place of the lane's parameters
    over: NDArray[np.bool_]  # (size,): the episode is over, and the next has not begun
    chosen: NDArray[np.bool_]  # (size,): the lanes that a reset resets
    actions: NDArray[np.int64]  # (size,)
    rewards: NDArray[np.float64]  # (size,): of the last step
    terminated: NDArray[np.bool_]  # (size,)
    truncated: NDArray[np.bool_]  # (size,)
    game: Any  # (GAME.size,) float64: how episodes are played; nobody writes to it
    choices: int  # actions
    autoreset: int
    tier: int  # number of the tier that faults are drawn from
    shown: Any  # (threads, 2 * SHOWN_ROW) float64: what the last window of a thread shows, with room between threads


@jit
def which_parameters(world_key: Any, choices: int) -> int:
    """The place of an episode's parameters among `choices`. This shifts no other draw."""
    return int(i64(draw(world_key, _PARAMETERS) % u64(choices))) if choices > 1 else 0


@merged
def _begin_lane(e: int, own: int, lanes: Lanes) -> bool:
    """Begin the episode of the lane's seed; False if a fault does not land. `own` is the thread's number."""
    whole = lanes.wholes[e]
    s = state_of(lanes.rows, e)
    seed = following_seed(whole[START], whole[NUMBER])
    root = root_of(seed)
    whole[SEED] = seed
    whole[WORLD_KEY] = stream_key(root, WORLD)
    whole[NOISE_KEY] = stream_key(root, NOISE)
    if lanes.given[e] < k.SCENARIO_GIVEN:
        _plan(e, stream_key(root, SCENARIO), lanes)
    lanes.which[e] = which_parameters(whole[WORLD_KEY], len(lanes.parameters))
    lanes.over[e] = False
    p = fixed_of(lanes.parameters, lanes.which[e])
    w = shown_of(lanes.shown, own)
    return begin_episode(s, p, w, fixed(lanes.game), whole[WORLD_KEY], whole[NOISE_KEY], lanes.features, e)


@inlined
def _plan(e: int, scenario_key: Any, lanes: Lanes) -> None:
    """Draw what happens in the lane's episode. A given scenario is not drawn: its plan stays in the row."""
    s = state_of(lanes.rows, e)
    clear_plan(s)
    s[k.GIVEN] = lanes.given[e]
    if lanes.given[e] == k.FAULT_GIVEN:
        form, i = lanes.forced[e] // k.SERVICES, lanes.forced[e] % k.SERVICES
        plan_fault(s, form, i, lanes.severities[e])
    else:
        fault = below(scenario_key, DRAW_OF_THE_FAULT, BASE_FAULTS)
        form, i = fault // k.SERVICES, fault % k.SERVICES
        plan_fault(s, form, i, USUAL_SEVERITY[form])
    choose(lanes.tier, s, scenario_key, i)


@merged
def reset_slice(first: int, last: int, own: int, lanes: Lanes) -> int:
    """Reset the chosen lanes; the number of one whose fault does not land, or -1."""
    for e in range(first, last):
        if lanes.chosen[e] and not _begin_lane(e, own, lanes):
            return e
    return -1


@jit
def first_refused(actions: Any, lanes: Lanes) -> int:
    """The number of a lane that cannot take its action, or -1."""
    for e in range(len(actions)):
        if actions[e] < 0 or actions[e] >= lanes.choices or (lanes.autoreset == DISABLED and lanes.over[e]):
            return e
    return -1


_fetch_row = fetching(range(k.WARM, k.HOT, k.LINE))  # what a step reads of a lane
_fetch_features = fetching(range(0, k.CELLS, 2 * k.LINE))


@merged
def step_slice(first: int, last: int, own: int, lanes: Lanes) -> int:
    """Play one step of each lane; the number of one whose next fault does not land, or -1."""
    w = shown_of(lanes.shown, own)
    for e in range(first, last):
        if e + _AHEAD < len(lanes.over):
            # Some lanes before its turn, because the lanes do not all fit into a core's cache.
            _fetch_row(lanes.rows, e + _AHEAD)
            _fetch_features(lanes.features, e + _AHEAD)
        lanes.rewards[e] = 0.0
        lanes.terminated[e] = False
        lanes.truncated[e] = False
        begins = bool(lanes.over[e])
        if not begins:
            s = state_of(lanes.rows, e)
            p = fixed_of(lanes.parameters, lanes.which[e])
            g = fixed(lanes.game)
            keys, action = lanes.wholes[e], lanes.actions[e]
            lanes.rewards[e] = play_step(s, p, w, g, keys[WORLD_KEY], keys[NOISE_KEY], action, lanes.features, e)
            if s[k.OUTCOME] == k.RUNNING:
                continue
            lanes.truncated[e] = s[k.OUTCOME] == k.EXHAUSTED
            lanes.terminated[e] = not lanes.truncated[e]
            _keep_ended(e, w, lanes)
            lanes.over[e] = True
            begins = lanes.autoreset == SAME_STEP
        if begins:
            lanes.wholes[e][NUMBER] += u64(1)
            if not _begin_lane(e, own, lanes):
                return e
    return -1


@merged
def _keep_ended(e: int, w: Any, lanes: Lanes) -> None:
    """Keep the facts of an episode that is over. Callers may ask for them after the next episode has begun."""
    ended, row = lanes.ended[e], state_of(lanes.rows, e)
    for place in range(k.SHOWN_SIZE):
        ended[place] = w[place]
    for place in range(k.LEDGER_SIZE):
        ended[ENDED_LEDGER + place] = row[place]
    for place in range(READ_SIZE):
        ended[ENDED_READ + place] = row[k.READ_LOG + place]
    for cell in range(k.CELLS):
        lanes.final[e, cell] = lanes.features[e, cell]
    lanes.wholes[e][ENDED_SEED] = lanes.wholes[e][SEED]
