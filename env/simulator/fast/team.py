"""Threads that play a batch together and stay in compiled code from one step to the next.

The calling thread leads: it lays out a job, plays, and returns when all slices are done. Helpers look for the next job
for a while before they sleep, because it takes longer to wake a thread than to play a short step. Nobody waits for a
slow helper: the leader takes its slices too. Each thread has a part of its own, so that lanes stay in a core's cache. A
thread that is done early takes slices from the end of another part. Plain Python has no helpers.
"""

from __future__ import annotations

import threading
import time
import weakref
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mirr.env.simulator.fast.compiled import COMPILED, jit, merged
from mirr.env.simulator.fast.instructions import add_at_once, put_at_once
from mirr.env.simulator.fast.lanes import Lanes, first_refused, reset_slice, step_slice
from mirr.env.simulator.fast.rows import LINE

SLICE: Final = 16  # lanes; a thread waits for the last slice of another one, so slices are short
LEAST_FOR_A_THREAD: Final = 128  # environments; it takes longer to hand over fewer than to play them
_SPINS: Final = 20_000  # how often a thread looks at the board before it sleeps: about 0.1 ms

# Jobs.
STEP: Final = 0
RESET: Final = 1

# How a job went.
DONE: Final = 0
LATE: Final = 1  # a helper is not done yet
REFUSED: Final = 2  # a lane cannot take its action, so nothing was played
STUCK: Final = 3  # the fault of a lane does not land

# The board: the messages between threads. Each thread's numbers have their own lines of the cache.
_NUMBER: Final = 0  # of the last job
_JOB: Final = 1 * LINE
_DONE: Final = 2 * LINE  # slices of the job that are done
_OVER: Final = 3 * LINE  # 1 if no more jobs will come
_LANE: Final = 4 * LINE  # number of the lane that refused its action or is stuck
_PARTS: Final = 5 * LINE
# For each part and its thread:
_TAKEN: Final = 0  # slices taken, and attempts to take one
_FROM_LEFT: Final = 1  # slices taken by its thread
_FROM_RIGHT: Final = 2  # slices taken by others
_SEEN: Final = LINE + 0  # number of the last job that the part's thread has seen
_ASLEEP: Final = LINE + 1  # 1 if somebody must wake the thread
_STUCK: Final = LINE + 2  # number of a lane that the thread could not reset, or -1
_PART: Final = 2 * LINE


@jit
def _slices(size: int, part: int, parts: int) -> tuple[int, int, int]:
    """Where a part begins and ends, and how many slices it has."""
    first, last = size * part // parts, size * (part + 1) // parts
    return first, last, (last - first + SLICE - 1) // SLICE


@jit
def _lay_out(board: Any, parts: int, job: int) -> None:
    """Lay out a job. A helper may still look for slices of the last job, so this frees the new slices last."""
    board[_JOB] = job
    board[_DONE] = 0
    for part in range(parts):
        at = _PARTS + part * _PART
        board[at + _FROM_LEFT] = 0
        board[at + _FROM_RIGHT] = 0
        board[at + _STUCK] = -1
    for part in range(parts):
        put_at_once(board, _PARTS + part * _PART + _TAKEN, 0)
    add_at_once(board, _NUMBER, 1)


@merged
def _play(board: Any, own: int, parts: int, size: int, lanes: Any) -> None:
    """Take slices and play them while there are any: first from the left of the own part, then from others' right."""
    for turn in range(parts):
        part = (own + turn) % parts
        at = _PARTS + part * _PART
        begins, ends, count = _slices(size, part, parts)
        while add_at_once(board, at + _TAKEN, 1) < count:
            if turn == 0:
                place = board[at + _FROM_LEFT]
                board[at + _FROM_LEFT] += 1
            else:
                place = count - 1 - add_at_once(board, at + _FROM_RIGHT, 1)
            first = begins + place * SLICE
            last = min(first + SLICE, ends)
            if board[_JOB] == STEP:
                stuck = step_slice(first, last, own, lanes)
            else:
                assert board[_JOB] == RESET
                stuck = reset_slice(first, last, own, lanes)
            if stuck >= 0:
                board[_PARTS + own * _PART + _STUCK] = stuck
            add_at_once(board, _DONE, 1)


