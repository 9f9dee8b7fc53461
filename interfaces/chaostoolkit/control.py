"""A control for experiments whose method has to hold: what fails in it ends the run.

By itself the toolkit notes that an activity failed and goes on: a fault that never landed, a fix that never worked,
even a SIGTERM in mid-activity would still end in `completed`. With this control such a run ends as `interrupted`, exits
1, and plays its rollbacks where their strategy is `always`.
"""

from __future__ import annotations

from typing import Any

# chaostoolkit-lib ships no types, so what comes from it is Any.
from chaoslib.exceptions import InterruptExecution  # type: ignore[import-untyped]
from chaoslib.types import Activity, Experiment  # type: ignore[import-untyped]


def after_activity_control(context: Activity, experiment: Experiment, state: dict[str, Any] | None = None) -> None:
    """End the run where an activity of the method failed. The toolkit itself judges the hypothesis, and every
    rollback is played, whatever became of the one before."""
    # No state: the activity was interrupted, and the toolkit is about to end the run already.
    if state is None or state.get("status") != "failed" or context not in experiment.get("method", []):
        return
    raise InterruptExecution(f"{context['name']!r} failed, so the method does not hold: the run ends here")
