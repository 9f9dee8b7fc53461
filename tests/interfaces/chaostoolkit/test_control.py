"""A run whose method does not hold ends, and its rollbacks are played; played by the toolkit itself, on no lab."""

from __future__ import annotations

from typing import Any

# chaostoolkit-lib ships no types.
from chaoslib.experiment import run_experiment  # type: ignore[import-untyped]

CONTROL = {"name": "holds", "provider": {"type": "python", "module": "mirr.interfaces.chaostoolkit.control"}}
ALWAYS = {"runtime": {"rollbacks": {"strategy": "always"}}}


def activity(name: str, text: str) -> dict[str, Any]:
    """Succeeds where `text` is JSON."""
    provider = {"type": "python", "module": "json", "func": "loads", "arguments": {"s": text}}
    return {"type": "action", "name": name, "provider": provider}


def play(**parts: Any) -> dict[str, Any]:
    experiment = {"title": "t", "description": "d", "method": [], "rollbacks": [activity("undo", "1")], **parts}
    journal: dict[str, Any] = run_experiment(experiment, settings=ALWAYS)
    return journal


def test_the_toolkit_itself_goes_on_after_a_step_that_failed() -> None:
    journal = play(method=[activity("break", "{"), activity("go on", "1")])
    assert (journal["status"], len(journal["run"])) == ("completed", 2)


def test_a_step_of_the_method_that_fails_ends_the_run_and_everything_is_reverted() -> None:
    journal = play(method=[activity("break", "{"), activity("go on", "1")], controls=[CONTROL])
    assert (journal["status"], len(journal["run"])) == ("interrupted", 1)
    assert [run["status"] for run in journal["rollbacks"]] == ["succeeded"]


def test_a_method_that_holds_is_played_to_its_end() -> None:
    journal = play(method=[activity("one", "1"), activity("two", "2")], controls=[CONTROL])
    assert (journal["status"], [run["output"] for run in journal["run"]]) == ("completed", [1, 2])


def test_a_rollback_that_fails_does_not_stop_the_next_one() -> None:
    journal = play(rollbacks=[activity("undo", "{"), activity("undo more", "1")], controls=[CONTROL])
    assert [run["status"] for run in journal["rollbacks"]] == ["failed", "succeeded"]


def test_the_toolkit_judges_a_hypothesis_that_fails() -> None:
    probe = activity("look", "{") | {"type": "probe", "tolerance": True}
    hypothesis = {"title": "h", "probes": [probe]}
    journal = play(method=[activity("one", "1")], controls=[CONTROL], **{"steady-state-hypothesis": hypothesis})
    assert (journal["status"], journal["run"]) == ("failed", [])
