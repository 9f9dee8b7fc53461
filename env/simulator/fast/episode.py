"""An episode in flat rows: its timeline, actions by number, the judge.

`mirr.env.environment` and `mirr.env.reward` define an episode. This is the same in a form that compiles. Tests check
that every bit is equal. `s` is a lane's row, `p` its parameters, `w` what the last window shows, `g` how the episode is
played. What an agent sees goes into row `e` of `features`.
"""

from __future__ import annotations

from typing import Any

from mirr.env.simulator.fast import rows as k
from mirr.env.simulator.fast.compiled import Numbers, constants, i64, inlined, jit, merged
from mirr.env.simulator.fast.logged import count_log, forget_logs
from mirr.env.simulator.fast.paces import advance
from mirr.env.simulator.fast.timeline import find_next_due, let_due_happen, open_timeline
from mirr.env.simulator.fast.windows import observe
from mirr.env.simulator.physics import operations as ops
from mirr.env.simulator.physics.gauges import noisy
from mirr.env.vocabulary import REMEDY, FaultMode, Restart, Rollback, ScaleUp

_FIRST_OF = {Restart: k.RESTART, Rollback: k.ROLLBACK, ScaleUp: k.SCALE_UP}
"""The number of the first action of each kind of fix."""

_REMEDY_BEGINS = constants(_FIRST_OF[REMEDY[mode]] for mode in FaultMode)
"""The number of the first action that is the remedy of each mode."""


@jit
def clear_plan(s: Numbers) -> None:
    """Nothing happens in the episode, and nothing is broken in it."""
    for place in range(k.PLAN_SIZE):
        s[place] = 0.0


@jit
def open_ledger(s: Numbers) -> None:
    """The ledger of an episode before it begins. Its plan stays."""
    for place in range(k.PLAN_SIZE, k.LEDGER_SIZE):
        s[place] = 0.0
    s[k.DIAGNOSED_AT_S] = -1.0
    s[k.DIAGNOSIS] = -1.0
    s[k.ACTION] = -1.0
    s[k.COMMITMENTS] = max(1.0, s[k.FAULTS])
    for fault in range(k.MOST_FAULTS):
        s[k.CURE + fault] = -1.0
        s[k.ANSWER + fault] = -1.0
    for fault in range(i64(s[k.FAULTS])):
        s[k.CURE + fault] = _REMEDY_BEGINS[i64(s[k.MODE + fault])] + s[k.SERVICE + fault]
        s[k.ANSWER + fault] = k.DIAGNOSE + s[k.SERVICE + fault] * k.MODES + s[k.MODE + fault]


@jit
def begin_episode(
    s: Numbers, p: Numbers, w: Numbers, g: Numbers, world_key: Any, noise_key: Any, features: Any, e: int
) -> bool:
    """Set the steady state, open the timeline, let a window pass. False if a fault does not land."""
    open_ledger(s)
    ops.steady(s, p)
    forget_logs(s)
    if not open_timeline(s, p, w, g, world_key):
        return False
    advance(s, p, world_key, i64(g[k.TICKS_A_STEP]))
    observe(s, p, world_key, w)
    noisy(w, noise_key, 0.0, g, features, e)
    return True


@merged
def play_step(
    s: Numbers, p: Numbers, w: Numbers, g: Numbers, world_key: Any, noise_key: Any, action: int, features: Any, e: int
) -> float:
    """Take an action, let a step pass, and observe. Returns the reward. The outcome is in the ledger."""
    result = apply(s, p, action)
    due = s[k.DUE_STEP] == s[k.STEP] + 1.0
    if due:
        let_due_happen(s, p)
    advance(s, p, world_key, i64(g[k.TICKS_A_STEP]))
    observe(s, p, world_key, w)
    reward = judge_action(s, g, action, result == k.ACCEPTED)
    if due:
        judge_events(s)
    s[k.STEP] += 1.0
    s[k.ACTION] = action
    s[k.RESULT] = result
    reward += judge_window(s, w, g)
    s[k.REWARD] += reward
    noisy(w, noise_key, s[k.STEP], g, features, e)
    return reward


