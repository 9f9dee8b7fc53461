"""A control for experiments whose method must succeed: a step that fails ends the run.

Without it, the toolkit notes that an activity failed, and goes on. A fault that never landed, a fix that never worked,
or a SIGTERM in the middle of an activity would still end in `completed`. With this control such a run ends as
`interrupted` and exits 1. Its rollbacks are played if their strategy is `always`.
"""

from __future__ import annotations

from typing import Any

# chaostoolkit-lib ships no types, so what comes from it is Any.
from chaoslib.exceptions import InterruptExecution  # type: ignore[import-untyped]
from chaoslib.types import Activity, Experiment  # type: ignore[import-untyped]


def after_activity_control(context: Activity, experiment: Experiment, state: dict[str, Any] | None = None) -> None:
    """End the run if an activity of the method failed.

    The toolkit itself judges the hypothesis. It plays every rollback, even if one before it failed."""
    # Without a state, the activity was interrupted, and the toolkit is already ending the run.
    if state is None or state.get("status") != "failed" or context not in experiment.get("method", []):
        return
    raise InterruptExecution(f"{context['name']!r} failed, so the method does not hold: the run ends here")
