"""The base task's episode in flat rows: the drawn fault, actions by number, the judge. As `Environment` plays it.

`env.environment` and `env.reward` say what an episode is; this says it again in a form that compiles, and the parity
tests hold it to them bit for bit. `s` is a state, `p` its parameters, `b` the ledger, `g` how the episode is played.
"""

from __future__ import annotations

from typing import Any

from env.simulator import layout as k
from env.simulator import operations as ops
from env.simulator.compiled import Numbers, constants, i64, jit
from env.simulator.gauges import noisy, observe
from env.simulator.kernel import advance
from env.vocabulary import REMEDY, FaultMode, Restart, Rollback

_REMEDY_BEGINS = constants(
    k.RESTART if REMEDY[mode] is Restart else k.ROLLBACK if REMEDY[mode] is Rollback else k.SCALE_UP
    for mode in FaultMode
)
"""Where, among the actions, the block of each mode's remedy begins."""


@jit
def open_ledger(b: Numbers, mode: int, i: int) -> None:
    """The ledger of an episode that has yet to begin."""
    for place in range(k.LEDGER):
        b[place] = 0.0
    b[k.MODE] = mode
    b[k.SERVICE] = i
    b[k.DIAGNOSED_AT_S] = -1.0
    b[k.DIAGNOSIS] = -1.0
    b[k.ACTION] = -1.0


@jit
def begin_episode(
    s: Numbers, p: Numbers, b: Numbers, g: Numbers, world_key: Any, noise_key: Any, shown: Numbers, features: Any
) -> bool:
    """Steady state, then the ledger's fault, then one window; False where the fault never shows."""
    ops.steady(s, p)
    if not ops.inject(s, p, world_key, i64(b[k.MODE]), i64(b[k.SERVICE])):
        return False
    advance(s, p, world_key, i64(g[k.TICKS]))
    observe(s, p, world_key, shown)
    noisy(shown, noise_key, 0.0, g, features)
    return True


@jit
def play_step(
    s: Numbers,
    p: Numbers,
    b: Numbers,
    g: Numbers,
    world_key: Any,
    noise_key: Any,
    action: int,
    shown: Numbers,
    features: Any,
) -> float:
    """An action, a step's time, what is seen of it; returns the reward, and leaves the outcome in the ledger."""
    result = apply(s, p, b, action)
    advance(s, p, world_key, i64(g[k.TICKS]))
    observe(s, p, world_key, shown)
    reward = judge_action(b, g, action, result == k.ACCEPTED)
    b[k.STEP] += 1.0
    b[k.ACTION] = action
    b[k.RESULT] = result
    reward += judge_window(b, g, shown)
    b[k.REWARD] += reward
    noisy(shown, noise_key, b[k.STEP], g, features)
    return reward


@jit
def apply(s: Numbers, p: Numbers, b: Numbers, action: int) -> int:
    """Start an action; says what became of it. What a log depends on is noted, its lines are written when asked for."""
    if action < k.CHECK_LOGS:
        return k.ACCEPTED
    if action < k.DIAGNOSE:
        ops.recent_words(s, action - k.CHECK_LOGS, b, k.READ)
        b[k.READ_AT] = s[k.NOW]
        return k.ACCEPTED
    if action < k.RESTART:
        return k.ACCEPTED
    if action < k.ROLLBACK:
        ops.boot(s, p, action - k.RESTART)
        return k.ACCEPTED
    if action < k.SCALE_UP:
        return int(ops.roll_back(s, p, action - k.ROLLBACK))
    return int(ops.scale_up(s, p, action - k.SCALE_UP))


@jit
def judge_action(b: Numbers, g: Numbers, action: int, accepted: bool) -> float:
    """What taking it pays at once."""
    if action < k.DIAGNOSE:
        return 0.0
    if action < k.RESTART:
        return float(_judge_diagnosis(b, g, action))
    if action != i64(_REMEDY_BEGINS[i64(b[k.MODE])]) + i64(b[k.SERVICE]):
        b[k.NEEDLESS] += 1.0
        return float(g[k.PAY_WRONG_FIX])
    if b[k.FIXED] == 1.0 or not accepted:
        b[k.NEEDLESS] += 1.0
        return 0.0
    b[k.FIXED] = 1.0
    return float(g[k.PAY_FIX_DIAGNOSED] if b[k.DIAGNOSED] == 1.0 else g[k.PAY_FIX])


@jit
def _judge_diagnosis(b: Numbers, g: Numbers, action: int) -> float:
    if b[k.DIAGNOSIS] < 0.0:
        b[k.DIAGNOSIS] = action
    if b[k.FIXED] == 1.0 or b[k.COMMITTED] == 1.0:
        b[k.NEEDLESS] += 1.0
        return 0.0
    b[k.COMMITTED] = 1.0
    if action != k.DIAGNOSE + i64(b[k.SERVICE]) * k.MODES + i64(b[k.MODE]):
        return g[k.PAY_WRONG_DIAGNOSIS]
    b[k.DIAGNOSED] = 1.0
    b[k.DIAGNOSED_AT_S] = b[k.STEP] * g[k.STEP_S]
    return g[k.PAY_DIAGNOSIS]


@jit
def judge_window(b: Numbers, g: Numbers, shown: Numbers) -> float:
    """What the step's window pays; sets the outcome where it ends the episode."""
    requests = 0.0
    failed = 0.0
    for journey in range(k.JOURNEYS):
        requests += shown[k.SHOWN_REQUESTS + journey]
        failed += shown[k.SHOWN_FAILED + journey]
    user_sli = 1.0 - failed / requests if requests > 0.0 else 0.0
    healthy = user_sli >= g[k.LEAST_SLI] and requests >= g[k.LEAST_USERS] and services_healthy(g, shown)
    b[k.FAILED_REQUESTS] += failed
    if not healthy:
        b[k.LOST_S] += g[k.STEP_S]
    b[k.HEALTHY] = b[k.HEALTHY] + 1.0 if healthy and b[k.FIXED] == 1.0 else 0.0
    b[k.COLLAPSING] = b[k.COLLAPSING] + 1.0 if user_sli <= g[k.COLLAPSE_SLI] else 0.0
    steps_left = g[k.MAX_STEPS] - b[k.STEP]
    if b[k.HEALTHY] >= g[k.RECOVERY_STEPS]:
        b[k.OUTCOME] = k.RESOLVED
        if b[k.DIAGNOSED] == 1.0:
            return float(g[k.PAY_RECOVERY] + g[k.PAY_STEP_LEFT] * steps_left)
    elif b[k.COLLAPSING] >= g[k.COLLAPSE_STEPS]:
        b[k.OUTCOME] = k.COLLAPSED
        return float(g[k.PAY_COLLAPSE])
    elif steps_left <= 0.0:
        b[k.OUTCOME] = k.EXHAUSTED
    return 0.0


@jit
def services_healthy(g: Numbers, shown: Numbers) -> bool:
    """Whether no service misses an objective; each comparison is written so that NaN fails it."""
    for i in range(k.SERVICES):
        row = i * k.FEATURES
        if not (
            shown[row + k.COLUMN_UP] >= 1.0
            and shown[row + k.COLUMN_RATE] >= g[k.LEAST_RATE]
            and shown[row + k.COLUMN_ERRORS] <= g[k.MOST_ERRORS]
            and shown[row + k.COLUMN_P95] <= g[k.MOST_P95_S]
            and shown[row + k.COLUMN_MEMORY] <= g[k.MOST_MEMORY]
            and shown[k.SHOWN_DEGRADED + i] == 0.0
        ):
            return False
    return True
