"""Given scenarios in rows: the plan of a lane from a Scenario, and what a ledger says of faults."""

from __future__ import annotations

from typing import Any, assert_never

from mirr.env.forms import fault_of, form_number, severity_of
from mirr.env.objectives import SERVICE_ROW
from mirr.env.quoting import quoted
from mirr.env.scenario import BadScenario, Scenario, Scheduled
from mirr.env.simulator.fast import rows as k
from mirr.env.simulator.fast.episode import clear_plan
from mirr.env.simulator.fast.timeline import plan_event, plan_fault
from mirr.env.vocabulary import Breaks, Bursts, Deploys, Ends, Fault, Service, TrafficChanges

_SERVICES = tuple(Service)


def checked_scenario(scenario: object) -> Scenario:
    """`scenario`, if a batch can play it. Raises BadScenario."""
    if not isinstance(scenario, Scenario):
        raise BadScenario(f"a scenario is a Scenario, as a pack's scenario() gives; got {quoted(scenario)}")
    if len(scenario.timeline) > k.MOST_EVENTS:
        raise BadScenario(
            f"a batch plays timelines of at most {k.MOST_EVENTS} events; got {len(scenario.timeline)}; next: play it "
            "with Environment"
        )
    if len(scenario.faults) > k.MOST_FAULTS or len(set(scenario.faults)) < len(scenario.faults):
        raise BadScenario(
            f"a batch plays at most {k.MOST_FAULTS} different faults in an episode; got "
            f"{', '.join(map(str, scenario.faults))}; next: play it with Environment"
        )
    unknown = [
        entry.event.fault
        for entry in scenario.timeline
        if isinstance(entry.event, Ends) and entry.event.fault not in scenario.faults
    ]
    if unknown:
        raise BadScenario(f"{unknown[0]} ends, but never begins")
    return scenario


def plan(s: Any, scenario: Scenario, number: int) -> None:
    """Write a scenario into the plan of a lane's row. `number` is its GIVEN."""
    clear_plan(s)
    s[k.GIVEN] = float(number)
    for fault in scenario.faults:
        plan_fault(s, form_number(fault), SERVICE_ROW[fault.service], severity_of(fault))
    for entry in sorted(scenario.timeline, key=lambda entry: entry.step):
        _plan_event(s, entry, scenario.faults)


def _plan_event(s: Any, entry: Scheduled, faults: tuple[Fault, ...]) -> None:
    step = float(entry.step)
    match entry.event:
        case Breaks(fault):
            plan_event(s, step, k.BREAKS, float(faults.index(fault)), 0.0, 0.0, 0.0)
        case Ends(fault):
            plan_event(s, step, k.ENDS, float(faults.index(fault)), 0.0, 0.0, 0.0)
        case Deploys(service):
            plan_event(s, step, k.DEPLOYS, float(SERVICE_ROW[service]), 0.0, 0.0, 0.0)
        case TrafficChanges(first, last, over_s):
            plan_event(s, step, k.TRAFFIC_CHANGES, 0.0, first, last, over_s)
        case Bursts(service, load, for_s):
            plan_event(s, step, k.BURSTS_OUT, float(SERVICE_ROW[service]), load, 0.0, for_s)
        case _:
            assert_never(entry.event)


def faults_of(b: Any) -> list[Fault]:
    """The faults of a ledger, in the order of their numbers."""
    return [
        fault_of(int(b[k.FORM + number]), _SERVICES[int(b[k.SERVICE + number])], float(b[k.SEVERITY + number]))
        for number in range(int(b[k.FAULTS]))
    ]


def unsettled_faults(b: Any, scenario: Scenario) -> list[Fault]:
    """The faults of the scenario that are neither fixed nor ended in the ledger."""
    return [
        fault
        for number, fault in enumerate(scenario.faults)
        if b[k.CASE_FIXED + number] == 0.0 and b[k.CASE_ENDED + number] == 0.0
    ]
