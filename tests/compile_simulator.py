"""`python -m tests.compile_simulator` compiles the simulator once for all workers of a test run.

Two processes that compile at the same time do the same work twice. The command does nothing if numba is not installed
or if these sources are compiled already.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from filelock import FileLock

import mirr
from mirr.env.simulator.fast.compiled import to_be_compiled
from mirr.env.vocabulary import Breaks, Deploys, Ends


def main() -> None:
    """Compile, or wait for the process that does."""
    with FileLock(Path(tempfile.gettempdir()) / "mirr-compile-simulator.lock"):
        if to_be_compiled():
            _compile()


def _compile() -> None:
    """Play a few steps of one episode and of a batch, and all kinds of events. This compiles every function that other
    runs need."""
    began_s = time.monotonic()
    print("compiling the simulator, once ...", file=sys.stderr)
    world, fault = mirr.SimulatedWorld(), mirr.Fault.parse("bad_deploy:auth")
    environment = mirr.Environment(world)
    environment.reset(seed=1)
    environment.step(mirr.parse_action("wait"))
    for event in (Breaks(fault), Ends(fault), Deploys(fault.service)):
        world.happen(event)
    batch = mirr.BatchedSimulator(2)
    batch.reset(range(2))
    batch.step(np.zeros(2, dtype=np.int64))
    print(f"compiling the simulator: {time.monotonic() - began_s:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
