"""Every form of every fault has an experiment, and each experiment follows the vocabulary."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

# chaostoolkit-lib ships no types.
from chaoslib.experiment import ensure_experiment_is_valid  # type: ignore[import-untyped]

from mirr.chaos.faults import faults, form_of
from mirr.env.objectives import OBJECTIVES
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import REMEDY, Fault, FaultMode, Journey, Restart, Rollback, ScaleUp, Service
from mirr.interfaces.chaostoolkit.experiments import FOLDER, as_data, experiment, file_name, spared, write_all

FUNC = {Restart: "restart", Rollback: "rollback", ScaleUp: "scale_up"}

every_fault = pytest.mark.parametrize("fault", faults(), ids=str)


@cache  # five tests read each file, and none changes what was read
def read(fault: Fault) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((FOLDER / file_name(fault)).read_text())
    return found


def kind(fault: Fault) -> str:
    return str(fault).partition(":")[0]


def calls(activities: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """The functions that the activities call, with their arguments."""
    providers = [one["provider"] for one in activities]
    return [
        (f"{one['module'].removeprefix('mirr.interfaces.chaostoolkit.')}.{one['func']}", one.get("arguments", {}))
        for one in providers
    ]


def test_each_fault_has_one_experiment_and_there_are_no_others() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {file_name(fault) for fault in faults()}
    assert file_name(Fault(FaultMode.BAD_DEPLOY, Service.AUTH)) == "auth-bad-deploy.yaml"


@every_fault
def test_each_file_equals_the_output_of_the_module(fault: Fault) -> None:
    # If this fails, run: python -m mirr.interfaces.chaostoolkit.experiments
    assert (FOLDER / file_name(fault)).read_text() == experiment(fault)
    assert read(fault) == as_data(fault)


def test_writing_all_experiments_removes_files_without_a_fault(tmp_path: Path) -> None:
    (tmp_path / "billing-crashed.yaml").write_text("title: gone")
    write_all(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in FOLDER.iterdir())


@every_fault
def test_the_toolkit_finds_the_experiment_valid(fault: Fault) -> None:
    ensure_experiment_is_valid(read(fault))


@every_fault
def test_the_hypothesis_is_that_users_are_served_and_every_objective_is_met(fault: Fault) -> None:
    found = read(fault)
    probes = found["steady-state-hypothesis"]["probes"]
    assert calls(probes) == [("probes.steady", {}), ("probes.user_sli", {})]
    assert [one["tolerance"] for one in probes] == [True, {"type": "range", "range": [OBJECTIVES.user_sli, 1.0]}]
    assert fault.service in found["title"]
    assert "Blast radius:" in found["description"]
    assert found["tags"] == ["mirr-lab", fault.service, kind(fault)]


@every_fault
def test_the_method_injects_the_fault_sees_the_loss_fixes_it_and_sees_the_recovery(fault: Fault) -> None:
    named = {"mode": kind(fault), "service": fault.service.value}
    service = {"service": fault.service.value}
    ended = [("actions.end_fault", named), ("probes.objectives_restored", {"within_s": 30})]
    assert calls(read(fault)["method"]) == [
        ("actions.inject", named),
        ("probes.objective_lost", {**service, "within_s": 20}),
        ("probes.blast_radius", {"spared": [str(journey) for journey in spared(fault.service)]}),
        (f"actions.{FUNC[REMEDY[fault.mode]]}", service),
        ("probes.objectives_restored", {"within_s": 30}),
        # A restart fixes a memory leak only for a while. The client that causes the leak must stop too.
        *(ended if form_of(fault).texts.ends is not None else []),
    ]


@every_fault
def test_the_rollback_always_reverts_everything_in_the_named_lab(fault: Fault) -> None:
    found = read(fault)
    assert found["configuration"] == {"lab": {"type": "env", "key": "LAB", "default": "mirr"}}
    assert found["runtime"] == {"rollbacks": {"strategy": "always"}}
    assert [one["provider"]["module"] for one in found["controls"]] == ["mirr.interfaces.chaostoolkit.control"]
    assert calls(found["rollbacks"]) == [("actions.revert", {})]
    # There are no fixed pauses. A probe waits for a condition.
    assert not any("pauses" in one for one in [*found["method"], *found["rollbacks"]])


@pytest.mark.parametrize("service", Service)
def test_the_spared_journeys_are_the_ones_that_work_without_the_service(service: Service) -> None:
    world = SimulatedWorld()
    world.restore(1)
    world.inject(Fault(FaultMode.CRASHED, service))
    for _ in range(3):
        world.advance(2.0)
        snapshot = world.observe()
    working = [
        journey
        for journey in Journey
        if 1 - snapshot.journeys[journey].failed / snapshot.journeys[journey].requests >= OBJECTIVES.user_sli
    ]
    assert working == spared(service)
