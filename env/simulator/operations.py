"""What happens to a service between ticks: it is broken, mended, restarted, deployed, scaled. Compiled or not.

`s` is a state and `p` its parameters, as in `layout`; `i` is a service's number, `mode` that of a fault mode.
"""

from __future__ import annotations

from typing import Any

from mirr.env.simulator import layout as k
from mirr.env.simulator.callgraph import follow
from mirr.env.simulator.compiled import Numbers, inlined, jit
from mirr.env.simulator.kernel import stop, tick


@inlined
def steady(s: Numbers, p: Numbers) -> None:
    """The state in which nothing has happened yet."""
    for place in range(k.STATE_BEGINS, k.STATE):
        s[place] = p[k.STEADY + place]


@jit
def find_steady(s: Numbers, p: Numbers) -> None:
    """Work that state out, which begins each episode: too dear to be done each time."""
    for place in range(k.STATE):
        s[place] = 0.0
    for i in range(k.SERVICES):
        s[k.STATUS + i] = k.UP
        s[k.QUOTA + i] = p[k.BASE_QUOTA]
        s[k.PER_QUOTA + i] = p[k.PER_BASE_QUOTA]
        s[k.MEMORY + i] = p[k.BASE_MEMORY + i]
        s[k.ACCEPT + i] = 1.0
        s[k.WORDS + i * k.WORDS_SIZE + k.WORDS_TICK] = -1.0
    s[k.TOTAL + k.GATEWAY] = p[k.UNLOADED_MEAN + k.GATEWAY]
    follow(s, p)
    forget_window(s)


@jit
def words(s: Numbers, i: int, into: Numbers, place: int) -> None:
    """All that the lines which service `i` would write now depend on, into `into` from `place` on."""
    alive = s[k.STATUS + i] == k.UP
    into[place + k.WORDS_TICK] = s[k.NOW] if alive else s[k.STOPPED_TICK + i]
    into[place + k.WORDS_NEXT] = s[k.NEXT + i]
    into[place + k.WORDS_READY] = s[k.READY_TICK + i] if s[k.BOOTED + i] == 1.0 else -1.0
    into[place + k.WORDS_SPOILED] = s[k.SPOILED + i]
    into[place + k.WORDS_SHED] = s[k.SHED + i]
    for flow in range(k.FLOWS):
        # What became of the others' calls after its end, a process that is gone cannot have written.
        into[place + k.WORDS_FLOW + flow] = s[k.FLOW + flow] if alive else 1.0


@jit
def recent_words(s: Numbers, i: int, into: Numbers, place: int) -> None:
    """All that the lines which are in the log of service `i` depend on."""
    kept = k.WORDS + i * k.WORDS_SIZE
    if s[k.STATUS + i] != k.UP and s[kept + k.WORDS_TICK] >= s[k.STOPPED_TICK + i]:
        # A process that is gone has left its last lines; one that has yet to listen has written none of its own.
        for word in range(k.WORDS_SIZE):
            into[place + word] = s[kept + word]
    else:
        words(s, i, into, place)


@jit
def end_process(s: Numbers, i: int) -> None:
    """End the process of service `i`, if there is one; what it was about to log is kept."""
    if s[k.STATUS + i] == k.UP:
        words(s, i, s, k.WORDS + i * k.WORDS_SIZE)
    stop(s, i)
    s[k.STALE] = 1.0


@jit
def boot(s: Numbers, p: Numbers, i: int) -> None:
    """End the process, if there is one, and begin another of the current release."""
    end_process(s, i)
    s[k.STATUS + i] = k.BOOTING
    s[k.BOOT_LEFT + i] = p[k.BOOT_CPU]
    s[k.MEMORY + i] = p[k.BASE_MEMORY + i]
    s[k.SPOILED + i] = 0.0
    if s[k.RUNS_BAD + i] == 1.0:
        # Its migration runs at every boot, on whatever rows are left.
        s[k.ROWS_SPOILED + i] += p[k.SPOILS] * (1.0 - s[k.ROWS_SPOILED + i])
        s[k.SPOILED + i] = s[k.ROWS_SPOILED + i]
    s[k.BOOTED + i] = 1.0
    clear_counters(s, i)


@jit
def deploy(s: Numbers, p: Numbers, i: int, following: bool, sound: bool) -> None:
    """Recreate service `i` from the next release (a `sound` one, or not) or from the steady one."""
    s[k.NEXT + i] = 1.0 if following else 0.0
    s[k.SOUND + i] = 1.0 if sound else 0.0
    s[k.RUNS_BAD + i] = 1.0 if following and not sound else 0.0
    boot(s, p, i)


