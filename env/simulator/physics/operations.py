"""The operations on a service between ticks: stop and boot its process, deploy it, scale it.

`s` is a state and `p` its parameters, as in `rows`; `i` is a service's number.
"""

from __future__ import annotations

from mirr.env.simulator.fast import rows as k
from mirr.env.simulator.fast.compiled import Numbers, inlined, jit
from mirr.env.simulator.physics.callgraph import follow
from mirr.env.simulator.physics.service import stop


@inlined
def steady(s: Numbers, p: Numbers) -> None:
    """Set the state in which every episode begins."""
    for place in range(k.LEDGER_SIZE, k.STATE_END):
        s[place] = p[k.STEADY + place]


@jit
def find_steady(s: Numbers, p: Numbers) -> None:
    """Work out the state in which every episode begins. It is kept with the parameters, and `steady` copies it."""
    for place in range(k.STATE_END):
        s[place] = 0.0
    for i in range(k.SERVICES):
        s[k.STATUS + i] = k.UP
        s[k.QUOTA + i] = p[k.BASE_QUOTA]
        s[k.PER_QUOTA + i] = p[k.PER_BASE_QUOTA]
        s[k.MEMORY + i] = p[k.BASE_MEMORY + i]
        s[k.ACCEPT + i] = 1.0
        s[k.LAST_LOG + i * k.LOG_SIZE + k.LOG_TICK] = -1.0
    s[k.HELD + k.GATEWAY] = p[k.UNLOADED_MEAN + k.GATEWAY]
    follow(s, p)
    forget_window(s)


@jit
def write_log(s: Numbers, i: int, into: Numbers, place: int) -> None:
    """Write the numbers behind the lines that service `i` would log now. They go into `into`, from `place` on."""
    alive = s[k.STATUS + i] == k.UP
    into[place + k.LOG_TICK] = s[k.NOW] if alive else s[k.STOPPED_TICK + i]
    into[place + k.LOG_NEXT] = s[k.NEXT + i]
    into[place + k.LOG_READY] = s[k.READY_TICK + i] if s[k.BOOTED + i] == 1.0 else -1.0
    into[place + k.LOG_SPOILED] = s[k.SPOILED + i] if alive else 0.0  # a process that boots has answered nobody
    into[place + k.LOG_SHED] = s[k.SHED + i]
    into[place + k.LOG_DIED] = s[k.DIED_TICK + i]
    for flow in range(k.FLOWS):
        # A process that is gone did not log how calls ended after its end.
        into[place + k.LOG_FLOW + flow] = s[k.FLOW + flow] if alive else 1.0


@jit
def read_log(s: Numbers, i: int, into: Numbers, place: int) -> None:
    """Write the numbers behind the lines in the log of service `i`. They go into `into`, from `place` on."""
    kept = k.LAST_LOG + i * k.LOG_SIZE
    if s[k.STATUS + i] != k.UP and s[kept + k.LOG_TICK] >= s[k.STOPPED_TICK + i]:
        # The process is gone or hangs, and has left its last lines. One that does not listen yet has written none.
        for each in range(k.LOG_SIZE):
            into[place + each] = s[kept + each]
    else:
        write_log(s, i, into, place)


@jit
def end_process(s: Numbers, i: int) -> None:
    """End the process of service `i`, if there is one. Its last log lines are kept."""
    if s[k.STATUS + i] == k.UP:
        write_log(s, i, s, k.LAST_LOG + i * k.LOG_SIZE)
    stop(s, i)
    s[k.STALE] = 1.0


@jit
def boot(s: Numbers, p: Numbers, i: int) -> None:
    """End the process, if there is one, and start a new one of the current release."""
    end_process(s, i)
    s[k.STATUS + i] = k.BOOTING
    s[k.START_LEFT + i] = -1.0  # it is drawn in the next tick
    s[k.BOOT_LEFT + i] = p[k.BOOT_CPU + i]
    s[k.MEMORY + i] = p[k.BOOT_MEMORY + i]
    s[k.SPOILED + i] = 0.0
    if s[k.RUNS_BAD + i] == 1.0:
        _start_faulty(s, p, i)
    s[k.BOOTED + i] = 1.0
    clear_counters(s, i)


