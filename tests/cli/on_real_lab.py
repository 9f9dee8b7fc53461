"""What tests that break the real lab share: the command line, and whether the lab is as it was found."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mirr.bridge.assembly import assemble
from mirr.bridge.traces import traces
from mirr.cli.lab_commands import steady_problems
from mirr.env.world import WorldError
from mirr.lab.doctor import Verdict, examine
from mirr.lab.footprint import Footprint, differences

MIRR = str(Path(sys.executable).with_name("mirr"))
SEED = int(os.environ.get("MIRR_SEED", "1"))
"""What every drawn case begins with; printed with each case, so that one that failed can be played again."""

REVERT_S = 10.0
STEADY_S = 30.0


def drawn(what: str, case: int) -> random.Random:
    """The randomness of one case, the same whichever others are played."""
    print(f"MIRR_SEED={SEED}, case {case} of {what}")
    return random.Random(f"{SEED} {what} {case}")


def start(lab: str, *arguments: str) -> subprocess.Popen[str]:
    """`mirr` in a process of its own."""
    print("mirr", *arguments)
    return subprocess.Popen([MIRR, *arguments, "--lab", lab], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def kill_after(process: subprocess.Popen[str], seconds: float, *, once: Callable[[], bool] = lambda: True) -> None:
    """SIGKILL at that moment of the process's run, or that long after `once` has come true, where it has not ended
    before."""
    wait_until(lambda: once() or process.poll() is not None, "what the kill waits for")
    try:
        _, err = process.communicate(timeout=seconds)
        print(f"had ended by itself within {seconds:.2f} s, with {process.returncode}: {err.strip()}")
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        print(f"SIGKILL after {seconds:.2f} s")


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = STEADY_S) -> None:
    """Return once it holds; an AssertionError that says what did not, otherwise."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come true within {timeout_s:g} s"
        time.sleep(0.1)


def made_of(lab: str) -> Footprint:
    """Everything that could be left otherwise. A load generator that was just started is given time to answer."""
    found: list[Footprint] = []

    def looked() -> bool:
        try:
            found.append(traces(assemble(lab)))
        except WorldError as error:
            print(error)
            return False
        return True

    wait_until(looked, "a look at the lab", timeout_s=REVERT_S)
    return found[0]


def revert(lab: str) -> None:
    """`mirr revert`, which works from any state in ten seconds."""
    began = time.monotonic()
    done = subprocess.run([MIRR, "revert", "--lab", lab], capture_output=True, text=True, timeout=60, check=False)
    took_s = time.monotonic() - began
    print(f"mirr revert ({took_s:.1f} s): {done.stdout.strip()} {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    assert took_s <= REVERT_S


def assert_steady(lab: str) -> None:
    """`mirr doctor` finds the lab up and in steady state, soon."""
    unwell: list[str] = []

    def well() -> bool:
        checks = [check for check in examine(lab, steady_problems) if check.code in ("lab", "steady")]
        unwell[:] = [check.text for check in checks if check.status is not Verdict.PASS]
        return len(checks) == 2 and not unwell

    began = time.monotonic()
    try:
        wait_until(well, "steady state")
    except AssertionError as error:
        raise AssertionError(f"{error}: {'; '.join(unwell)}") from error
    print(f"steady after {time.monotonic() - began:.1f} s")


@contextmanager
def left_as_found(lab: str) -> Iterator[None]:
    """Whatever is done inside, `mirr revert` puts everything back, and the lab comes to steady state by itself."""
    before = made_of(lab)
    yield
    revert(lab)
    assert differences(before, made_of(lab)) == []
    assert_steady(lab)
    # Again: what the engine was still doing for somebody who is dead would show by now.
    assert differences(before, made_of(lab)) == []