@jit
def start_campaign(s: Numbers, i: int, rate: float, cpu_s: float, memory_mb: float) -> None:
    """Send service `i` so many more requests a second; none ends it."""
    s[k.CAMPAIGN + i] = rate
    s[k.CAMPAIGN_CPU + i] = cpu_s
    s[k.CAMPAIGN_MB + i] = memory_mb
    s[k.PACE] = k.UNKNOWN


@jit
def begin(s: Numbers, p: Numbers, mode: int, i: int) -> None:
    """A fault begins; it may take a while to show."""
    if mode == k.CRASHED:
        end_process(s, i)
    elif mode == k.MEMORY_LEAK:
        start_campaign(s, i, p[k.LEAK_RATE], p[k.LEAK_CPU], p[k.LEAK_MB])
    elif mode == k.OVERLOADED:
        start_campaign(s, i, p[k.CROWD_RATE + i], p[k.CROWD_CPU + i], 0.0)
    else:
        deploy(s, p, i, True, False)


@jit
def landed(s: Numbers, p: Numbers, mode: int, i: int, memory_before_mb: float) -> bool:
    """Whether a fault that began at `memory_before_mb` shows."""
    if mode == k.CRASHED:
        return True
    if mode == k.MEMORY_LEAK:
        return bool(s[k.MEMORY + i] >= memory_before_mb + p[k.LEAK_LANDED_MB])
    if mode == k.OVERLOADED:
        return bool(s[k.SHED + i] > 0.0 or s[k.WAIT + i] > p[k.SLOW_S])
    return bool(s[k.STATUS + i] == k.UP)


@jit
def inject(s: Numbers, p: Numbers, key: Any, mode: int, i: int) -> bool:
    """A fault begins, and time passes until it shows; False where it never would. The next window begins now."""
    memory_before_mb = s[k.MEMORY + i]
    begin(s, p, mode, i)
    while not landed(s, p, mode, i, memory_before_mb):
        if s[k.NOW] > p[k.PATIENCE]:
            return False
        tick(s, p, key)
    forget_window(s)
    return True


@jit
def heal(s: Numbers, p: Numbers, mode: int, i: int) -> None:
    """A fault ends by itself."""
    if mode == k.CRASHED:
        if s[k.STATUS + i] == k.DOWN:
            boot(s, p, i)
    elif mode == k.MEMORY_LEAK:
        start_campaign(s, i, 0.0, 0.0, 0.0)
        boot(s, p, i)
    elif mode == k.OVERLOADED:
        start_campaign(s, i, 0.0, 0.0, 0.0)
    elif s[k.NEXT + i] == 1.0:
        deploy(s, p, i, False, False)


@jit
def roll_back(s: Numbers, p: Numbers, i: int) -> int:
    """Back to the steady release; says what became of it."""
    if s[k.NEXT + i] == 0.0:
        return k.NO_EARLIER_RELEASE
    deploy(s, p, i, False, False)
    return k.ACCEPTED


@jit
def scale_up(s: Numbers, p: Numbers, i: int) -> int:
    """Give service `i` its larger quota; says what became of it."""
    if s[k.STATUS + i] == k.DOWN:
        return k.NOT_RUNNING
    if s[k.QUOTA + i] > p[k.BASE_QUOTA]:
        return k.LARGEST
    s[k.QUOTA + i] = p[k.SCALED_QUOTA]
    s[k.PER_QUOTA + i] = p[k.PER_SCALED_QUOTA]
    return k.ACCEPTED


@jit
def clear_counters(s: Numbers, i: int) -> None:
    """A new process counts from zero."""
    s[k.ANSWERS + i] = 0.0
    s[k.ERRORS + i] = 0.0
    s[k.CPU + i] = 0.0
    s[k.CALM + i] = 0.0
    for bucket in range(k.BUCKETS):
        s[k.LATE + i * k.BUCKETS + bucket] = 0.0
    s[k.SINCE + i] = s[k.NOW]


@jit
def forget_window(s: Numbers) -> None:
    """The next window begins now."""
    for i in range(k.SERVICES):
        clear_counters(s, i)
        s[k.SINCE + i] = -1.0
        s[k.SURGE_SUM + i] = 0.0
    s[k.OBSERVED] = s[k.NOW]
    for journey in range(k.JOURNEYS):
        s[k.PENDING + journey] = 0.0
        s[k.BEGUN + journey] = 0.0
        s[k.FAILED + journey] = 0.0
        s[k.SCATTER + journey] = 0.0