@jit
def _start_faulty(s: Numbers, p: Numbers, i: int) -> None:
    """What a start of a faulty release does. Each one makes things worse than the last."""
    defect, size = s[k.DEFECT + i], s[k.SIZE + i]
    if defect == k.SPOILS_ROWS:
        # The migration runs at every start, on a part of the rows that are still sound.
        s[k.ROWS_SPOILED + i] += size * (1.0 - s[k.ROWS_SPOILED + i])
        s[k.SPOILED + i] = s[k.ROWS_SPOILED + i]
    elif defect == k.KEEPS_MEMORY:
        s[k.MEMORY + i] += s[k.STARTS + i] * size * p[k.USUAL_RATE + i] * p[k.CARRIED_S]
    elif defect == k.DIES:
        s[k.LEFT + i] = size
        s[k.SIZE + i] = 0.5 * size
    s[k.STARTS + i] += 1.0


@jit
def deploy(s: Numbers, p: Numbers, i: int, following: bool, sound: bool) -> None:
    """Recreate service `i`: from the next release, which may be faulty (not `sound`), or from the steady one.

    What ran before is what a rollback goes back to.
    """
    s[k.EARLIER + i] = k.EARLIER_SOUND_NEXT if s[k.NEXT + i] == 1.0 and s[k.RUNS_BAD + i] == 0.0 else k.EARLIER_STEADY
    s[k.NEXT + i] = 1.0 if following else 0.0
    s[k.RUNS_BAD + i] = 1.0 if following and not sound else 0.0
    s[k.DIED_TICK + i] = 0.0  # a new container has an empty log
    boot(s, p, i)


@jit
def deploy_faulty(s: Numbers, p: Numbers, i: int, defect: float, size: float) -> None:
    """Deploy a faulty release.

    What `size` means depends on the defect:
    SPOILS_ROWS: the share of the sound rows that a start spoils.
    SLOWS: the work that a start adds to each request, in ordinary requests.
    KEEPS_MEMORY: the MB that a request leaves behind.
    DIES: the requests after which the first process dies.
    """
    s[k.DEFECT + i] = defect
    s[k.SIZE + i] = size
    s[k.STARTS + i] = 0.0
    if defect != k.SPOILS_ROWS:
        s[k.WATCHED] = 1.0
    deploy(s, p, i, True, False)


@jit
def hang(s: Numbers, i: int) -> None:
    """Stop the process of service `i`, if there is one that does anything. It is there, but it does nothing."""
    if s[k.STATUS + i] == k.UP or s[k.STATUS + i] == k.BOOTING:
        end_process(s, i)
        s[k.STATUS + i] = k.HUNG


@jit
def go_on(s: Numbers, i: int) -> None:
    """Let a process go on that hangs. Its callers have not waited for the answers that it owes."""
    if s[k.STATUS + i] != k.HUNG:
        return
    s[k.STATUS + i] = k.UP
    s[k.ACCEPT + i] = 1.0
    s[k.STALE] = 1.0
    s[k.PACE] = k.UNKNOWN
    clear_counters(s, i)


@jit
def overwhelmed(s: Numbers, p: Numbers, i: int) -> bool:
    """Whether requests are turned away, or wait too long."""
    return bool(s[k.SHED + i] > 0.0 or s[k.WAIT + i] > p[k.SLOW_S])


@jit
def roll_back(s: Numbers, p: Numbers, i: int) -> int:
    """Go back to the release before the current one; returns the result. Only one release is kept for that."""
    earlier = s[k.EARLIER + i]
    if earlier == k.EARLIER_NONE:
        return k.NO_EARLIER_RELEASE
    deploy(s, p, i, earlier == k.EARLIER_SOUND_NEXT, True)
    s[k.EARLIER + i] = k.EARLIER_NONE
    return k.ACCEPTED


@jit
def withdraw(s: Numbers, p: Numbers, i: int) -> None:
    """The team rolls a faulty release back, unless somebody has done so."""
    if s[k.RUNS_BAD + i] == 1.0:
        roll_back(s, p, i)


@jit
def scale_up(s: Numbers, p: Numbers, i: int) -> int:
    """Give service `i` its larger quota; returns the result."""
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
    """Let the next window begin now."""
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