@inlined
def apply(s: Numbers, p: Numbers, action: int) -> int:
    """Start an action. Returns the result. For a log, only the state is kept: its lines are made on request."""
    if action < k.CHECK_LOGS:
        return k.ACCEPTED
    if action < k.DIAGNOSE:
        ops.read_log(s, action - k.CHECK_LOGS, s, k.READ_LOG)
        count_log(s, action - k.CHECK_LOGS, p[k.TICK_S], s[k.STEP] + 1.0)
        s[k.READ_AT] = s[k.NOW]
        return k.ACCEPTED
    if action < k.RESTART:
        return k.ACCEPTED
    if action < k.ROLLBACK:
        ops.boot(s, p, action - k.RESTART)
        return k.ACCEPTED
    if action < k.SCALE_UP:
        return int(ops.roll_back(s, p, action - k.ROLLBACK))
    if action < k.DIAGNOSE_NONE:
        return int(ops.scale_up(s, p, action - k.SCALE_UP))
    return k.ACCEPTED


@inlined
def judge_action(s: Numbers, g: Numbers, action: int, accepted: bool) -> float:
    """The reward for the action itself."""
    if action < k.DIAGNOSE:
        return 0.0
    if action < k.RESTART or action == k.DIAGNOSE_NONE:
        return float(_judge_diagnosis(s, g, action))
    return float(_judge_fix(s, g, action, accepted))


@inlined
def _judge_diagnosis(s: Numbers, g: Numbers, action: int) -> float:
    if s[k.DIAGNOSIS] < 0.0:
        s[k.DIAGNOSIS] = action
    if s[k.COMMITMENTS] == 0.0 or _all_fixed(s):
        s[k.NEEDLESS] += 1.0
        return 0.0
    s[k.COMMITMENTS] -= 1.0
    if not _is_true(s, action):
        return g[k.PAY_WRONG_DIAGNOSIS]
    s[k.RIGHT] += 1.0
    if s[k.RIGHT] >= s[k.FAULTS]:
        s[k.DIAGNOSED] = 1.0
        s[k.DIAGNOSED_AT_S] = s[k.STEP] * g[k.STEP_S]
        note_settled(s)
    return g[k.PAY_DIAGNOSIS]


@jit
def _all_fixed(s: Numbers) -> bool:
    """Whether there are faults, and the agent has fixed them all."""
    fixed = 0.0
    for fault in range(k.MOST_FAULTS):
        fixed += s[k.CASE_FIXED + fault]
    return bool(fixed > 0.0 and fixed == s[k.FAULTS])


@inlined
def _is_true(s: Numbers, action: int) -> bool:
    """Whether a diagnosis is right. The fault that it names is then named."""
    if action == k.DIAGNOSE_NONE:
        return bool(s[k.FAULTS] == 0.0)
    for fault in range(k.MOST_FAULTS):
        if action == s[k.ANSWER + fault]:
            if s[k.CASE_BEGUN + fault] == 0.0 or s[k.CASE_FIXED + fault] == 1.0 or s[k.CASE_NAMED + fault] == 1.0:
                return False
            s[k.CASE_NAMED + fault] = 1.0
            return True
    return False


@inlined
def _judge_fix(s: Numbers, g: Numbers, action: int, accepted: bool) -> float:
    for fault in range(k.MOST_FAULTS):
        if action == s[k.CURE + fault] and s[k.CASE_BEGUN + fault] == 1.0:
            return _judge_right_fix(s, g, fault, accepted)
    s[k.NEEDLESS] += 1.0
    s[k.WRONG_FIXES] += 1.0
    return g[k.PAY_WRONG_FIX]


@jit
def _judge_right_fix(s: Numbers, g: Numbers, fault: int, accepted: bool) -> float:
    """The right fix for a fault that has begun. It may be over already."""
    if s[k.CASE_FIXED + fault] == 1.0 or s[k.CASE_ENDED + fault] == 1.0 or not accepted:
        s[k.NEEDLESS] += 1.0
        return 0.0
    s[k.CASE_FIXED + fault] = 1.0
    note_settled(s)
    return float(g[k.PAY_FIX_DIAGNOSED] if s[k.CASE_NAMED + fault] == 1.0 else g[k.PAY_FIX])