@jit
def _take_part(board: Any, own: int, parts: int, size: int, job: int, lanes: Any) -> None:
    """Play. The leader has the first part: it lays out a job and plays it. A helper plays every job that is laid out.

    It returns, to sleep, when there has been none for a while.
    """
    if own == 0:
        _lay_out(board, parts, job)
    at = _PARTS + own * _PART
    spins = 0
    while spins < _SPINS:
        number = add_at_once(board, _NUMBER, 0)
        if number == board[at + _SEEN]:
            spins += 1
        else:
            board[at + _SEEN] = number
            _play(board, own, parts, size, lanes)
            spins = _SPINS if own == 0 else 0
    board[at + _ASLEEP] = 1


@jit
def _lead(board: Any, parts: int, size: int, job: int, actions: Any, lanes: Any) -> int:
    """Check a job, do it together with the helpers, and wait for them a moment. Returns how it went.

    All of it is one call, because a call from Python takes as long as some steps.
    """
    if job == STEP:
        board[_LANE] = first_refused(actions, lanes)
        if board[_LANE] >= 0:
            return REFUSED
        for e in range(size):
            lanes.actions[e] = actions[e]
    _take_part(board, 0, parts, size, job, lanes)
    return _finish(board, parts, size)


@jit
def _finish(board: Any, parts: int, size: int) -> int:
    """Wait for the job a moment. Returns how it went, or LATE."""
    count = 0
    for part in range(parts):
        count += _slices(size, part, parts)[2]
    spins = 0
    while add_at_once(board, _DONE, 0) < count:
        spins += 1
        if spins == _SPINS:
            return LATE
    board[_LANE] = -1
    for part in range(parts):
        board[_LANE] = max(board[_LANE], board[_PARTS + part * _PART + _STUCK])
    return STUCK if board[_LANE] >= 0 else DONE


class Team:
    """The threads of a batch of `size` lanes: the calling one, and `parts` - 1 helpers."""

    def __init__(self, size: int, parts: int, lanes: Lanes) -> None:
        self._size = size
        self._parts = parts
        self._lanes = lanes
        self._board = np.zeros(_PARTS + parts * _PART, dtype=np.int64)
        self._gates = [threading.Semaphore(0) for _ in range(parts - 1)]
        self._begun = False
        self._playing = False

    def __getstate__(self) -> dict[str, Any]:
        """Without its threads. A copy starts threads of its own at its first job."""
        return {"size": self._size, "parts": self._parts, "lanes": self._lanes}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """As made anew, for the same lanes."""
        Team.__init__(self, **state)

    @staticmethod
    def parts(size: int, threads: int) -> int:
        """How many of the threads are worth it for a batch of that size. Plain Python gains nothing from several."""
        return max(1, min(threads, size // LEAST_FOR_A_THREAD)) if COMPILED else 1

    @property
    def lane(self) -> int:
        """The number of the lane that refused its action in the last job, or is stuck."""
        return int(self._board[_LANE])

    def play(self, job: int, actions: NDArray[np.int64]) -> int:  # actions: (size,)
        """Do a job on every lane; returns DONE, REFUSED or STUCK. Only STEP looks at the actions."""
        if not self._begun:
            self._begin()
        if self._playing:
            self._wait()  # the last job was interrupted
        self._playing = True
        for part, gate in enumerate(self._gates, start=1):
            asleep = _PARTS + part * _PART + _ASLEEP
            if self._board[asleep]:
                self._board[asleep] = 0
                gate.release()
        came_to = _lead(self._board, self._parts, self._size, job, actions, self._lanes)
        if came_to == LATE:
            came_to = self._wait()
        self._playing = False
        return int(came_to)

    def _wait(self) -> int:
        """Wait for the last job. Returns how it went."""
        while (came_to := _finish(self._board, self._parts, self._size)) == LATE:
            time.sleep(0)  # a helper has lost its core within a slice
        return int(came_to)

    def _begin(self) -> None:
        self._begun = True
        for part, gate in enumerate(self._gates, start=1):
            arguments = (self._board, part, self._parts, self._size, self._lanes, gate)
            threading.Thread(target=_help, args=arguments, name=f"mirr-batch-{part}", daemon=True).start()
        weakref.finalize(self, _dismiss, self._board, self._gates)


def _help(board: Any, own: int, parts: int, size: int, lanes: Any, gate: threading.Semaphore) -> None:
    while not board[_OVER]:
        _take_part(board, own, parts, size, STEP, lanes)
        gate.acquire()


def _dismiss(board: Any, gates: list[threading.Semaphore]) -> None:
    board[_OVER] = 1
    for gate in gates:
        gate.release()
