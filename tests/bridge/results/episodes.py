"""Episodes for tests of the results."""

from __future__ import annotations

from dataclasses import replace

from mirr.bridge.results.episodes import Played
from mirr.env.reward import Outcome

COMMIT = "c0ffee" + "0" * 34

RESOLVED = Played(
    seed=1,
    outcome=Outcome.RESOLVED,
    clean=True,
    diagnosed=True,
    reward=45.5,
    steps=5,
    time_to_diagnose_s=2.0,
    time_to_mitigate_s=6.0,
    steps_to_diagnose=1,
    steps_to_mitigate=3,
    wrong_fixes=0,
    failed_requests=45,
    objective_lost_s=6.0,
    needless_actions=0,
    source=COMMIT,
)

EXHAUSTED = replace(
    RESOLVED,
    seed=2,
    outcome=Outcome.EXHAUSTED,
    clean=False,
    diagnosed=False,
    reward=-2.5,
    steps=30,
    time_to_diagnose_s=None,
    time_to_mitigate_s=None,
    steps_to_diagnose=None,
    steps_to_mitigate=None,
    failed_requests=1000,
    objective_lost_s=60.0,
    needless_actions=2,
)

VOID = replace(EXHAUSTED, seed=3, outcome=Outcome.VOID)
