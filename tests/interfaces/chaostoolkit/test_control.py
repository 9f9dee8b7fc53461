"""When a step of the method fails, the run ends and the rollbacks run. The real toolkit runs here, without a lab."""

from __future__ import annotations

from typing import Any

# chaostoolkit-lib ships no types.
from chaoslib.experiment import run_experiment  # type: ignore[import-untyped]

CONTROL = {"name": "holds", "provider": {"type": "python", "module": "mirr.interfaces.chaostoolkit.control"}}
ALWAYS = {"runtime": {"rollbacks": {"strategy": "always"}}}


def activity(name: str, text: str) -> dict[str, Any]:
    """An action that succeeds if `text` is JSON."""
    provider = {"type": "python", "module": "json", "func": "loads", "arguments": {"s": text}}
    return {"type": "action", "name": name, "provider": provider}


def play(**parts: Any) -> dict[str, Any]:
    experiment = {"title": "t", "description": "d", "method": [], "rollbacks": [activity("revert", "1")], **parts}
    journal: dict[str, Any] = run_experiment(experiment, settings=ALWAYS)
    return journal


def test_without_the_control_a_run_continues_after_a_failed_step() -> None:
    journal = play(method=[activity("break", "{"), activity("go on", "1")])
    assert (journal["status"], len(journal["run"])) == ("completed", 2)


def test_a_failed_step_of_the_method_ends_the_run_and_the_rollbacks_run() -> None:
    journal = play(method=[activity("break", "{"), activity("go on", "1")], controls=[CONTROL])
    assert (journal["status"], len(journal["run"])) == ("interrupted", 1)
    assert [run["status"] for run in journal["rollbacks"]] == ["succeeded"]


def test_a_method_without_failures_runs_to_its_end() -> None:
    journal = play(method=[activity("one", "1"), activity("two", "2")], controls=[CONTROL])
    assert (journal["status"], [run["output"] for run in journal["run"]]) == ("completed", [1, 2])


def test_a_failed_rollback_does_not_stop_the_next_one() -> None:
    journal = play(rollbacks=[activity("revert", "{"), activity("revert more", "1")], controls=[CONTROL])
    assert [run["status"] for run in journal["rollbacks"]] == ["failed", "succeeded"]


def test_the_toolkit_judges_a_failed_hypothesis() -> None:
    probe = activity("look", "{") | {"type": "probe", "tolerance": True}
    hypothesis = {"title": "h", "probes": [probe]}
    journal = play(method=[activity("one", "1")], controls=[CONTROL], **{"steady-state-hypothesis": hypothesis})
    assert (journal["status"], journal["run"]) == ("failed", [])