@jit
def judge_events(s: Numbers) -> None:
    """The judge learns of the events of the step that is due. Then the next ones are due."""
    step = s[k.DUE_STEP]
    while s[k.DUE_STEP] == step:
        at = k.EVENTS + i64(s[k.DUE_EVENT]) * k.EVENT_SIZE
        kind, of = s[at + k.EVENT_KIND], i64(s[at + k.EVENT_OF])
        if kind == k.BREAKS:
            s[k.CASE_BEGUN + of] = 1.0
        elif kind == k.ENDS:
            s[k.CASE_ENDED + of] = 1.0
        find_next_due(s)
    note_settled(s)


@jit
def note_settled(s: Numbers) -> None:
    """Note whether anything is left to do."""
    s[k.SETTLED] = 1.0 if s[k.FAULTS] > 0.0 else s[k.DIAGNOSED]
    for fault in range(i64(s[k.FAULTS])):
        over = s[k.CASE_FIXED + fault] == 1.0 or s[k.CASE_ENDED + fault] == 1.0
        if s[k.CASE_BEGUN + fault] == 0.0 or not over:
            s[k.SETTLED] = 0.0


@inlined
def judge_window(s: Numbers, w: Numbers, g: Numbers) -> float:
    """The reward for the step's window. Sets the outcome if the episode ends."""
    requests = 0.0
    failed = 0.0
    for journey in range(k.JOURNEYS):
        requests += w[k.SHOWN_REQUESTS + journey]
        failed += w[k.SHOWN_FAILED + journey]
    user_sli = 1.0 - failed / requests if requests > 0.0 else 0.0
    healthy = user_sli >= g[k.LEAST_SLI] and requests >= g[k.LEAST_USERS] and services_healthy(w, g)
    s[k.FAILED_REQUESTS] += failed
    if not healthy:
        s[k.LOST_S] += g[k.STEP_S]
    s[k.HEALTHY] = s[k.HEALTHY] + 1.0 if healthy and s[k.SETTLED] == 1.0 else 0.0
    s[k.COLLAPSING] = s[k.COLLAPSING] + 1.0 if user_sli <= g[k.COLLAPSE_SLI] else 0.0
    steps_left = g[k.MAX_STEPS] - s[k.STEP]
    if s[k.HEALTHY] >= g[k.RECOVERY_STEPS]:
        s[k.OUTCOME] = k.RESOLVED
        if s[k.DIAGNOSED] == 1.0:
            return float(g[k.PAY_RECOVERY] + g[k.PAY_STEP_LEFT] * steps_left)
    elif s[k.COLLAPSING] >= g[k.COLLAPSE_STEPS]:
        s[k.OUTCOME] = k.COLLAPSED
        return float(g[k.PAY_COLLAPSE])
    elif steps_left <= 0.0:
        s[k.OUTCOME] = k.EXHAUSTED
    return 0.0


@inlined
def services_healthy(w: Numbers, g: Numbers) -> bool:
    """Whether every service meets every objective."""
    upper = _healthy(w, g, k.GATEWAY) & _healthy(w, g, k.AUTH) & _healthy(w, g, k.INVENTORY)
    return upper & _healthy(w, g, k.ORDERS) & _healthy(w, g, k.PAYMENTS)


@inlined
def _healthy(w: Numbers, g: Numbers, i: int) -> bool:
    """Whether service `i` meets every objective. NaN fails each comparison. All are made, so there are no branches."""
    row = i * k.FEATURES
    return bool(
        (w[row + k.COLUMN_UP] >= 1.0)
        & (w[row + k.COLUMN_RATE] >= g[k.LEAST_RATE])
        & (w[row + k.COLUMN_ERRORS] <= g[k.MOST_ERRORS])
        & (w[row + k.COLUMN_P95] <= g[k.MOST_P95_S])
        & (w[row + k.COLUMN_MEMORY] <= g[k.MOST_MEMORY])
        & (w[k.SHOWN_DEGRADED + i] == 0.0)
    )
